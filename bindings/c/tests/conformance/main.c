/* Runs scenario files on real members of the C face.
 *
 *     conformance [--late] FILE...    runs them; --late: verbs are started, and finished by polling
 *     conformance --print FILE...     prints what the parser read
 *
 * Closes with `N passed, N failed`; exits 1 when a step differed or a handle was not freed. */
#include <stdlib.h>
#include <string.h>

#include "verbs.h"
#include "world.h"

static char *read_all(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    *len = 0;
    for (size_t got = 1; file && got;) {
        text = realloc(text, *len + 4096);
        if (!text) abort();
        got = fread(text + *len, 1, 4096, file);
        *len += got;
    }
    if (file) fclose(file);
    return text;
}

static bool run(const char *name, const scenario_t *scenario) {
    world_t world = {0};
    bool is_good = true;
    for (size_t i = 0; is_good && i < scenario->count; i++) {
        is_good = world_step(&world, &scenario->steps[i]);
        if (!is_good) printf("%s:%u: %s\n", name, scenario->steps[i].line, world.told);
    }
    world_end(&world);
    /* What one file forgets must not be blamed on the next. */
    size_t live = primer_handles_live() - (late ? 1 : 0);
    if (live) {
        printf("%s: %zu handles were not freed\n", name, live);
        exit(1);
    }
    return is_good;
}

int main(int argc, char **argv) {
    unsigned passed = 0, failed = 0;
    bool only_print = argc > 1 && !strcmp(argv[1], "--print");
    bool is_late = argc > 1 && !strcmp(argv[1], "--late");
    if (is_late && primer_completions_new(&late) != PRIMER_OK) return 1;
    for (int i = 1 + (only_print || is_late); i < argc; i++) {
        const char *name = strrchr(argv[i], '/') ? strrchr(argv[i], '/') + 1 : argv[i];
        char told[256] = "1: cannot be opened";
        scenario_t scenario = {0};
        size_t len;
        char *text = read_all(argv[i], &len);
        bool is_good = text && scenario_parse(text, len, &scenario, told, sizeof told);
        if (!is_good)
            printf("%s:%s\n", name, told);
        else if (only_print)
            scenario_print(name, &scenario, stdout);
        else
            is_good = run(name, &scenario);
        is_good ? passed++ : failed++;
        fflush(stdout);
        scenario_free(&scenario);
        free(text);
    }
    primer_completions_free(late);
    if (!only_print) printf("%u passed, %u failed\n", passed, failed);
    return failed || !(passed + failed) ? 1 : 0;
}

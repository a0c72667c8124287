/* See scenario.h. Memory that cannot be had ends the program: this is a test. */
#include "scenario.h"

#include <stdlib.h>
#include <string.h>

static void *grown(void *at, size_t size) {
    void *more = realloc(at, size);
    if (!more) abort();
    return more;
}

static char *text_of(const uint8_t *value, size_t len) {
    char *text = grown(NULL, len + 1);
    if (len) memcpy(text, value, len);
    text[len] = '\0';
    return text;
}

static void word_push(word_t *word, uint8_t byte) {
    word->value = grown(word->value, word->len + 2);
    word->value[word->len++] = byte;
    word->value[word->len] = 0;
}

static void words_push(words_t *words, word_t word) {
    if (!word.value) word.value = (uint8_t *)text_of(NULL, 0);
    words->at = grown(words->at, (words->count + 1) * sizeof *words->at);
    words->at[words->count++] = word;
}

static void words_free(words_t *words) {
    for (size_t i = 0; i < words->count; i++) {
        free(words->at[i].key);
        free(words->at[i].value);
    }
    free(words->at);
}

bool word_is(const word_t *word, const char *name) {
    return !word->key && !word->is_text && word->len == strlen(name) &&
           memcmp(word->value, name, word->len) == 0;
}

/* `bytes:N` and `name:N` become their letters. */
static bool word_unfold(word_t *word, const char **told) {
    const char *text = (const char *)word->value;
    bool is_bytes = text && strncmp(text, "bytes:", 6) == 0;
    bool is_name = text && strncmp(text, "name:", 5) == 0;
    if (word->is_text || (!is_bytes && !is_name)) return true;
    const char *digits = text + (is_bytes ? 6 : 5);
    char *end = NULL;
    size_t count = strtoul(digits, &end, 10);
    if (end == digits || *end) {
        *told = "a length has no number";
        return false;
    }
    free(word->value);
    word->value = grown(NULL, count + 1);
    memset(word->value, is_bytes ? 'x' : 'q', count);
    word->value[count] = 0;
    word->len = count;
    word->is_text = true;
    return true;
}

/* Puts the word behind the others, if there is one, and begins anew. */
static bool word_finish(word_t *word, words_t *words, const char **told) {
    word_t done = *word;
    memset(word, 0, sizeof *word);
    if (!done.key && !done.len && !done.is_text) {
        free(done.value);
        return true;
    }
    bool is_good = word_unfold(&done, told);
    words_push(words, done);
    return is_good;
}

static int hex(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

/* The byte of an escape whose backslash was read; `at` is moved behind it. -1 for none. */
static int escape(const char **at, const char *end) {
    if (*at == end) return -1;
    char kind = *(*at)++;
    if (kind == 'n') return '\n';
    if (kind == '"' || kind == '\\') return kind;
    if (kind != 'x' || end - *at < 2 || hex((*at)[0]) < 0 || hex((*at)[1]) < 0) return -1;
    int byte = hex((*at)[0]) * 16 + hex((*at)[1]);
    *at += 2;
    return byte;
}

static void key_found(word_t *word) {
    word->key = text_of(word->value, word->len);
    free(word->value);
    word->value = NULL;
    word->len = 0;
}

/* Cuts a line into words at blanks; behind `->` a comma is a word of its own. */
static bool cut(const char *at, const char *end, words_t *words, const char **told) {
    word_t word = {0};
    bool is_quoted = false, is_expectation = false, is_good = true;
    while (is_good && at < end) {
        char c = *at++;
        if (c == '"') {
            is_quoted = !is_quoted;
            word.is_text = true;
        } else if (c == '\\' && is_quoted) {
            int byte = escape(&at, end);
            is_good = byte >= 0;
            if (!is_good) *told = "an escape is one of \\\" \\\\ \\n \\xNN";
            word_push(&word, (uint8_t)byte);
        } else if (is_quoted) {
            word_push(&word, (uint8_t)c);
        } else if (c == '#') {
            break;
        } else if (c == ' ' || c == '\t') {
            is_good = word_finish(&word, words, told);
        } else if (c == ',' && is_expectation) {
            is_good = word_finish(&word, words, told);
            word_push(&word, ',');
            is_good = word_finish(&word, words, told) && is_good;
        } else if (c == '=' && !word.key && !word.is_text) {
            key_found(&word);
        } else {
            word_push(&word, (uint8_t)c);
        }
        is_expectation = is_expectation || word_is(&word, "->");
    }
    if (is_good && is_quoted) {
        *told = "a text has no end";
        is_good = false;
    }
    return word_finish(&word, words, told) && is_good;
}

static void step_free(step_t *step) {
    free(step->verb);
    words_free(&step->args);
    words_free(&step->options);
    for (size_t i = 0; i < step->expect_count; i++) words_free(&step->expect[i]);
    free(step->expect);
}

/* Sorts a line's words into a step; takes them over. */
static bool step_of(words_t *words, unsigned line, step_t *step, const char **told) {
    memset(step, 0, sizeof *step);
    step->line = line;
    step->verb = text_of(words->at[0].value, words->at[0].len);
    for (size_t i = 1; i < words->count; i++) {
        word_t word = words->at[i];
        memset(&words->at[i], 0, sizeof word);
        if (word_is(&word, "->") || word_is(&word, ",")) {
            free(word.value);
            step->expect = grown(step->expect, (step->expect_count + 1) * sizeof *step->expect);
            memset(&step->expect[step->expect_count++], 0, sizeof *step->expect);
        } else if (step->expect_count) {
            words_push(&step->expect[step->expect_count - 1], word);
        } else {
            words_push(word.key ? &step->options : &step->args, word);
        }
    }
    for (size_t i = 0; i < step->expect_count; i++) {
        if (step->expect[i].count) continue;
        *told = "nothing stands behind `->` or a comma";
        return false;
    }
    return true;
}

bool scenario_parse(const char *text, size_t len, scenario_t *scenario, char *told, size_t told_len) {
    const char *at = text, *end = text + len;
    memset(scenario, 0, sizeof *scenario);
    for (unsigned line = 1; at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        words_t words = {0};
        const char *wrong = NULL;
        bool is_good = cut(at, stop, &words, &wrong);
        if (is_good && words.count) {
            scenario->steps =
                grown(scenario->steps, (scenario->count + 1) * sizeof *scenario->steps);
            is_good = step_of(&words, line, &scenario->steps[scenario->count++], &wrong);
        }
        words_free(&words);
        if (!is_good) {
            snprintf(told, told_len, "%u: %s", line, wrong);
            return false;
        }
        at = stop < end ? stop + 1 : end;
    }
    if (!scenario->count) snprintf(told, told_len, "1: no step at all");
    return scenario->count > 0;
}

void scenario_free(scenario_t *scenario) {
    for (size_t i = 0; i < scenario->count; i++) step_free(&scenario->steps[i]);
    free(scenario->steps);
    memset(scenario, 0, sizeof *scenario);
}

static void words_print(const words_t *words, FILE *to) {
    for (size_t i = 0; i < words->count; i++) {
        const word_t *word = &words->at[i];
        fprintf(to, "\t%s%s", word->key ? word->key : "", word->key ? "=" : "");
        if (!word->is_text) {
            fprintf(to, "%s", (const char *)word->value);
            continue;
        }
        fputc('"', to);
        for (size_t b = 0; b < word->len; b++) fprintf(to, "%02x", word->value[b]);
        fputc('"', to);
    }
}

void scenario_print(const char *name, const scenario_t *scenario, FILE *to) {
    fprintf(to, "%s\t%zu steps\n", name, scenario->count);
    for (size_t i = 0; i < scenario->count; i++) {
        const step_t *step = &scenario->steps[i];
        fprintf(to, "%u\t%s", step->line, step->verb);
        words_print(&step->args, to);
        words_print(&step->options, to);
        for (size_t e = 0; e < step->expect_count; e++) {
            fprintf(to, "\t->");
            words_print(&step->expect[e], to);
        }
        fputc('\n', to);
    }
}

const word_t *option_of(const step_t *step, const char *key) {
    for (size_t i = 0; i < step->options.count; i++)
        if (strcmp(step->options.at[i].key, key) == 0) return &step->options.at[i];
    return NULL;
}

bool expects_only(const step_t *step, const char *name) {
    return step->expect_count == 1 && step->expect[0].count == 1 &&
           word_is(&step->expect[0].at[0], name);
}

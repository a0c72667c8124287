/* See redrive.h. */
#define _POSIX_C_SOURCE 200809L
#include "redrive.h"

#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "explain.h"
#include "verbs.h"

enum { IDS_MAX = 8 };

typedef struct {
    primer_redrive_options_t options;
    primer_header_t headers[64];
    char texts[IDS_MAX][ID_MAX];
    const char *ids[IDS_MAX];
} asked_t;

/* The messages that the step names, cut at commas; a text is an id, or none. */
static bool ids_of(world_t *world, const word_t *word, asked_t *asked) {
    char *rest, *name, *all;
    bool is_good = true;
    if (!word) return true;
    all = strdup((const char *)word->value);
    if (!all) abort();
    for (name = strtok_r(all, ",", &rest); name && is_good; name = strtok_r(NULL, ",", &rest)) {
        size_t at = asked->options.ids_len++;
        word_t one = *word;
        one.value = (uint8_t *)name;
        is_good = at < IDS_MAX && message_of(world, &one, asked->texts[at]);
        if (is_good) asked->ids[at] = asked->texts[at];
    }
    free(all);
    return is_good;
}

static bool asked_of(world_t *world, const step_t *step, asked_t *asked) {
    primer_enqueue_options_t with_headers;
    const word_t *to = option_of(step, "to");
    asked->options = (primer_redrive_options_t)PRIMER_REDRIVE_OPTIONS_INIT;
    if (!options_of(step, &with_headers, asked->headers)) return false;
    asked->options.headers = asked->headers;
    asked->options.headers_len = with_headers.headers_len;
    asked->options.to = to ? (const char *)to->value : NULL;
    asked->options.max = number_of(step, "max", PRIMER_DEFAULT);
    asked->options.ids = asked->ids;
    asked->options.dry_run = is_true(step, "dry_run");
    asked->options.timeout_ms = number_of(step, "timeout", PATIENCE_MS);
    return ids_of(world, option_of(step, "ids"), asked);
}

static bool is_so(const primer_redriven_counts_t *counts, const word_t *word) {
    uint64_t number = strtoull((const char *)word->value, NULL, 10);
    if (!word->key) return false;
    if (!strcmp(word->key, "matched")) return counts->matched == number;
    if (!strcmp(word->key, "moved")) return counts->moved == number;
    if (!strcmp(word->key, "refused")) return counts->refused == number;
    if (!strcmp(word->key, "skipped")) return counts->skipped == number;
    return !strcmp(word->key, "leased") && counts->leased == number;
}

static bool check_told(world_t *world, const step_t *step, const primer_redriven_t *told) {
    primer_redriven_counts_t counts;
    const char *member;
    size_t missing = primer_redriven_missing_len(told);
    if (primer_redriven_counts(told, &counts) != PRIMER_OK) return differs(world, "nothing is told");
    for (size_t i = 0; i < step->expect_count; i++)
        for (size_t at = 0; at < step->expect[i].count; at++)
            if (!is_so(&counts, &step->expect[i].at[at]))
                return differs(world, "another %s: matched=%d moved=%d refused=%d skipped=%d leased=%d",
                               step->expect[i].at[at].key ? step->expect[i].at[at].key : "word",
                               (int)counts.matched, (int)counts.moved, (int)counts.refused,
                               (int)counts.skipped, (int)counts.leased);
    if (missing != (size_t)number_of(step, "missing", 0))
        return differs(world, "%zu members are missing", missing);
    for (size_t i = 0; i < missing; i++)
        if (primer_redriven_missing_at(told, i, &member) != PRIMER_OK || strlen(member) != 32)
            return differs(world, "a missing member has no id");
    return true;
}

bool redrive(world_t *world, const step_t *step, member_t *member) {
    asked_t asked = {0};
    primer_queue_t *queue;
    primer_redriven_t *told = NULL;
    if (!asked_of(world, step, &asked)) return differs(world, "no such option or message");
    primer_code_t code = find_queue(world, member, &step->args.at[1], &queue);
    if (code == PRIMER_OK) code = verb_redrive(queue, &asked.options, &told);
    came_t came = settle(world, step, code);
    bool is_good = came == SETTLED || (came == WENT && check_told(world, step, told));
    primer_redriven_free(told);
    return is_good;
}

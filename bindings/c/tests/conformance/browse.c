/* See browse.h. */
#define _POSIX_C_SOURCE 200809L
#include "browse.h"

#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "verbs.h"

struct cursor {
    cursor_t *next;
    char *name;
    char *text;
};

static const char *text_of(const step_t *step, const char *key) {
    const word_t *word = option_of(step, key);
    return word ? (const char *)word->value : NULL;
}

/* The states that the step names; -2, which is none, when it names another word. */
static int64_t states_of(const step_t *step) {
    const char *rest = text_of(step, "states");
    int64_t states = 0;
    if (!rest) return PRIMER_DEFAULT;
    while (*rest) {
        size_t len = strcspn(rest, ",");
        if (len == 5 && !memcmp(rest, "ready", len))
            states |= PRIMER_STATE_READY;
        else if (len == 7 && !memcmp(rest, "delayed", len))
            states |= PRIMER_STATE_DELAYED;
        else if (len == 6 && !memcmp(rest, "leased", len))
            states |= PRIMER_STATE_LEASED;
        else
            return -2;
        rest += len + (rest[len] == ',');
    }
    return states;
}

/* A cursor by its name; a text is one that no page gave. */
static const char *cursor_of(world_t *world, const word_t *word) {
    cursor_t *cursor = world->cursors;
    if (!word || word->is_text) return word ? (const char *)word->value : NULL;
    while (cursor && strcmp(cursor->name, (const char *)word->value)) cursor = cursor->next;
    return cursor ? cursor->text : "no cursor of that name";
}

static bool look_of(world_t *world, const step_t *step, primer_browse_options_t *options,
                    primer_header_t *headers) {
    primer_enqueue_options_t with_headers;
    *options = (primer_browse_options_t)PRIMER_BROWSE_OPTIONS_INIT;
    if (!options_of(step, &with_headers, headers)) return false;
    options->headers = headers;
    options->headers_len = with_headers.headers_len;
    options->max = number_of(step, "max", PRIMER_DEFAULT);
    options->after = cursor_of(world, option_of(step, "after"));
    options->group = text_of(step, "group");
    options->states = states_of(step);
    options->body_bytes_max = number_of(step, "body_bytes", PRIMER_DEFAULT);
    options->timeout_ms = number_of(step, "timeout", PATIENCE_MS);
    return true;
}

static bool has_header(const primer_page_t *page, size_t index, const word_t *word) {
    const char *key = word->key + strlen("header.");
    primer_header_t header;
    for (size_t i = 0; primer_page_header(page, index, i, &header) == PRIMER_OK; i++)
        if (header.key.len == strlen(key) && !memcmp(header.key.data, key, header.key.len) &&
            header.value.len == word->len && !memcmp(header.value.data, word->value, word->len))
            return true;
    return false;
}

static const char *name_of(int64_t state) {
    if (state == PRIMER_STATE_READY) return "ready";
    return state == PRIMER_STATE_DELAYED ? "delayed" : "leased";
}

static bool is_so(const primer_page_t *page, size_t index, const primer_browsed_t *browsed,
                  const word_t *word) {
    const char *value = (const char *)word->value;
    uint64_t number = strtoull(value, NULL, 10);
    if (!word->key)
        return browsed->body.len == word->len && !memcmp(browsed->body.data, value, word->len);
    if (!strcmp(word->key, "state")) return !strcmp(value, name_of(browsed->state));
    if (!strcmp(word->key, "attempts")) return browsed->attempts == number;
    if (!strcmp(word->key, "priority")) return browsed->priority == number;
    if (!strcmp(word->key, "copies")) return browsed->copies == number;
    if (!strcmp(word->key, "bytes")) return browsed->body_bytes == number;
    if (!strcmp(word->key, "group")) return browsed->group && !strcmp(value, browsed->group);
    if (!strcmp(word->key, "key")) {
        primer_bytes_t key = primer_page_key(page, index);
        return key.data && key.len == word->len && !memcmp(key.data, word->value, key.len);
    }
    return !strncmp(word->key, "header.", 7) && has_header(page, index, word);
}

static bool check_message(world_t *world, const primer_page_t *page, size_t index,
                          const words_t *words) {
    primer_browsed_t browsed;
    if (primer_page_at(page, index, &browsed) != PRIMER_OK) return differs(world, "it is not there");
    if (!bind_message(world, (const char *)words->at[0].value, browsed.id)) return false;
    for (size_t i = 1; i < words->count; i++)
        if (!is_so(page, index, &browsed, &words->at[i]))
            return differs(world, "%s: another %s", (const char *)words->at[0].value,
                           words->at[i].key ? words->at[i].key : "body");
    bool is_dated = browsed.accepted_ms && strlen(browsed.owner) == 32 &&
                    (browsed.ready_at_ms != 0) == (browsed.state == PRIMER_STATE_DELAYED) &&
                    (browsed.lease_ms != 0) == (browsed.state == PRIMER_STATE_LEASED);
    return is_dated || differs(world, "its dates do not fit its state");
}

static bool check_page(world_t *world, const step_t *step, const primer_page_t *page) {
    size_t wanted = expects_only(step, "empty") ? 0 : step->expect_count;
    const char *name = text_of(step, "cursor"), *cursor = primer_page_cursor(page), *member;
    size_t missing = primer_page_missing_len(page);
    if (primer_page_len(page) != wanted)
        return differs(world, "wanted %zu messages, got %zu", wanted, primer_page_len(page));
    for (size_t i = 0; i < wanted; i++)
        if (!check_message(world, page, i, &step->expect[i])) return false;
    if (missing != (size_t)number_of(step, "missing", 0))
        return differs(world, "%zu members are missing", missing);
    for (size_t i = 0; i < missing; i++)
        if (primer_page_missing_at(page, i, &member) != PRIMER_OK || strlen(member) != 32)
            return differs(world, "a missing member has no id");
    if (!name) return true;
    if (!strcmp(name, "none") != !cursor) return differs(world, "wanted cursor %s", name);
    if (!cursor) return true;
    cursor_t *known = calloc(1, sizeof *known);
    if (!known) abort();
    known->next = world->cursors;
    known->name = strdup(name);
    known->text = strdup(cursor);
    world->cursors = known;
    return true;
}

bool browse(world_t *world, const step_t *step, member_t *member) {
    primer_browse_options_t options;
    primer_header_t headers[64];
    primer_queue_t *queue;
    primer_page_t *page = NULL;
    if (!look_of(world, step, &options, headers)) return differs(world, "no such option");
    primer_code_t code = find_queue(world, member, &step->args.at[1], &queue);
    if (code == PRIMER_OK) code = verb_browse(queue, &options, &page);
    came_t came = settle(world, step, code);
    bool is_good = came == SETTLED || (came == WENT && check_page(world, step, page));
    primer_page_free(page);
    return is_good;
}

void drop_cursors(world_t *world) {
    while (world->cursors) {
        cursor_t *first = world->cursors;
        world->cursors = first->next;
        free(first->name);
        free(first->text);
        free(first);
    }
}

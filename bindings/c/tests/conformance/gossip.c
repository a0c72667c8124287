/* See gossip.h. */
#define _POSIX_C_SOURCE 200809L
#include "gossip.h"

#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "verbs.h"

/* Secrets that one step may name; more is the library's to refuse. */
enum { SECRETS_MAX = 8 };

static const char *arg(const step_t *step, size_t index) {
    return (const char *)step->args.at[index].value;
}

/* The member that the step begins with; NULL, and told, when there is none of that name. */
static primer_t *primer_of(world_t *world, const step_t *step) {
    member_t *member = find_member(world, &step->args.at[0]);
    return member ? member->primer : NULL;
}

static bool is_text(primer_bytes_t bytes, const word_t *word) {
    return bytes.len == word->len && (!bytes.len || !memcmp(bytes.data, word->value, bytes.len));
}

/* The id of a member that the scenario names. False, and told, when it has none. */
static bool id_of(world_t *world, const word_t *name, char id[64]) {
    member_t *member = find_member(world, name);
    primer_members_t *members;
    primer_member_t row;
    *id = '\0';
    if (!member) return false;
    primer_members(member->primer, &members);
    for (size_t i = 0; primer_members_at(members, i, &row) == PRIMER_OK; i++)
        if (row.is_self) snprintf(id, 64, "%s", row.id);
    primer_members_free(members);
    return *id || differs(world, "`%s` has no id", member->name);
}

static bool broadcast(world_t *world, const step_t *step) {
    const word_t *body = &step->args.at[2];
    primer_t *primer = primer_of(world, step);
    if (!primer) return false;
    return expect_done(world, step, primer_broadcast(primer, arg(step, 1), body->value, body->len));
}

static bool put(world_t *world, const step_t *step) {
    const word_t *value = &step->args.at[2];
    primer_t *primer = primer_of(world, step);
    if (!primer) return false;
    return expect_done(world, step, primer_put(primer, arg(step, 1), value->value, value->len));
}

static bool delete(world_t *world, const step_t *step) {
    primer_t *primer = primer_of(world, step);
    return primer && expect_done(world, step, primer_delete(primer, arg(step, 1)));
}

static bool evict(world_t *world, const step_t *step) {
    char id[64];
    primer_t *primer = primer_of(world, step);
    if (!primer || !id_of(world, &step->args.at[1], id)) return false;
    return expect_done(world, step, primer_evict(primer, id));
}

static bool rotate(world_t *world, const step_t *step) {
    const char *secrets[SECRETS_MAX];
    size_t count = 0;
    char *list = strdup(arg(step, 1)), *rest = list;
    primer_t *primer = primer_of(world, step);
    for (char *one = strtok_r(list, ",", &rest); one && count < SECRETS_MAX;
         one = strtok_r(NULL, ",", &rest))
        secrets[count++] = one;
    bool is_good = primer && expect_done(world, step, primer_rotate(primer, secrets, count));
    free(list);
    return is_good;
}

static bool reclaim(world_t *world, const step_t *step) {
    const word_t *keep = option_of(step, "keep");
    uint64_t count = 0;
    char text[24];
    primer_t *primer = primer_of(world, step);
    if (!primer) return false;
    bool keeps = keep && !strcmp((const char *)keep->value, "true");
    came_t came = settle(world, step, primer_reclaim(primer, keeps, &count));
    if (came != WENT) return came == SETTLED;
    snprintf(text, sizeof text, "%llu", (unsigned long long)count);
    return expects_only(step, text) || differs(world, "it is %s", text);
}

/* Binds a reader of a topic, or of changes. */
static bool hear(world_t *world, const step_t *step) {
    primer_topic_t *topic = NULL;
    primer_watch_t *watch = NULL;
    primer_t *primer = primer_of(world, step);
    if (!primer) return false;
    came_t came = settle(world, step,
                         strcmp(step->verb, "on") ? primer_watch(primer, arg(step, 1), &watch)
                                                  : primer_on(primer, arg(step, 1), &topic));
    if (came != WENT) return came == SETTLED;
    add_listener(world, step->expect_count ? (const char *)step->expect[0].at[0].value : "", topic,
                 watch);
    return step->expect_count || differs(world, "no name to bind");
}

static bool unlisten(world_t *world, const step_t *step) {
    listener_t *known = find_listener(world, &step->args.at[0]);
    if (!known) return false;
    return expect_done(world, step,
                       known->topic ? primer_topic_close(known->topic)
                                    : primer_watch_close(known->watch));
}

static bool check_heard(world_t *world, const step_t *step, const primer_broadcast_t *broadcast) {
    const word_t *from = option_of(step, "from");
    primer_bytes_t body = primer_broadcast_body(broadcast);
    char id[64];
    if (step->args.count < 2 || !is_text(body, &step->args.at[1]))
        return differs(world, "it heard %zu bytes \"%.*s\"", body.len,
                       body.len > 40 ? 40 : (int)body.len, (const char *)body.data);
    if (!from) return true;
    if (!id_of(world, from, id)) return false;
    return !strcmp(primer_broadcast_from(broadcast), id) ||
           differs(world, "it heard that from %s", primer_broadcast_from(broadcast));
}

static bool heard(world_t *world, const step_t *step) {
    listener_t *known = find_listener(world, &step->args.at[0]);
    primer_broadcast_t *broadcast;
    if (!known) return false;
    primer_code_t code = verb_heard(known->topic, PATIENCE_MS, &broadcast);
    if (code == PRIMER_EMPTY) return differs(world, "it heard nothing for %d ms", PATIENCE_MS);
    came_t came = settle(world, step, code);
    if (came != WENT) return came == SETTLED;
    bool is_good = check_heard(world, step, broadcast);
    primer_broadcast_free(broadcast);
    return is_good;
}

/* `none` is no value; a text is one, whatever it says. */
static bool is_none(const word_t *word) { return word_is(word, "none"); }

static bool is_change(const step_t *step, const primer_change_t *change) {
    primer_bytes_t value;
    const word_t *wanted = step->args.count > 2 ? &step->args.at[2] : NULL;
    if (!wanted || strcmp(primer_change_key(change), arg(step, 1))) return false;
    bool is_there = primer_change_value(change, &value) == PRIMER_OK;
    return is_none(wanted) ? !is_there : is_there && is_text(value, wanted);
}

static bool changed(world_t *world, const step_t *step) {
    listener_t *known = find_listener(world, &step->args.at[0]);
    int64_t end = now_ms() + PATIENCE_MS, left;
    while (known && (left = end - now_ms()) > 0) {
        primer_change_t *change;
        primer_code_t code = verb_changed(known->watch, left, &change);
        if (code == PRIMER_EMPTY) break;
        came_t came = settle(world, step, code);
        if (came != WENT) return came == SETTLED;
        bool is_it = is_change(step, change);
        primer_change_free(change);
        if (is_it) return true;
    }
    return known && differs(world, "no such change within %d ms", PATIENCE_MS);
}

/* Whether what a member reads is what the step wants; told when it is not. */
static came_t look(world_t *world, const step_t *step, primer_t *primer) {
    primer_value_t *value;
    primer_code_t code = primer_get(primer, arg(step, 1), &value);
    came_t came = settle(world, step, code);
    if (came != WENT) return came;
    const word_t *wanted = step->expect_count ? &step->expect[0].at[0] : NULL;
    primer_bytes_t bytes = primer_value_bytes(value);
    if (!wanted || (is_none(wanted) ? code == PRIMER_EMPTY
                                    : code == PRIMER_OK && is_text(bytes, wanted)))
        came = SETTLED;
    else if (code == PRIMER_EMPTY)
        differs(world, "it is none");
    else
        differs(world, "it is %zu bytes \"%.*s\"", bytes.len, bytes.len > 40 ? 40 : (int)bytes.len,
                (const char *)bytes.data);
    primer_value_free(value);
    return came;
}

/* The same for a list. */
static came_t look_over(world_t *world, const step_t *step, primer_t *primer) {
    primer_entries_t *entries;
    primer_entry_t entry;
    came_t came = settle(world, step, primer_list(primer, arg(step, 1), &entries));
    if (came != WENT) return came;
    size_t wanted = expects_only(step, "empty") ? 0 : step->expect_count;
    size_t count = primer_entries_len(entries), same = 0;
    for (size_t i = 0; i < wanted && primer_entries_at(entries, i, &entry) == PRIMER_OK; i++) {
        const words_t *words = &step->expect[i];
        same += words->count == 2 && !strcmp(entry.key, (const char *)words->at[0].value) &&
                is_text(entry.value, &words->at[1]);
    }
    primer_entries_free(entries);
    if (same == wanted && count == wanted) return SETTLED;
    differs(world, "%zu of %zu entries are as they should be, %zu should be there", same, count,
            wanted);
    return WENT;
}

/* Asks until the answer is the wanted one. */
static bool await_keys(world_t *world, const step_t *step) {
    int64_t end = now_ms() + PATIENCE_MS;
    primer_t *primer = primer_of(world, step);
    bool is_get = !strcmp(step->verb, "get");
    came_t came = primer ? WENT : DIFFERED;
    while (came == WENT) {
        came = is_get ? look(world, step, primer) : look_over(world, step, primer);
        if (came == WENT && now_ms() > end) return false;
        if (came == WENT) pause_ms(10);
    }
    return came == SETTLED;
}

typedef struct {
    const char *verb;
    size_t args_min, args_max;
    bool (*does)(world_t *world, const step_t *step);
} shape_t;

static const shape_t SHAPES[] = {
    {"broadcast", 3, 3, broadcast}, {"on", 2, 2, hear},          {"heard", 1, 2, heard},
    {"put", 3, 3, put},             {"delete", 2, 2, delete},    {"get", 2, 2, await_keys},
    {"list", 2, 2, await_keys},     {"watch", 2, 2, hear},       {"changed", 3, 3, changed},
    {"evict", 2, 2, evict},         {"rotate", 2, 2, rotate},    {"reclaim", 1, 1, reclaim},
    {"unlisten", 1, 1, unlisten},
};

static const shape_t *shape_of(const step_t *step) {
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        const shape_t *shape = &SHAPES[i];
        if (strcmp(step->verb, shape->verb)) continue;
        bool fits = step->args.count >= shape->args_min && step->args.count <= shape->args_max;
        return fits ? shape : NULL;
    }
    return NULL;
}

bool is_gossip(const step_t *step) { return shape_of(step) != NULL; }

bool gossip_step(world_t *world, const step_t *step) { return shape_of(step)->does(world, step); }

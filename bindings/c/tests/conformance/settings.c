/* See settings.h. */
#define _POSIX_C_SOURCE 200809L
#include "settings.h"

#include <stdio.h>
#include <string.h>

#include "expect.h"

enum { PAIRS_MAX = 16, TEXT_MAX = 512 };

/* Settings between spaces, cut where they stand. */
typedef struct {
    char text[TEXT_MAX];
    const char *keys[PAIRS_MAX], *values[PAIRS_MAX];
    size_t count;
} pairs_t;

static const char *arg(const step_t *step, size_t at) { return (const char *)step->args.at[at].value; }

static void cut(pairs_t *pairs, const char *text) {
    char *rest = pairs->text, *save = NULL;
    pairs->count = 0;
    snprintf(pairs->text, sizeof pairs->text, "%s", text);
    for (char *one; (one = strtok_r(rest, " ", &save)) && pairs->count < PAIRS_MAX; rest = NULL) {
        char *sign = strchr(one, '=');
        if (sign) *sign = 0;
        pairs->keys[pairs->count] = one;
        pairs->values[pairs->count++] = sign ? sign + 1 : "";
    }
}

bool configure(world_t *world, const step_t *step, member_t *member) {
    pairs_t pairs;
    primer_queue_t *queue;
    cut(&pairs, arg(step, 2));
    primer_code_t code = find_queue(world, member, &step->args.at[1], &queue);
    if (code == PRIMER_OK) code = primer_queue_configure(queue, pairs.keys, pairs.values, pairs.count);
    return expect_done(world, step, code);
}

bool pause_queue(world_t *world, const step_t *step, member_t *member) {
    primer_queue_t *queue;
    primer_code_t code = find_queue(world, member, &step->args.at[1], &queue);
    if (code == PRIMER_OK) code = primer_queue_pause(queue, arg(step, 2));
    return expect_done(world, step, code);
}

bool resume_queue(world_t *world, const step_t *step, member_t *member) {
    primer_queue_t *queue;
    primer_code_t code = find_queue(world, member, &step->args.at[1], &queue);
    if (code == PRIMER_OK) code = primer_queue_resume(queue);
    return expect_done(world, step, code);
}

bool purge_queue(world_t *world, const step_t *step, member_t *member) {
    primer_queue_t *queue;
    primer_code_t code = find_queue(world, member, &step->args.at[1], &queue);
    if (code == PRIMER_OK) code = primer_queue_purge(queue);
    return expect_done(world, step, code);
}

bool set_policy(world_t *world, const step_t *step, member_t *member) {
    pairs_t pairs;
    cut(&pairs, arg(step, 2));
    const char *prefix = arg(step, 1);
    return expect_done(world, step,
                       primer_set_policy(member->primer, prefix, pairs.keys, pairs.values, pairs.count));
}

bool remove_policy(world_t *world, const step_t *step, member_t *member) {
    return expect_done(world, step, primer_remove_policy(member->primer, arg(step, 1)));
}

static size_t wanted_count(const step_t *step) {
    return expects_only(step, "empty") ? 0 : step->expect_count;
}

static bool is_wanted(const step_t *step, size_t at, const char *text) {
    return !strcmp(text, (const char *)step->expect[at].at[0].value);
}

/* Whether they are those that the step names, in their order. */
static bool are_settings(const step_t *step, const primer_settings_t *settings) {
    const char *key, *value;
    char both[TEXT_MAX];
    size_t wanted = wanted_count(step);
    if (primer_settings_len(settings) != wanted) return false;
    for (size_t i = 0; i < wanted; i++) {
        if (primer_settings_at(settings, i, &key, &value) != PRIMER_OK) return false;
        snprintf(both, sizeof both, "%s=%s", key, value);
        if (!is_wanted(step, i, both)) return false;
    }
    return true;
}

static bool are_policies(const step_t *step, const primer_policies_t *policies) {
    const char *prefix;
    size_t wanted = wanted_count(step);
    if (primer_policies_len(policies) != wanted) return false;
    for (size_t i = 0; i < wanted; i++) {
        primer_settings_t *settings;
        if (primer_policies_at(policies, i, &prefix, &settings) != PRIMER_OK) return false;
        bool is_good = is_wanted(step, i, prefix) && primer_settings_len(settings) > 0;
        primer_settings_free(settings);
        if (!is_good) return false;
    }
    return true;
}

bool await_configuration(world_t *world, const step_t *step, member_t *member) {
    int64_t end = now_ms() + PATIENCE_MS;
    for (;;) {
        primer_queue_t *queue;
        primer_settings_t *settings = NULL;
        primer_code_t code = find_queue(world, member, &step->args.at[1], &queue);
        if (code == PRIMER_OK) code = primer_queue_configuration(queue, &settings);
        came_t came = settle(world, step, code);
        if (came != WENT) return came == SETTLED;
        size_t count = primer_settings_len(settings);
        bool is_good = are_settings(step, settings);
        primer_settings_free(settings);
        if (is_good) return true;
        if (now_ms() > end)
            return differs(world, "it has %zu, not those, after %d ms", count, PATIENCE_MS);
        pause_ms(10);
    }
}

bool await_policies(world_t *world, const step_t *step, member_t *member) {
    int64_t end = now_ms() + PATIENCE_MS;
    for (;;) {
        primer_policies_t *policies = NULL;
        came_t came = settle(world, step, primer_policies(member->primer, &policies));
        if (came != WENT) return came == SETTLED;
        size_t count = primer_policies_len(policies);
        bool is_good = are_policies(step, policies);
        primer_policies_free(policies);
        if (is_good) return true;
        if (now_ms() > end)
            return differs(world, "it has %zu, not those, after %d ms", count, PATIENCE_MS);
        pause_ms(10);
    }
}

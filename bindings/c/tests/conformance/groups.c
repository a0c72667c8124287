/* See groups.h. */
#define _POSIX_C_SOURCE 200809L
#include "groups.h"

#include <string.h>

#include "expect.h"

static const char *group_of(const step_t *step) { return (const char *)step->args.at[2].value; }

bool create_group(world_t *world, const step_t *step, member_t *member) {
    primer_queue_t *queue;
    bool backlog = is_true(step, "backlog");
    primer_code_t code = find_queue(world, member, &step->args.at[1], &queue);
    if (code == PRIMER_OK) code = primer_queue_create_group(queue, group_of(step), backlog);
    return expect_done(world, step, code);
}

bool remove_group(world_t *world, const step_t *step, member_t *member) {
    primer_queue_t *queue;
    primer_code_t code = find_queue(world, member, &step->args.at[1], &queue);
    if (code == PRIMER_OK) code = primer_queue_remove_group(queue, group_of(step));
    return expect_done(world, step, code);
}

/* Whether they are those that the step names, in their order. */
static bool are_wanted(const step_t *step, const primer_groups_t *groups) {
    const char *name;
    size_t wanted = expects_only(step, "empty") ? 0 : step->expect_count;
    if (primer_groups_len(groups) != wanted) return false;
    for (size_t i = 0; i < wanted; i++)
        if (primer_groups_at(groups, i, &name) != PRIMER_OK ||
            strcmp(name, (const char *)step->expect[i].at[0].value))
            return false;
    return true;
}

bool await_groups(world_t *world, const step_t *step, member_t *member) {
    int64_t end = now_ms() + PATIENCE_MS;
    for (;;) {
        primer_queue_t *queue;
        primer_groups_t *groups = NULL;
        primer_code_t code = find_queue(world, member, &step->args.at[1], &queue);
        if (code == PRIMER_OK) code = primer_queue_groups(queue, &groups);
        came_t came = settle(world, step, code);
        if (came != WENT) return came == SETTLED;
        size_t count = primer_groups_len(groups);
        bool is_good = are_wanted(step, groups);
        primer_groups_free(groups);
        if (is_good) return true;
        if (now_ms() > end)
            return differs(world, "it has %zu, not those, after %d ms", count, PATIENCE_MS);
        pause_ms(10);
    }
}

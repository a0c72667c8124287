/* What each step does; see tests/conformance/README.md. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "browse.h"
#include "calls.h"
#include "doctor.h"
#include "expect.h"
#include "explain.h"
#include "gossip.h"
#include "groups.h"
#include "redrive.h"
#include "settings.h"
#include "verbs.h"
#include "world.h"

static const char *arg(const step_t *step, size_t index) {
    return (const char *)step->args.at[index].value;
}

/* The addresses of members named "b,c", comma separated; to be freed. */
static char *addresses_of(world_t *world, const word_t *names) {
    char *seeds = calloc(1, 1), *list = strdup((const char *)names->value), *rest = list;
    for (char *name = strtok_r(list, ",", &rest); seeds && name; name = strtok_r(NULL, ",", &rest)) {
        word_t word = {NULL, (uint8_t *)name, strlen(name), false};
        member_t *member = find_member(world, &word);
        const char *address = NULL;
        if (!member || primer_address(member->primer, &address) != PRIMER_OK) {
            free(seeds);
            seeds = NULL;
            break;
        }
        seeds = realloc(seeds, strlen(seeds) + strlen(address) + 2);
        if (*seeds) strcat(seeds, ",");
        strcat(seeds, address);
    }
    free(list);
    if (!seeds) differs(world, "`%s` has no address", (const char *)names->value);
    return seeds;
}

static bool open_member(world_t *world, const step_t *step) {
    const char *keys[33], *values[33];
    char *seeds = NULL;
    size_t count = step->options.count;
    for (size_t i = 0; i < count; i++) {
        const word_t *word = &step->options.at[i];
        keys[i] = word->key;
        values[i] = (const char *)word->value;
        if (strcmp(word->key, "join")) continue;
        seeds = addresses_of(world, word);
        if (!seeds) return false;
        keys[i] = "seeds";
        values[i] = seeds;
    }
    /* Members that share a cluster's name must not meet by it: scenarios run side by side. */
    if (count && !option_of(step, "discover")) {
        keys[count] = "discover";
        values[count++] = "none";
    }
    primer_t *primer;
    primer_events_t *events = NULL;
    primer_code_t code = primer_start_pairs(keys, values, count, &primer);
    free(seeds);
    if (code == PRIMER_OK) code = primer_events(primer, &events);
    if (code == PRIMER_OK) code = verb_joined(primer);
    came_t came = settle(world, step, code);
    if (came == WENT) {
        add_member(world, arg(step, 0), primer, events);
    } else {
        primer_events_free(events);
        primer_free(primer);
    }
    return came != DIFFERED;
}

static bool join(world_t *world, const step_t *step, member_t *member) {
    const word_t *to = &step->args.at[1];
    if (to->is_text) return expect_done(world, step, verb_join(member->primer, arg(step, 1)));
    char *address = addresses_of(world, to);
    bool is_good = address && expect_done(world, step, verb_join(member->primer, address));
    free(address);
    return is_good;
}

static primer_code_t members_reachable(primer_t *primer, uint64_t *count) {
    primer_members_t *members;
    primer_member_t member;
    primer_code_t code = primer_members(primer, &members);
    *count = 0;
    for (size_t i = 0; primer_members_at(members, i, &member) == PRIMER_OK; i++)
        *count += member.is_reachable;
    primer_members_free(members);
    return code;
}

static primer_code_t counter(primer_t *primer, const char *name, uint64_t *value) {
    primer_stats_t *stats;
    primer_code_t code = primer_stats(primer, &stats);
    if (code == PRIMER_OK) primer_stats_get(stats, name, value);
    primer_stats_free(stats);
    return code;
}

/* Waits until a count is the one that the step wants. */
static bool await_count(world_t *world, const step_t *step, member_t *member) {
    int64_t end = now_ms() + PATIENCE_MS;
    uint64_t count = 0;
    char text[24];
    for (;;) {
        primer_code_t code = step->args.count == 1
                                 ? members_reachable(member->primer, &count)
                                 : counter(member->primer, arg(step, 1), &count);
        came_t came = settle(world, step, code);
        if (came != WENT) return came == SETTLED;
        snprintf(text, sizeof text, "%llu", (unsigned long long)count);
        if (!step->expect_count || expects_only(step, text)) return true;
        if (now_ms() > end) return differs(world, "it is %s after %d ms", text, PATIENCE_MS);
        pause_ms(10);
    }
}

static bool await_event(world_t *world, const step_t *step, member_t *member) {
    int64_t end = now_ms() + PATIENCE_MS, left;
    while ((left = end - now_ms()) > 0) {
        primer_event_t *event;
        primer_code_t code = verb_event(member->events, left, &event);
        if (code == PRIMER_EMPTY) break;
        if (code != PRIMER_OK)
            return differs(world, "no event %s: %s", arg(step, 1), primer_last_error_message());
        bool is_it = !strcmp(primer_event_kind(event), arg(step, 1));
        primer_event_free(event);
        if (is_it) return true;
    }
    return differs(world, "no event %s within %d ms", arg(step, 1), PATIENCE_MS);
}

static bool address(world_t *world, const step_t *step, member_t *member) {
    const char *text;
    primer_code_t code = primer_address(member->primer, &text);
    came_t came = settle(world, step, code);
    if (came != WENT) return came == SETTLED;
    const char *has = code == PRIMER_OK ? "some" : "none";
    return !step->expect_count || expects_only(step, has) || differs(world, "it is %s", has);
}

/* Which of three words an option is: 0, 1 or 2, 3 for none of them, PRIMER_DEFAULT where it is not given. */
static int64_t one_of(const step_t *step, const char *key, const char *const words[3]) {
    const word_t *word = option_of(step, key);
    int64_t which = 0;
    if (!word) return PRIMER_DEFAULT;
    while (which < 3 && strcmp((const char *)word->value, words[which])) which++;
    return which;
}

static const char *const ON_SHORT[] = {"degrade", "fail", "wait"};
static const char *const IF_NO_GROUP[] = {"hold", "drop", "refuse"};

/* In which group; NULL for the queue itself. */
static const char *group_of(const step_t *step) {
    const word_t *group = option_of(step, "group");
    return group ? (const char *)group->value : NULL;
}

bool options_of(const step_t *step, primer_enqueue_options_t *options, primer_header_t *headers) {
    *options = (primer_enqueue_options_t)PRIMER_ENQUEUE_OPTIONS_INIT;
    options->copies = number_of(step, "copies", PRIMER_DEFAULT);
    options->timeout_ms = number_of(step, "timeout", PRIMER_DEFAULT);
    options->priority = number_of(step, "priority", PRIMER_DEFAULT);
    options->delay_ms = number_of(step, "delay", PRIMER_DEFAULT);
    options->ttl_ms = number_of(step, "ttl", PRIMER_DEFAULT);
    options->max_attempts = number_of(step, "max_attempts", PRIMER_DEFAULT);
    options->at_most_once = is_true(step, "at_most_once");
    if (option_of(step, "at")) options->at_ms = date_ms() + number_of(step, "at", 0);
    options->headers = headers;
    options->on_short = one_of(step, "on_short", ON_SHORT);
    options->if_no_group = one_of(step, "if_no_group", IF_NO_GROUP);
    options->dedup_window_ms = number_of(step, "dedup_window", PRIMER_DEFAULT);
    if (option_of(step, "dedup")) options->dedup = (const char *)option_of(step, "dedup")->value;
    if (option_of(step, "key")) options->key = (const char *)option_of(step, "key")->value;
    if (options->on_short == 3 || options->if_no_group == 3) return false;
    for (size_t i = 0; i < step->options.count && options->headers_len < 64; i++) {
        const word_t *word = &step->options.at[i];
        if (strncmp(word->key, "header.", 7)) continue;
        const char *key = word->key + 7;
        headers[options->headers_len++] =
            (primer_header_t){{(const uint8_t *)key, strlen(key)}, {word->value, word->len}};
    }
    return true;
}

static bool enqueue(world_t *world, const step_t *step, member_t *member) {
    primer_enqueue_options_t options;
    primer_header_t headers[64];
    primer_bytes_t bodies[100];
    primer_receipt_t receipts[100];
    primer_queue_t *queue;
    size_t count = step->args.count - 2;
    if (!options_of(step, &options, headers)) return differs(world, "no such on_short or if_no_group");
    for (size_t i = 0; i < count; i++) {
        const word_t *word = &step->args.at[i + 2];
        bodies[i] = (primer_bytes_t){word->value, word->len};
    }
    primer_code_t code = find_queue(world, member, &step->args.at[1], &queue);
    if (code == PRIMER_OK && !strcmp(step->verb, "enqueue"))
        code = verb_enqueue(queue, bodies[0].data, bodies[0].len, &options, receipts);
    else if (code == PRIMER_OK)
        code = verb_enqueue_many(queue, bodies, count, &options, receipts);
    came_t came = settle(world, step, code);
    if (came != WENT) return came == SETTLED;
    return expect_receipts(world, step, receipts, count);
}

static bool receive(world_t *world, const step_t *step, member_t *member) {
    primer_receive_options_t options = PRIMER_RECEIVE_OPTIONS_INIT;
    primer_queue_t *queue = NULL;
    size_t capacity = (size_t)number_of(step, "max", 1), count = 0;
    primer_delivery_t **deliveries = calloc(capacity + 1, sizeof *deliveries);
    options.wait_ms = number_of(step, "wait", 0);
    options.lease_ms = number_of(step, "lease", PRIMER_DEFAULT);
    options.group = group_of(step);
    options.backlog = is_true(step, "backlog");
    primer_code_t code = find_queue(world, member, &step->args.at[1], &queue);
    if (code == PRIMER_OK) code = verb_receive(queue, &options, deliveries, capacity, &count);
    came_t came = settle(world, step, code);
    bool is_good = came == SETTLED;
    if (came == WENT) is_good = expect_deliveries(world, step, member, queue, deliveries, count);
    free(deliveries);
    return is_good;
}

static bool subscribe(world_t *world, const step_t *step, member_t *member) {
    primer_subscribe_options_t options = PRIMER_SUBSCRIBE_OPTIONS_INIT;
    primer_subscription_t *subscription;
    primer_queue_t *queue;
    options.credit = number_of(step, "credit", PRIMER_DEFAULT);
    options.credit_bytes = number_of(step, "credit_bytes", PRIMER_DEFAULT);
    options.lease_ms = number_of(step, "lease", PRIMER_DEFAULT);
    options.group = group_of(step);
    options.backlog = is_true(step, "backlog");
    options.max_run_ms = number_of(step, "max_run", PRIMER_DEFAULT);
    primer_code_t code = find_queue(world, member, &step->args.at[1], &queue);
    if (code == PRIMER_OK) code = primer_queue_subscribe(queue, &options, &subscription);
    came_t came = settle(world, step, code);
    if (came != WENT) return came == SETTLED;
    const char *name = step->expect_count ? (const char *)step->expect[0].at[0].value : "";
    add_subscription(world, name, member, subscription, queue);
    return true;
}

static bool subscription(world_t *world, const step_t *step) {
    subscribed_t *known = find_subscription(world, &step->args.at[0]);
    if (!known) return false;
    if (!strcmp(step->verb, "credit")) {
        uint32_t more = (uint32_t)strtoul(arg(step, 1), NULL, 10);
        return expect_done(world, step, primer_subscription_credit(known->subscription, more));
    }
    if (!strcmp(step->verb, "unsubscribe"))
        return expect_done(world, step, primer_subscription_close(known->subscription));
    primer_delivery_t *delivery;
    primer_code_t code = verb_next(known->subscription, number_of(step, "wait", 0), &delivery);
    came_t came = settle(world, step, code);
    if (came != WENT) return came == SETTLED;
    return expect_deliveries(world, step, known->member, known->queue, &delivery,
                             code == PRIMER_OK ? 1 : 0);
}

static bool ack_many(world_t *world, const step_t *step, member_t *member) {
    primer_delivery_t *deliveries[100];
    primer_code_t codes[100];
    primer_queue_t *queue = NULL;
    size_t count = step->args.count - 1;
    for (size_t i = 0; i < count; i++) {
        received_t *known = find_received(world, member, &step->args.at[i + 1]);
        if (!known) return false;
        deliveries[i] = known->delivery;
        queue = known->queue;
    }
    primer_code_t code = primer_queue_ack_many(queue, deliveries, count, codes);
    came_t came = settle(world, step, code);
    if (came != WENT) return came == SETTLED;
    return expect_codes(world, step, codes, count);
}

static bool settle_one(world_t *world, const step_t *step, member_t *member) {
    received_t *known = find_received(world, member, &step->args.at[1]);
    if (!known) return false;
    const word_t *reason = option_of(step, "reason");
    primer_code_t code;
    if (!strcmp(step->verb, "ack"))
        code = primer_queue_ack(known->queue, known->delivery);
    else if (!strcmp(step->verb, "nack"))
        code = verb_nack(known->queue, known->delivery, number_of(step, "delay", PRIMER_DEFAULT));
    else if (!strcmp(step->verb, "release"))
        code = verb_release(known->queue, known->delivery);
    else if (!strcmp(step->verb, "reject"))
        code = verb_reject(known->queue, known->delivery, reason ? (const char *)reason->value : "");
    else if (!strcmp(step->verb, "extend"))
        code = verb_extend(known->queue, known->delivery, number_of(step, "lease", PRIMER_DEFAULT));
    else {
        drop_received(world, known);
        code = PRIMER_OK;
    }
    return expect_done(world, step, code);
}

static bool leave(world_t *world, const step_t *step, member_t *member) {
    int64_t drain_ms = number_of(step, "drain", PRIMER_DEFAULT);
    bool is_forced = is_true(step, "force");
    return expect_done(world, step, verb_leave(member->primer, drain_ms, is_forced));
}

static bool close_member(world_t *world, const step_t *step, member_t *member) {
    return expect_done(world, step, verb_close(member->primer));
}

typedef struct {
    const char *verb;
    size_t args_min, args_max;
    bool (*does)(world_t *world, const step_t *step, member_t *member);
} shape_t;

static const shape_t SHAPES[] = {
    {"join", 2, 2, join},
    {"members", 1, 1, await_count},
    {"stats", 2, 2, await_count},
    {"address", 1, 1, address},
    {"event", 2, 2, await_event},
    {"enqueue", 3, 3, enqueue},
    {"enqueue_many", 3, 99, enqueue},
    {"call", 3, 3, begin_call},
    {"reply", 3, 3, give_reply},
    {"receive", 2, 2, receive},
    {"browse", 2, 2, browse},
    {"explain", 2, 2, explain},
    {"redrive", 2, 2, redrive},
    {"doctor", 2, 2, doctor},
    {"ack", 2, 2, settle_one},
    {"ack_many", 2, 99, ack_many},
    {"nack", 2, 2, settle_one},
    {"release", 2, 2, settle_one},
    {"extend", 2, 2, settle_one},
    {"reject", 2, 2, settle_one},
    {"drop", 2, 2, settle_one},
    {"subscribe", 2, 2, subscribe},
    {"create_group", 3, 3, create_group},
    {"remove_group", 3, 3, remove_group},
    {"groups", 2, 2, await_groups},
    {"configure", 3, 3, configure},
    {"configuration", 2, 2, await_configuration},
    {"pause", 3, 3, pause_queue},
    {"resume", 2, 2, resume_queue},
    {"purge", 2, 2, purge_queue},
    {"set_policy", 3, 3, set_policy},
    {"remove_policy", 2, 2, remove_policy},
    {"policies", 1, 1, await_policies},
    {"leave", 1, 1, leave},
    {"close", 1, 1, close_member},
};

bool world_step(world_t *world, const step_t *step) {
    size_t count = step->args.count;
    if (!strcmp(step->verb, "open") && count == 1 && step->options.count <= 32)
        return open_member(world, step);
    bool is_next = !strcmp(step->verb, "next") || !strcmp(step->verb, "unsubscribe");
    if ((is_next && count == 1) || (!strcmp(step->verb, "credit") && count == 2))
        return subscription(world, step);
    if (!strcmp(step->verb, "replied") && count == 1) return end_call(world, step);
    if (is_gossip(step)) return gossip_step(world, step);
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        const shape_t *shape = &SHAPES[i];
        if (strcmp(step->verb, shape->verb)) continue;
        if (count < shape->args_min || count > shape->args_max) break;
        member_t *member = find_member(world, &step->args.at[0]);
        return member && shape->does(world, step, member);
    }
    return differs(world, "this runner does not know `%s` with %zu arguments", step->verb, count);
}

/* See calls.h. */
#define _POSIX_C_SOURCE 200809L
#include "calls.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "verbs.h"

struct call {
    call_t *next;
    char *name;
    /* What is asked: the step outlives it. */
    primer_queue_t *queue;
    const word_t *body;
    primer_enqueue_options_t options;
    primer_header_t headers[64];
    int64_t timeout_ms;
    /* In a thread, or through completions. */
    pthread_t thread;
    primer_completions_t *completions;
    /* What came of it. */
    primer_code_t code;
    char error[256];
    primer_reply_t *reply;
};

static void *run(void *argument) {
    call_t *call = argument;
    call->code = primer_queue_call(call->queue, call->body->value, call->body->len, &call->options,
                                   call->timeout_ms, &call->reply);
    if (call->code != PRIMER_OK) strncpy(call->error, primer_last_error_message(), 255);
    return NULL;
}

bool begin_call(world_t *world, const step_t *step, member_t *member) {
    call_t *call = calloc(1, sizeof *call);
    uint64_t ticket;
    if (!call || !step->expect_count) abort();
    call->next = world->calls;
    call->name = strdup((const char *)step->expect[0].at[0].value);
    call->body = &step->args.at[2];
    world->calls = call;
    if (!options_of(step, &call->options, call->headers))
        return differs(world, "no such on_short or if_no_group");
    call->options.timeout_ms = PRIMER_DEFAULT;
    call->timeout_ms = number_of(step, "timeout", PATIENCE_MS);
    call->code = find_queue(world, member, &step->args.at[1], &call->queue);
    if (call->code != PRIMER_OK) return differs(world, "no queue");
    if (!late) return !pthread_create(&call->thread, NULL, run, call);
    if (primer_completions_new(&call->completions) != PRIMER_OK) abort();
    call->code = primer_queue_call_start(call->queue, call->body->value, call->body->len,
                                         &call->options, call->timeout_ms, call->completions,
                                         &call->reply, &ticket);
    return true;
}

/* Waits for its end, whichever way it goes. */
static void finish(call_t *call) {
    primer_completion_t *answer;
    size_t len;
    if (!call->completions) {
        pthread_join(call->thread, NULL);
    } else if (call->code == PRIMER_LATER) {
        if (primer_completions_wait(call->completions, &answer, 1, PATIENCE_MS * 2, &len) != PRIMER_OK)
            abort();
        call->code = primer_completion_code(answer);
        if (call->code == PRIMER_OK) call->code = primer_completion_reply(answer, &call->reply);
        primer_completion_free(answer);
    }
    primer_completions_free(call->completions);
}

static void drop(call_t *call) {
    primer_reply_free(call->reply);
    free(call->name);
    free(call);
}

bool give_reply(world_t *world, const step_t *step, member_t *member) {
    primer_enqueue_options_t options;
    primer_header_t headers[64];
    const word_t *body = &step->args.at[2];
    received_t *known = find_received(world, member, &step->args.at[1]);
    if (!known || !options_of(step, &options, headers)) return false;
    return expect_done(world, step,
                       primer_queue_reply(known->queue, known->delivery, body->value, body->len,
                                          headers, options.headers_len));
}

/* Whether the reply has a header that the step names. */
static bool has_header(const primer_reply_t *reply, const word_t *word) {
    const char *key = word->key + 7;
    primer_header_t header;
    for (size_t i = 0; primer_reply_header(reply, i, &header) == PRIMER_OK; i++)
        if (header.key.len == strlen(key) && !memcmp(header.key.data, key, header.key.len) &&
            header.value.len == word->len && !memcmp(header.value.data, word->value, word->len))
            return true;
    return false;
}

static bool is_wanted(world_t *world, const step_t *step, const primer_reply_t *reply) {
    primer_bytes_t body = primer_reply_body(reply);
    const words_t *words = &step->expect[0];
    if (body.len != words->at[0].len || memcmp(body.data, words->at[0].value, body.len))
        return differs(world, "it was answered %zu other bytes", body.len);
    for (size_t i = 1; i < words->count; i++)
        if (!has_header(reply, &words->at[i]))
            return differs(world, "it has no %s", words->at[i].key);
    return true;
}

bool end_call(world_t *world, const step_t *step) {
    call_t **place = &world->calls;
    while (*place && strcmp((*place)->name, (const char *)step->args.at[0].value))
        place = &(*place)->next;
    call_t *call = *place;
    if (!call) return differs(world, "there is no such call, or it has ended");
    *place = call->next;
    finish(call);
    came_t came = settle(world, step, call->code);
    bool is_good = came == SETTLED || (came == WENT && is_wanted(world, step, call->reply));
    drop(call);
    return is_good;
}

void drop_calls(world_t *world) {
    while (world->calls) {
        call_t *first = world->calls;
        world->calls = first->next;
        finish(first);
        drop(first);
    }
}

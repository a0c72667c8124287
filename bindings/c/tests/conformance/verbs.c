/* See verbs.h. */
#define _POSIX_C_SOURCE 200809L
#include "verbs.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

primer_completions_t *late;

/* A lost completion would hang the run; every answer has its own deadline long before this. */
#define PATIENCE_MS 60000

/* The completion of a ticket. */
static primer_completion_t *completion_of(uint64_t ticket) {
    struct pollfd fd = {primer_completions_fd(late), POLLIN, 0};
    primer_completion_t *answer;
    size_t len;
    for (;;) {
        primer_code_t code = primer_completions_drain(late, &answer, 1, &len);
        if (code == PRIMER_OK && primer_completion_ticket(answer) == ticket) return answer;
        /* One verb at a time: there is no other answer to come. */
        if (code != PRIMER_EMPTY || poll(&fd, 1, PATIENCE_MS) != 1) {
            fprintf(stderr, "no completion for ticket %llu (%d)\n", (unsigned long long)ticket, code);
            abort();
        }
    }
}

/* What a started verb without a value comes to; the ticket is read after the start has written it. */
static primer_code_t done(primer_code_t started, const uint64_t *ticket) {
    if (started != PRIMER_LATER) return started;
    primer_completion_t *answer = completion_of(*ticket);
    primer_code_t code = primer_completion_code(answer);
    primer_completion_free(answer);
    return code;
}

primer_code_t verb_joined(primer_t *p) {
    uint64_t ticket = 0;
    return late ? done(primer_joined_start(p, late, &ticket), &ticket) : primer_joined(p);
}

primer_code_t verb_join(primer_t *p, const char *address) {
    uint64_t ticket = 0;
    return late ? done(primer_join_start(p, address, late, &ticket), &ticket)
                : primer_join(p, address);
}

primer_code_t verb_leave(primer_t *p, int64_t drain_ms, bool force) {
    uint64_t ticket = 0;
    return late ? done(primer_leave_start(p, drain_ms, force, late, &ticket), &ticket)
                : primer_leave(p, drain_ms, force);
}

primer_code_t verb_close(primer_t *p) {
    uint64_t ticket = 0;
    return late ? done(primer_close_start(p, late, &ticket), &ticket) : primer_close(p);
}

static primer_code_t receipts_of(primer_code_t started, uint64_t ticket, primer_receipt_t *receipts,
                                 size_t count) {
    size_t len;
    if (started != PRIMER_LATER) return started;
    primer_completion_t *answer = completion_of(ticket);
    primer_code_t code = primer_completion_code(answer);
    if (code == PRIMER_OK &&
        (primer_completion_receipts(answer, receipts, count, &len) != PRIMER_OK || len != count))
        abort();
    primer_completion_free(answer);
    return code;
}

primer_code_t verb_enqueue(primer_queue_t *q, const void *body, size_t len,
                           const primer_enqueue_options_t *options, primer_receipt_t *receipt) {
    uint64_t ticket;
    if (!late) return primer_queue_enqueue(q, body, len, options, receipt);
    primer_code_t code =
        primer_queue_enqueue_start(q, body, len, options, late, receipt, &ticket);
    return receipts_of(code, ticket, receipt, 1);
}

primer_code_t verb_enqueue_many(primer_queue_t *q, const primer_bytes_t *bodies, size_t count,
                                const primer_enqueue_options_t *options,
                                primer_receipt_t *receipts) {
    uint64_t ticket;
    if (!late) return primer_queue_enqueue_many(q, bodies, count, options, receipts);
    primer_code_t code =
        primer_queue_enqueue_many_start(q, bodies, count, options, late, receipts, &ticket);
    return receipts_of(code, ticket, receipts, count);
}

static primer_code_t deliveries_of(primer_code_t started, uint64_t ticket,
                                   primer_delivery_t **deliveries, size_t capacity, size_t *len) {
    if (started != PRIMER_LATER) return started;
    primer_completion_t *answer = completion_of(ticket);
    primer_code_t code = primer_completion_code(answer);
    if (code == PRIMER_OK) code = primer_completion_deliveries(answer, deliveries, capacity, len);
    primer_completion_free(answer);
    return code;
}

primer_code_t verb_receive(primer_queue_t *q, const primer_receive_options_t *options,
                           primer_delivery_t **deliveries, size_t capacity, size_t *len) {
    uint64_t ticket;
    if (!late) return primer_queue_receive(q, options, deliveries, capacity, len);
    primer_code_t code =
        primer_queue_receive_start(q, options, late, deliveries, capacity, len, &ticket);
    return deliveries_of(code, ticket, deliveries, capacity, len);
}

primer_code_t verb_browse(primer_queue_t *q, const primer_browse_options_t *options,
                          primer_page_t **page) {
    uint64_t ticket;
    if (!late) return primer_queue_browse(q, options, page);
    primer_code_t code = primer_queue_browse_start(q, options, late, page, &ticket);
    if (code != PRIMER_LATER) return code;
    primer_completion_t *answer = completion_of(ticket);
    code = primer_completion_code(answer);
    if (code == PRIMER_OK && (primer_completion_kind(answer) != PRIMER_COMPLETION_PAGE ||
                              primer_completion_page(answer, page) != PRIMER_OK))
        abort();
    primer_completion_free(answer);
    return code;
}

primer_code_t verb_explain(primer_t *p, const char *id, primer_explanation_t **explanation) {
    uint64_t ticket;
    if (!late) return primer_explain(p, id, explanation);
    primer_code_t code = primer_explain_start(p, id, late, explanation, &ticket);
    if (code != PRIMER_LATER) return code;
    primer_completion_t *answer = completion_of(ticket);
    code = primer_completion_code(answer);
    if (code == PRIMER_OK &&
        (primer_completion_kind(answer) != PRIMER_COMPLETION_EXPLANATION ||
         primer_completion_explanation(answer, explanation) != PRIMER_OK))
        abort();
    primer_completion_free(answer);
    return code;
}

primer_code_t verb_redrive(primer_queue_t *q, const primer_redrive_options_t *options,
                           primer_redriven_t **redriven) {
    uint64_t ticket;
    if (!late) return primer_queue_redrive(q, options, redriven);
    primer_code_t code = primer_queue_redrive_start(q, options, late, redriven, &ticket);
    if (code != PRIMER_LATER) return code;
    primer_completion_t *answer = completion_of(ticket);
    code = primer_completion_code(answer);
    if (code == PRIMER_OK && (primer_completion_kind(answer) != PRIMER_COMPLETION_REDRIVEN ||
                              primer_completion_redriven(answer, redriven) != PRIMER_OK))
        abort();
    primer_completion_free(answer);
    return code;
}

primer_code_t verb_doctor(primer_queue_t *q, primer_diagnosis_t **diagnosis) {
    uint64_t ticket;
    if (!late) return primer_queue_doctor(q, diagnosis);
    primer_code_t code = primer_queue_doctor_start(q, late, diagnosis, &ticket);
    if (code != PRIMER_LATER) return code;
    primer_completion_t *answer = completion_of(ticket);
    code = primer_completion_code(answer);
    if (code == PRIMER_OK && (primer_completion_kind(answer) != PRIMER_COMPLETION_DIAGNOSIS ||
                              primer_completion_diagnosis(answer, diagnosis) != PRIMER_OK))
        abort();
    primer_completion_free(answer);
    return code;
}

primer_code_t verb_nack(primer_queue_t *q, primer_delivery_t *d, int64_t delay_ms) {
    uint64_t ticket = 0;
    return late ? done(primer_queue_nack_start(q, d, delay_ms, late, &ticket), &ticket)
                : primer_queue_nack(q, d, delay_ms);
}

primer_code_t verb_release(primer_queue_t *q, primer_delivery_t *d) {
    uint64_t ticket = 0;
    return late ? done(primer_queue_release_start(q, d, late, &ticket), &ticket)
                : primer_queue_release(q, d);
}

primer_code_t verb_reject(primer_queue_t *q, primer_delivery_t *d, const char *reason) {
    uint64_t ticket = 0;
    return late ? done(primer_queue_reject_start(q, d, reason, late, &ticket), &ticket)
                : primer_queue_reject(q, d, reason);
}

primer_code_t verb_extend(primer_queue_t *q, primer_delivery_t *d, int64_t lease_ms) {
    uint64_t ticket = 0;
    return late ? done(primer_queue_extend_start(q, d, lease_ms, late, &ticket), &ticket)
                : primer_queue_extend(q, d, lease_ms);
}

/* Polls a descriptor for up to `wait_ms` in all, as `next` says PRIMER_EMPTY. */
#define POLL_NEXT(fd_of, next)                                     \
    do {                                                           \
        struct pollfd fd = {fd_of, POLLIN, 0};                     \
        primer_code_t code;                                        \
        while ((code = next) == PRIMER_EMPTY && wait_ms > 0) {     \
            if (poll(&fd, 1, (int)wait_ms) != 1) return code;      \
        }                                                          \
        return code;                                               \
    } while (0)

primer_code_t verb_next(primer_subscription_t *s, int64_t wait_ms, primer_delivery_t **delivery) {
    if (!late) return primer_subscription_next(s, wait_ms, delivery);
    POLL_NEXT(primer_subscription_fd(s), primer_subscription_next(s, 0, delivery));
}

primer_code_t verb_event(primer_events_t *events, int64_t wait_ms, primer_event_t **event) {
    if (!late) return primer_events_next(events, wait_ms, event);
    POLL_NEXT(primer_events_fd(events), primer_events_next(events, 0, event));
}

primer_code_t verb_heard(primer_topic_t *topic, int64_t wait_ms, primer_broadcast_t **broadcast) {
    if (!late) return primer_topic_next(topic, wait_ms, broadcast);
    POLL_NEXT(primer_topic_fd(topic), primer_topic_next(topic, 0, broadcast));
}

primer_code_t verb_changed(primer_watch_t *watch, int64_t wait_ms, primer_change_t **change) {
    if (!late) return primer_watch_next(watch, wait_ms, change);
    POLL_NEXT(primer_watch_fd(watch), primer_watch_next(watch, 0, change));
}

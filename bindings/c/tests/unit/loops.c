/* Descriptors and late answers: what an event loop relies on. A descriptor that is silent is looked at
 * with a poll that does not wait; one that must speak, with a poll that waits for it. */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>

#include "loop.h"

static void a_local_enqueue_answers_at_once_and_without_a_completion(void) {
    alone_t it = alone();
    primer_completions_t *c;
    primer_receipt_t receipt;
    primer_completion_t *answer;
    uint64_t ticket = 7;
    size_t len;
    CODE(PRIMER_OK, primer_completions_new(&c));
    CODE(PRIMER_OK, primer_queue_enqueue_start(it.q, "x", 1, NULL, c, &receipt, &ticket));
    CHECK(ticket == 0 && receipt.copies == 1);
    primer_bytes_t bodies[] = {PRIMER_TEXT("y"), PRIMER_TEXT("z")};
    primer_receipt_t receipts[2];
    CODE(PRIMER_OK, primer_queue_enqueue_many_start(it.q, bodies, 2, NULL, c, receipts, &ticket));
    CHECK(receipts[1].id.sequence == 3);
    primer_delivery_t *d[3];
    CODE(PRIMER_OK, primer_queue_receive_start(it.q, NULL, c, d, 3, &len, &ticket));
    CHECK(len == 3);
    CODE(PRIMER_OK, primer_queue_extend_start(it.q, d[0], 60000, c, &ticket));
    CODE(PRIMER_OK, primer_queue_release_start(it.q, d[1], c, &ticket));
    CODE(PRIMER_OK, primer_queue_nack_start(it.q, d[2], 60000, c, &ticket));
    primer_delivery_free_many(d, 3);
    CODE(PRIMER_EMPTY, primer_completions_drain(c, &answer, 1, &len));
    CHECK(!readable(primer_completions_fd(c), 0));
    primer_completions_free(c);
    end(it);
}

static void a_receive_that_waits_is_answered_through_the_descriptor(void) {
    alone_t it = alone();
    primer_completions_t *c;
    primer_receive_options_t options = PRIMER_RECEIVE_OPTIONS_INIT;
    primer_delivery_t *d, *more;
    uint64_t ticket;
    size_t len;
    options.wait_ms = 600000;
    CODE(PRIMER_OK, primer_completions_new(&c));
    CODE(PRIMER_LATER, primer_queue_receive_start(it.q, &options, c, &d, 1, &len, &ticket));
    CHECK(ticket != 0 && len == 0);
    CHECK(!readable(primer_completions_fd(c), 0));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    primer_completion_t *answer = one_answer(c);
    CHECK(primer_completion_ticket(answer) == ticket);
    CHECK(primer_completion_kind(answer) == PRIMER_COMPLETION_DELIVERIES);
    CODE(PRIMER_OK, primer_completion_code(answer));
    CODE(PRIMER_OK, primer_completion_deliveries(answer, &d, 1, &len));
    CODE(PRIMER_EMPTY, primer_completion_deliveries(answer, &more, 1, &len));
    CHECK(body_is(d, "x"));
    CODE(PRIMER_OK, primer_queue_ack(it.q, d));
    primer_delivery_free(d);
    primer_completion_free(answer);
    CHECK(!readable(primer_completions_fd(c), 0));
    primer_completions_free(c);
    end(it);
}

static void a_receive_that_runs_out_of_time_is_empty(void) {
    alone_t it = alone();
    primer_completions_t *c;
    primer_receive_options_t options = PRIMER_RECEIVE_OPTIONS_INIT;
    primer_delivery_t *d;
    primer_completion_t *answer;
    uint64_t ticket;
    size_t len;
    primer_code_t started;
    options.wait_ms = 10;
    CODE(PRIMER_OK, primer_completions_new(&c));
    /* The time may run out before the call returns, on a machine that is busy: then longer. */
    do started = primer_queue_receive_start(it.q, &options, c, &d, 1, &len, &ticket);
    while (started == PRIMER_EMPTY && (options.wait_ms *= 2) < PATIENCE_MS);
    CODE(PRIMER_LATER, started);
    CODE(PRIMER_OK, primer_completions_wait(c, &answer, 1, PATIENCE_MS, &len));
    CODE(PRIMER_EMPTY, primer_completion_code(answer));
    CODE(PRIMER_EMPTY, primer_completion_deliveries(answer, &d, 1, &len));
    primer_completion_free(answer);
    primer_completions_free(c);
    end(it);
}

static void a_cancelled_ticket_never_comes_and_a_late_one_is_told(void) {
    alone_t it = alone();
    primer_completions_t *c;
    primer_receive_options_t options = PRIMER_RECEIVE_OPTIONS_INIT;
    primer_completion_t *answer;
    primer_delivery_t *d;
    uint64_t ticket;
    size_t len;
    options.wait_ms = 600000;
    CODE(PRIMER_OK, primer_completions_new(&c));
    CODE(PRIMER_LATER, primer_queue_receive_start(it.q, &options, c, &d, 1, &len, &ticket));
    CODE(PRIMER_OK, primer_completions_cancel(c, ticket));
    CODE(PRIMER_EMPTY, primer_completions_cancel(c, ticket));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    CODE(PRIMER_EMPTY, primer_completions_drain(c, &answer, 1, &len));
    /* Nobody took it for the cancelled call. */
    d = receive_one(it.q);
    CHECK(primer_delivery_attempts(d) == 1);
    primer_delivery_free(d);
    primer_completions_free(c);
    end(it);
}

static void a_failure_comes_late_with_its_reason(void) {
    alone_t it = alone();
    primer_completions_t *c;
    primer_receive_options_t options = PRIMER_RECEIVE_OPTIONS_INIT;
    primer_delivery_t *d;
    uint64_t ticket, close;
    size_t len;
    options.wait_ms = 600000;
    CODE(PRIMER_OK, primer_completions_new(&c));
    CODE(PRIMER_LATER, primer_queue_receive_start(it.q, &options, c, &d, 1, &len, &ticket));
    primer_code_t started = primer_close_start(it.p, c, &close);
    CHECK(started == PRIMER_OK || started == PRIMER_LATER);
    for (int left = started == PRIMER_LATER ? 2 : 1; left; left--) {
        primer_completion_t *answer = one_answer(c);
        if (primer_completion_ticket(answer) == ticket) {
            CHECK(primer_completion_kind(answer) == PRIMER_COMPLETION_FAILED);
            CODE(PRIMER_E_CLOSED, primer_completion_code(answer));
            CHECK(primer_last_error(NULL) == PRIMER_E_CLOSED);
        } else {
            CHECK(primer_completion_ticket(answer) == close);
            CHECK(primer_completion_kind(answer) == PRIMER_COMPLETION_DONE);
        }
        primer_completion_free(answer);
    }
    primer_completions_free(c);
    end(it);
}

static void a_subscription_s_descriptor_tells_of_deliveries(void) {
    alone_t it = alone();
    primer_subscription_t *s;
    primer_delivery_t *d;
    CODE(PRIMER_OK, primer_queue_subscribe(it.q, NULL, &s));
    int fd = primer_subscription_fd(s);
    CHECK(fd >= 0 && fd == primer_subscription_fd(s));
    CHECK(!readable(fd, 0));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++) CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
        for (int i = 0; i < 3; i++) {
            /* Readable as long as something is there, however few are taken between two polls. */
            CHECK(readable(fd, PATIENCE_MS));
            CODE(PRIMER_OK, primer_subscription_next(s, 0, &d));
            CODE(PRIMER_OK, primer_queue_ack(it.q, d));
            primer_delivery_free(d);
        }
        CODE(PRIMER_EMPTY, primer_subscription_next(s, 0, &d));
        CHECK(d == NULL);
        CHECK(!readable(fd, 0));
    }
    primer_subscription_free(s);
    end(it);
}

static void the_descriptor_speaks_of_what_came_before_it_and_of_the_end(void) {
    alone_t it = alone();
    primer_subscription_t *s;
    primer_delivery_t *d;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    CODE(PRIMER_OK, primer_queue_subscribe(it.q, NULL, &s));
    int fd = primer_subscription_fd(s);
    CHECK(readable(fd, PATIENCE_MS));
    CODE(PRIMER_OK, primer_subscription_next(s, 0, &d));
    CODE(PRIMER_OK, primer_queue_ack(it.q, d));
    primer_delivery_free(d);
    CODE(PRIMER_EMPTY, primer_subscription_next(s, 0, &d));
    CODE(PRIMER_OK, primer_subscription_close(s));
    CHECK(readable(fd, PATIENCE_MS));
    CODE(PRIMER_E_CLOSED, primer_subscription_next(s, 0, &d));
    CHECK(readable(fd, 0));
    primer_subscription_free(s);
    end(it);
}

static void *closes(void *member) {
    CODE(PRIMER_OK, primer_close(member));
    return NULL;
}

/* The loop of README.md: it must end, and not spin, when the member is closed under it. */
static void a_loop_that_polls_ends_with_its_member(void) {
    alone_t it = alone();
    primer_subscription_t *s;
    primer_delivery_t *d;
    primer_code_t code;
    pthread_t closer;
    int rounds = 0, taken = 0;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    CODE(PRIMER_OK, primer_queue_subscribe(it.q, NULL, &s));
    struct pollfd f = {primer_subscription_fd(s), POLLIN, 0};
    do
        while ((code = primer_subscription_next(s, 0, &d)) == PRIMER_OK) {
            CODE(PRIMER_OK, primer_queue_ack(it.q, d));
            primer_delivery_free(d);
            taken++;
            CHECK(!pthread_create(&closer, NULL, closes, it.p));
        }
    while (code == PRIMER_EMPTY && ++rounds < 1000 && poll(&f, 1, PATIENCE_MS) > 0);
    CODE(PRIMER_E_CLOSED, code);
    CHECK(taken == 1 && rounds < 1000);
    pthread_join(closer, NULL);
    primer_subscription_free(s);
    end(it);
}

static void one_descriptor_serves_many_subscriptions(void) {
    alone_t it = alone();
    primer_queue_t *q2;
    primer_subscription_t *s[2];
    primer_completions_t *c;
    primer_delivery_t *d;
    CODE(PRIMER_OK, primer_completions_new(&c));
    CODE(PRIMER_OK, primer_queue(it.p, "other", &q2));
    CODE(PRIMER_OK, primer_queue_subscribe(it.q, NULL, &s[0]));
    CODE(PRIMER_OK, primer_queue_subscribe(q2, NULL, &s[1]));
    for (uint64_t i = 0; i < 2; i++) CODE(PRIMER_OK, primer_subscription_notify(s[i], c, i + 100));
    for (int round = 0; round < 2; round++) {
        CODE(PRIMER_OK, primer_queue_enqueue(q2, "x", 1, NULL, NULL));
        primer_completion_t *answer = one_answer(c);
        CHECK(primer_completion_kind(answer) == PRIMER_COMPLETION_READY);
        CHECK(primer_completion_ticket(answer) == 101);
        primer_completion_free(answer);
        CODE(PRIMER_OK, primer_subscription_next(s[1], 0, &d));
        CODE(PRIMER_OK, primer_queue_ack(q2, d));
        primer_delivery_free(d);
        CODE(PRIMER_EMPTY, primer_subscription_next(s[1], 0, &d));
    }
    primer_subscription_free(s[0]);
    primer_subscription_free(s[1]);
    primer_queue_free(q2);
    primer_completions_free(c);
    end(it);
}

static void the_next_delivery_can_come_late(void) {
    alone_t it = alone();
    primer_subscription_t *s;
    primer_completions_t *c;
    primer_delivery_t *d;
    uint64_t ticket;
    size_t len;
    CODE(PRIMER_OK, primer_completions_new(&c));
    CODE(PRIMER_OK, primer_queue_subscribe(it.q, NULL, &s));
    CODE(PRIMER_LATER, primer_subscription_next_start(s, c, &d, &ticket));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    primer_completion_t *answer = one_answer(c);
    CODE(PRIMER_OK, primer_completion_deliveries(answer, &d, 1, &len));
    CHECK(len == 1 && body_is(d, "x"));
    CODE(PRIMER_OK, primer_queue_ack(it.q, d));
    primer_delivery_free(d);
    primer_completion_free(answer);
    primer_completions_free(c);
    primer_subscription_free(s);
    end(it);
}

static void what_is_not_drained_is_released(void) {
    alone_t it = alone();
    primer_subscription_t *s;
    primer_completions_t *c;
    primer_delivery_t *d;
    uint64_t ticket;
    CODE(PRIMER_OK, primer_completions_new(&c));
    CODE(PRIMER_OK, primer_queue_subscribe(it.q, NULL, &s));
    CODE(PRIMER_LATER, primer_subscription_next_start(s, c, &d, &ticket));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    /* An answer that is drained and freed with its delivery inside. */
    primer_completion_free(one_answer(c));
    primer_subscription_free(s);
    d = receive_one(it.q);
    CHECK(primer_delivery_attempts(d) == 1);
    CODE(PRIMER_OK, primer_queue_ack(it.q, d));
    primer_delivery_free(d);
    primer_completions_free(c);
    end(it);
}

static void a_queue_of_answers_can_be_freed_before_the_answer_came(void) {
    alone_t it = alone();
    primer_completions_t *c;
    primer_receive_options_t options = PRIMER_RECEIVE_OPTIONS_INIT;
    primer_delivery_t *d;
    uint64_t ticket;
    size_t len;
    options.wait_ms = 600000;
    CODE(PRIMER_OK, primer_completions_new(&c));
    CODE(PRIMER_LATER, primer_queue_receive_start(it.q, &options, c, &d, 1, &len, &ticket));
    primer_completions_free(c);
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_completions_cancel(c, ticket));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    d = receive_one(it.q);
    CHECK(body_is(d, "x") && primer_delivery_attempts(d) == 1);
    CODE(PRIMER_OK, primer_queue_ack(it.q, d));
    primer_delivery_free(d);
    end(it);
}

static void events_speak_through_their_descriptor_and_late(void) {
    const char *keys[] = {"listen"}, *values[] = {"127.0.0.1:0"};
    primer_t *a, *b;
    primer_events_t *events, *others;
    primer_event_t *event;
    primer_completions_t *c;
    const char *address;
    uint64_t ticket;
    CODE(PRIMER_OK, primer_completions_new(&c));
    CODE(PRIMER_OK, primer_open_pairs(keys, values, 1, &a));
    CODE(PRIMER_OK, primer_events(a, &events));
    CODE(PRIMER_OK, primer_events(a, &others));
    int fd = primer_events_fd(events);
    CHECK(fd >= 0 && !readable(fd, 0));
    CODE(PRIMER_LATER, primer_events_next_start(others, c, &event, &ticket));
    CODE(PRIMER_OK, primer_address(a, &address));
    primer_options_t options = PRIMER_OPTIONS_INIT;
    options.seeds = address;
    CODE(PRIMER_OK, primer_start(&options, &b));
    CHECK(readable(fd, PATIENCE_MS));
    CODE(PRIMER_OK, primer_events_next(events, 0, &event));
    CHECK(!strcmp(primer_event_kind(event), "joined"));
    primer_event_free(event);
    primer_completion_t *answer = one_answer(c);
    CHECK(primer_completion_ticket(answer) == ticket);
    CHECK(primer_completion_kind(answer) == PRIMER_COMPLETION_EVENT);
    CODE(PRIMER_OK, primer_completion_event(answer, &event));
    CHECK(!strcmp(primer_event_kind(event), "joined"));
    primer_event_free(event);
    CODE(PRIMER_EMPTY, primer_completion_event(answer, &event));
    primer_completion_free(answer);
    CODE(PRIMER_OK, primer_close(b));
    CODE(PRIMER_OK, primer_close(a));
    CHECK(readable(fd, PATIENCE_MS));
    primer_events_free(others);
    primer_events_free(events);
    primer_completions_free(c);
    primer_free(b);
    primer_free(a);
}

static const test_t TESTS[] = {
    TEST(a_local_enqueue_answers_at_once_and_without_a_completion),
    TEST(a_receive_that_waits_is_answered_through_the_descriptor),
    TEST(a_receive_that_runs_out_of_time_is_empty),
    TEST(a_cancelled_ticket_never_comes_and_a_late_one_is_told),
    TEST(a_failure_comes_late_with_its_reason),
    TEST(a_subscription_s_descriptor_tells_of_deliveries),
    TEST(the_descriptor_speaks_of_what_came_before_it_and_of_the_end),
    TEST(a_loop_that_polls_ends_with_its_member),
    TEST(one_descriptor_serves_many_subscriptions),
    TEST(the_next_delivery_can_come_late),
    TEST(what_is_not_drained_is_released),
    TEST(a_queue_of_answers_can_be_freed_before_the_answer_came),
    TEST(events_speak_through_their_descriptor_and_late),
};

RUN(TESTS)

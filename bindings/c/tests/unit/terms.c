/* What a producer asks of a message beside its copies, and what becomes of one that a consumer rejects. */
#define _POSIX_C_SOURCE 200809L
#include <stddef.h>
#include <time.h>

#include "loop.h"

#define BAD PRIMER_E_INVALID_ARGUMENT

static primer_enqueue_options_t no_terms(void) {
    primer_enqueue_options_t options = PRIMER_ENQUEUE_OPTIONS_INIT;
    return options;
}

static int is_empty(primer_queue_t *q) {
    primer_delivery_t *d;
    size_t len;
    return primer_queue_receive(q, NULL, &d, 1, &len) == PRIMER_EMPTY && len == 0;
}

/* The value of a header as text, "" when it is not there; good until the next call. */
static const char *header_of(const primer_delivery_t *d, const char *name) {
    static char text[600];
    primer_header_t header;
    text[0] = 0;
    for (size_t i = 0; primer_delivery_header(d, i, &header) == PRIMER_OK; i++)
        if (header.key.len == strlen(name) && !memcmp(header.key.data, name, header.key.len))
            snprintf(text, sizeof text, "%.*s", (int)header.value.len, (const char *)header.value.data);
    return text;
}

static void ack(primer_queue_t *q, primer_delivery_t *d) {
    CODE(PRIMER_OK, primer_queue_ack(q, d));
    primer_delivery_free(d);
}

static void the_first_of_the_order_comes_first(void) {
    alone_t it = alone();
    primer_enqueue_options_t options = no_terms();
    for (int priority = 0; priority <= 9; priority++) {
        char body[2] = {(char)('0' + priority), 0};
        options.priority = priority;
        CODE(PRIMER_OK, primer_queue_enqueue(it.q, body, 1, &options, NULL));
    }
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "usual", 5, NULL, NULL));
    for (int priority = 9; priority >= 0; priority--) {
        char body[2] = {(char)('0' + priority), 0};
        primer_delivery_t *d = receive_one(it.q);
        CHECK(body_is(d, body) && primer_delivery_priority(d) == priority);
        ack(it.q, d);
        if (priority != 4) continue;
        d = receive_one(it.q);
        CHECK(body_is(d, "usual") && primer_delivery_priority(d) == 4);
        ack(it.q, d);
    }
    end(it);
}

static void a_batch_shares_its_terms(void) {
    alone_t it = alone();
    primer_enqueue_options_t options = no_terms();
    primer_bytes_t bodies[] = {PRIMER_TEXT("one"), PRIMER_TEXT("two")};
    primer_delivery_t *d[3];
    size_t len;
    options.priority = 7;
    options.max_attempts = 1;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "usual", 5, NULL, NULL));
    CODE(PRIMER_OK, primer_queue_enqueue_many(it.q, bodies, 2, &options, NULL));
    CODE(PRIMER_OK, primer_queue_receive(it.q, NULL, d, 3, &len));
    CHECK(len == 3 && body_is(d[0], "one") && body_is(d[1], "two") && body_is(d[2], "usual"));
    CHECK(primer_delivery_priority(d[0]) == 7 && primer_delivery_priority(d[1]) == 7);
    for (size_t i = 0; i < len; i++) CODE(PRIMER_OK, primer_queue_nack(it.q, d[i], 0));
    primer_delivery_free_many(d, len);
    primer_delivery_t *left = receive_one(it.q);
    CHECK(body_is(left, "usual") && is_empty(it.q));
    ack(it.q, left);
    options.priority = 10;
    CODE(BAD, primer_queue_enqueue_many(it.q, bodies, 2, &options, NULL));
    CHECK(is_empty(it.q));
    end(it);
}

static void a_message_waits_for_its_date(void) {
    alone_t it = alone();
    primer_enqueue_options_t options = no_terms();
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    options.delay_ms = 3600000;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "in an hour", 10, &options, NULL));
    options = no_terms();
    options.at_ms = ((int64_t)now.tv_sec + 3600) * 1000;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "at its date", 11, &options, NULL));
    CHECK(is_empty(it.q));
    options.at_ms = 0;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "since 1970", 10, &options, NULL));
    primer_delivery_t *d = receive_one(it.q);
    CHECK(body_is(d, "since 1970"));
    ack(it.q, d);
    options = no_terms();
    options.delay_ms = 20;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "soon", 4, &options, NULL));
    d = receive_one(it.q);
    CHECK(body_is(d, "soon"));
    ack(it.q, d);
    CHECK(is_empty(it.q));
    end(it);
}

static uint64_t counted(primer_t *p, const char *name) {
    primer_stats_t *stats;
    uint64_t value = 0;
    CODE(PRIMER_OK, primer_stats(p, &stats));
    CODE(PRIMER_OK, primer_stats_get(stats, name, &value));
    primer_stats_free(stats);
    return value;
}

static void one_that_nobody_took_in_time_is_gone(void) {
    alone_t it = alone();
    primer_enqueue_options_t options = no_terms();
    const struct timespec pause = {0, 5000000};
    options.ttl_ms = 1;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "brief", 5, &options, NULL));
    for (int i = 0; i < PATIENCE_MS / 5 && counted(it.p, "expired") == 0; i++)
        nanosleep(&pause, NULL);
    CHECK(counted(it.p, "expired") == 1 && is_empty(it.q));
    end(it);
}

static void at_most_once_is_finished_when_it_is_given_out(void) {
    alone_t it = alone();
    primer_enqueue_options_t options = no_terms();
    primer_receipt_t receipt;
    options.at_most_once = 1;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "once", 4, &options, &receipt));
    CHECK(receipt.copies == 1 && receipt.wanted == 1);
    primer_delivery_t *d = receive_one(it.q);
    CHECK(body_is(d, "once") && counted(it.p, "messages") == 0);
    primer_delivery_free(d);
    CHECK(is_empty(it.q));
    options.at_most_once = 0;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "again", 5, &options, NULL));
    primer_delivery_free(receive_one(it.q));
    ack(it.q, receive_one(it.q));
    end(it);
}

static void what_is_rejected_goes_on_with_its_reason(void) {
    alone_t it = alone();
    primer_queue_t *dead;
    CODE(PRIMER_OK, primer_queue(it.p, "jobs.dead", &dead));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "one", 3, NULL, NULL));
    primer_delivery_t *d = receive_one(it.q);
    CODE(BAD, primer_queue_reject(it.q, d, NULL));
    CODE(BAD, primer_queue_reject(it.q, d, "caf\xe9"));
    CODE(BAD, primer_queue_reject(dead, d, "of another queue"));
    CODE(PRIMER_OK, primer_queue_reject(it.q, d, "no such customer"));
    CODE(PRIMER_E_ALREADY_DONE, primer_queue_reject(it.q, d, "again"));
    primer_delivery_free(d);
    CHECK(is_empty(it.q));
    d = receive_one(dead);
    CHECK(body_is(d, "one"));
    CHECK(!strcmp(header_of(d, "primer-cause"), "rejected"));
    CHECK(!strcmp(header_of(d, "primer-reason"), "no such customer"));
    CHECK(!strcmp(header_of(d, "primer-queue"), "jobs"));
    ack(dead, d);
    primer_queue_free(dead);
    end(it);
}

static void a_reject_can_be_started(void) {
    alone_t it = alone();
    primer_queue_t *dead;
    primer_completions_t *c;
    uint64_t ticket = 7;
    CODE(PRIMER_OK, primer_completions_new(&c));
    CODE(PRIMER_OK, primer_queue(it.p, "jobs.dead", &dead));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "one", 3, NULL, NULL));
    primer_delivery_t *d = receive_one(it.q);
    CODE(BAD, primer_queue_reject_start(it.q, d, "no", c, NULL));
    CODE(BAD, primer_queue_reject_start(it.q, d, "no", NULL, &ticket));
    CODE(BAD, primer_queue_reject_start(it.q, d, NULL, c, &ticket));
    primer_code_t code = primer_queue_reject_start(it.q, d, "no", c, &ticket);
    if (code == PRIMER_LATER) {
        primer_completion_t *answer = one_answer(c);
        CHECK(primer_completion_ticket(answer) == ticket);
        code = primer_completion_code(answer);
        primer_completion_free(answer);
    }
    CODE(PRIMER_OK, code);
    primer_delivery_free(d);
    ack(dead, receive_one(dead));
    primer_queue_free(dead);
    primer_completions_free(c);
    end(it);
}

static void the_member_s_own_number_of_attempts_counts(void) {
    primer_options_t options = PRIMER_OPTIONS_INIT;
    alone_t it = {NULL, NULL};
    primer_queue_t *dead;
    options.max_attempts = 0;
    CODE(BAD, primer_open(&options, &it.p));
    options.max_attempts = 1;
    CODE(PRIMER_OK, primer_open(&options, &it.p));
    CODE(PRIMER_OK, primer_queue(it.p, "jobs", &it.q));
    CODE(PRIMER_OK, primer_queue(it.p, "jobs.dead", &dead));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "one", 3, NULL, NULL));
    primer_delivery_t *d = receive_one(it.q);
    CODE(PRIMER_OK, primer_queue_nack(it.q, d, 0));
    primer_delivery_free(d);
    d = receive_one(dead);
    CHECK(!strcmp(header_of(d, "primer-cause"), "attempts"));
    ack(dead, d);
    primer_queue_free(dead);
    end(it);
}

static void equal_dedup_keys_are_one_message(void) {
    alone_t it = alone();
    primer_receipt_t first, again, other;
    primer_enqueue_options_t options = no_terms();
    options.dedup = "order-42";
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "one", 3, &options, &first));
    options.dedup_window_ms = 300000;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "two", 3, &options, &again));
    /* Another window is another key. */
    options.dedup_window_ms = 60000;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "three", 5, &options, &other));
    CHECK(!first.is_duplicate && again.is_duplicate == 1 && !other.is_duplicate);
    CHECK(first.id.origin == again.id.origin && first.id.sequence == again.id.sequence);
    primer_delivery_t *d = receive_one(it.q);
    CHECK(body_is(d, "one"));
    ack(it.q, d);
    d = receive_one(it.q);
    CHECK(body_is(d, "three"));
    ack(it.q, d);
    CHECK(is_empty(it.q));
    options.dedup = "";
    CODE(BAD, primer_queue_enqueue(it.q, "x", 1, &options, NULL));
    options.dedup = NULL;
    CODE(BAD, primer_queue_enqueue(it.q, "x", 1, &options, NULL));
    options.dedup = "k";
    options.at_most_once = 1;
    CODE(BAD, primer_queue_enqueue(it.q, "x", 1, &options, NULL));
    options = no_terms();
    options.dedup = "caf\xe9";
    CODE(BAD, primer_queue_enqueue(it.q, "x", 1, &options, NULL));
    end(it);
}

static void terms_that_there_are_not_are_refused(void) {
    alone_t it = alone();
    const struct {
        size_t field;
        int64_t value;
    } wrong[] = {
        {offsetof(primer_enqueue_options_t, priority), 10},
        {offsetof(primer_enqueue_options_t, priority), -2},
        {offsetof(primer_enqueue_options_t, priority), 260},
        {offsetof(primer_enqueue_options_t, delay_ms), -2},
        {offsetof(primer_enqueue_options_t, delay_ms), INT64_MAX},
        {offsetof(primer_enqueue_options_t, at_ms), -2},
        {offsetof(primer_enqueue_options_t, at_ms), INT64_MAX},
        {offsetof(primer_enqueue_options_t, ttl_ms), 0},
        {offsetof(primer_enqueue_options_t, ttl_ms), INT64_MIN},
        {offsetof(primer_enqueue_options_t, max_attempts), 0},
        {offsetof(primer_enqueue_options_t, max_attempts), INT64_C(1) << 32},
        {offsetof(primer_enqueue_options_t, at_most_once), 2},
        {offsetof(primer_enqueue_options_t, at_most_once), -2},
        {offsetof(primer_enqueue_options_t, dedup_window_ms), 1},
        {offsetof(primer_enqueue_options_t, dedup_window_ms), -2},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        primer_enqueue_options_t options = no_terms();
        memcpy((char *)&options + wrong[i].field, &wrong[i].value, sizeof wrong[i].value);
        primer_code_t code = primer_queue_enqueue(it.q, "x", 1, &options, NULL);
        CHECK(code == BAD || (printf("number %zu: %d\n", i, (int)code), 0));
    }
    primer_enqueue_options_t options = no_terms();
    options.delay_ms = options.at_ms = 1;
    CODE(BAD, primer_queue_enqueue(it.q, "x", 1, &options, NULL));
    options = no_terms();
    options.at_most_once = 1;
    options.copies = 2;
    CODE(BAD, primer_queue_enqueue(it.q, "x", 1, &options, NULL));
    CHECK(is_empty(it.q));
    end(it);
}

/* A program that was built against an older header hands in shorter structs, and nothing behind them. */
static void shorter_structs_of_older_headers_still_work(void) {
    alone_t it = alone();
    primer_enqueue_options_t now = no_terms();
    primer_t *p;
    size_t size = offsetof(primer_enqueue_options_t, priority);
    primer_enqueue_options_t *then = malloc(size);
    now.size = size;
    now.priority = 10;
    memcpy(then, &now, size);
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, then, NULL));
    primer_delivery_t *d = receive_one(it.q);
    CHECK(primer_delivery_priority(d) == 4);
    ack(it.q, d);
    free(then);

    primer_options_t open = PRIMER_OPTIONS_INIT;
    open.size = offsetof(primer_options_t, max_attempts);
    open.max_attempts = 0;
    CODE(PRIMER_OK, primer_open(&open, &p));
    CODE(PRIMER_OK, primer_close(p));
    primer_free(p);
    end(it);
}

static const test_t TESTS[] = {
    TEST(the_first_of_the_order_comes_first),
    TEST(a_batch_shares_its_terms),
    TEST(a_message_waits_for_its_date),
    TEST(one_that_nobody_took_in_time_is_gone),
    TEST(at_most_once_is_finished_when_it_is_given_out),
    TEST(what_is_rejected_goes_on_with_its_reason),
    TEST(a_reject_can_be_started),
    TEST(the_member_s_own_number_of_attempts_counts),
    TEST(equal_dedup_keys_are_one_message),
    TEST(terms_that_there_are_not_are_refused),
    TEST(shorter_structs_of_older_headers_still_work),
};

RUN(TESTS)

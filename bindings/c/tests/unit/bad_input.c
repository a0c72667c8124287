/* Whatever comes in, a code goes out: NULL, freed, foreign and invented handles, wrong sizes, texts that
 * are not UTF-8, numbers out of range, use after close. */
#include "check.h"

#define BAD PRIMER_E_INVALID_ARGUMENT

static void null_handles_and_outputs_are_wrong_calls(void) {
    primer_t *p = NULL;
    primer_queue_t *q = NULL;
    size_t len = 7;
    CODE(BAD, primer_open(NULL, NULL));
    CODE(BAD, primer_join(NULL, "127.0.0.1:1"));
    CODE(BAD, primer_leave(NULL, PRIMER_DEFAULT, true));
    CODE(BAD, primer_close(NULL));
    CODE(BAD, primer_queue(NULL, "jobs", &q));
    CODE(BAD, primer_queue_enqueue(NULL, "x", 1, NULL, NULL));
    CODE(BAD, primer_queue_receive(NULL, NULL, NULL, 1, &len));
    CHECK(len == 0);
    CODE(BAD, primer_queue_ack(NULL, NULL));
    CODE(BAD, primer_queue_reject(NULL, NULL, NULL));
    CODE(BAD, primer_queue_reject_start(NULL, NULL, NULL, NULL, NULL));
    CODE(BAD, primer_queue_subscribe(NULL, NULL, NULL));
    CODE(BAD, primer_subscription_credit(NULL, 1));
    CODE(BAD, primer_completions_cancel(NULL, 1));
    CODE(BAD, primer_completion_code(NULL));
    CODE(BAD, primer_delivery_keep(NULL));
    CODE(BAD, primer_message_id_text((primer_message_id_t){1, 2}, NULL));
    CHECK(primer_is_closed(NULL));
    CHECK(primer_subscription_fd(NULL) == -1 && primer_completions_fd(NULL) == -1);
    CHECK(primer_events_fd(NULL) == -1 && primer_events_missed(NULL) == 0);
    CHECK(primer_delivery_body(NULL).len == 0 && primer_delivery_attempts(NULL) == 0);
    CHECK(primer_delivery_priority(NULL) == -1);
    CHECK(!strcmp(primer_queue_name(NULL), "") && !strcmp(primer_event_kind(NULL), ""));
    CHECK(primer_members_len(NULL) == 0 && primer_stats_len(NULL) == 0);
    CODE(BAD, primer_topic_next(NULL, 0, NULL));
    CODE(BAD, primer_topic_close(NULL));
    CODE(BAD, primer_watch_next(NULL, 0, NULL));
    CODE(BAD, primer_watch_close(NULL));
    CODE(BAD, primer_reclaim(NULL, true, NULL));
    CODE(BAD, primer_completion_broadcast(NULL, NULL));
    CODE(BAD, primer_change_value(NULL, NULL));
    CHECK(primer_topic_fd(NULL) == -1 && primer_watch_fd(NULL) == -1);
    CHECK(primer_topic_missed(NULL) == 0 && primer_entries_len(NULL) == 0);
    CHECK(primer_broadcast_body(NULL).len == 0 && primer_value_bytes(NULL).len == 0);
    CHECK(p == NULL && q == NULL);
}

static void freeing_null_is_nothing(void) {
    for (int i = 0; i < 2; i++) {
        primer_free(NULL);
        primer_queue_free(NULL);
        primer_delivery_free(NULL);
        primer_delivery_free_many(NULL, 3);
        primer_subscription_free(NULL);
        primer_events_free(NULL);
        primer_event_free(NULL);
        primer_members_free(NULL);
        primer_stats_free(NULL);
        primer_completions_free(NULL);
        primer_completion_free(NULL);
        primer_topic_free(NULL);
        primer_broadcast_free(NULL);
        primer_watch_free(NULL);
        primer_change_free(NULL);
        primer_value_free(NULL);
        primer_entries_free(NULL);
    }
}

static void a_freed_handle_is_known_for_what_it_is(void) {
    alone_t it = alone();
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    primer_delivery_t *d = receive_one(it.q);
    CODE(PRIMER_OK, primer_queue_ack(it.q, d));
    primer_delivery_free(d);
    primer_delivery_free(d);
    CODE(BAD, primer_queue_ack(it.q, d));
    CHECK(primer_delivery_body(d).len == 0);
    primer_queue_t *gone = it.q;
    end(it);
    CODE(BAD, primer_queue_enqueue(gone, "x", 1, NULL, NULL));
    CODE(BAD, primer_close(it.p));
    primer_free(it.p);
    CHECK(primer_handles_live() == 0);
}

static void foreign_and_invented_handles_are_told_from_good_ones(void) {
    alone_t it = alone();
    int local = 0;
    CODE(BAD, primer_queue_enqueue((const primer_queue_t *)it.p, "x", 1, NULL, NULL));
    CODE(BAD, primer_queue_enqueue((const primer_queue_t *)&local, "x", 1, NULL, NULL));
    CODE(BAD, primer_close((const primer_t *)it.q));
    CODE(BAD, primer_close((const primer_t *)(uintptr_t)UINTPTR_MAX));
    primer_free((primer_t *)it.q);
    CHECK(!primer_is_closed(it.p));
    CHECK(strstr(primer_last_error_message(), "primer_t"));
    end(it);
}

static void a_size_that_no_header_had_is_refused(void) {
    alone_t it = alone();
    primer_t *other;
    primer_subscription_t *s;
    primer_delivery_t *d;
    size_t len;
    primer_options_t open = PRIMER_OPTIONS_INIT;
    primer_enqueue_options_t enqueue = PRIMER_ENQUEUE_OPTIONS_INIT;
    primer_receive_options_t receive = PRIMER_RECEIVE_OPTIONS_INIT;
    primer_subscribe_options_t subscribe = PRIMER_SUBSCRIBE_OPTIONS_INIT;
    const size_t sizes[] = {0, 1, sizeof(size_t), 23, 97, 1000, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        open.size = enqueue.size = receive.size = subscribe.size = sizes[i];
        CODE(BAD, primer_open(&open, &other));
        CHECK(other == NULL);
        CODE(BAD, primer_queue_enqueue(it.q, "x", 1, &enqueue, NULL));
        CODE(BAD, primer_queue_receive(it.q, &receive, &d, 1, &len));
        CODE(BAD, primer_queue_subscribe(it.q, &subscribe, &s));
    }
    end(it);
}

static void texts_that_are_not_utf8_are_refused(void) {
    const char *wrong = "caf\xe9";
    alone_t it = alone();
    primer_t *other;
    primer_queue_t *q;
    primer_options_t options = PRIMER_OPTIONS_INIT;
    options.cluster = wrong;
    CODE(BAD, primer_open(&options, &other));
    const char *keys[] = {"cluster", NULL}, *values[] = {wrong, "x"};
    CODE(BAD, primer_open_pairs(keys, values, 1, &other));
    CODE(BAD, primer_open_pairs(keys + 1, values + 1, 1, &other));
    CODE(BAD, primer_open_pairs(NULL, NULL, 1, &other));
    CODE(BAD, primer_queue(it.p, wrong, &q));
    CODE(BAD, primer_queue(it.p, NULL, &q));
    CODE(BAD, primer_join(it.p, wrong));
    primer_header_t headers[] = {{PRIMER_TEXT("to"), PRIMER_TEXT("caf\xe9")}};
    primer_enqueue_options_t enqueue = PRIMER_ENQUEUE_OPTIONS_INIT;
    enqueue.headers = headers;
    enqueue.headers_len = 1;
    CODE(BAD, primer_queue_enqueue(it.q, "x", 1, &enqueue, NULL));
    CHECK(strstr(primer_last_error_message(), "UTF-8"));
    end(it);
}

static void numbers_and_lengths_out_of_range_are_refused(void) {
    alone_t it = alone();
    primer_enqueue_options_t options = PRIMER_ENQUEUE_OPTIONS_INIT;
    primer_receive_options_t receive = PRIMER_RECEIVE_OPTIONS_INIT;
    primer_delivery_t *d;
    size_t len;
    options.copies = 70000;
    CODE(BAD, primer_queue_enqueue(it.q, "x", 1, &options, NULL));
    options.copies = PRIMER_DEFAULT;
    options.on_short = 3;
    CODE(BAD, primer_queue_enqueue(it.q, "x", 1, &options, NULL));
    options.on_short = PRIMER_DEFAULT;
    options.timeout_ms = -2;
    CODE(BAD, primer_queue_enqueue(it.q, "x", 1, &options, NULL));
    options.timeout_ms = PRIMER_DEFAULT;
    options.headers_len = 1;
    CODE(BAD, primer_queue_enqueue(it.q, "x", 1, &options, NULL));
    CODE(BAD, primer_queue_enqueue(it.q, NULL, 1, NULL, NULL));
    CODE(BAD, primer_queue_enqueue(it.q, "x", SIZE_MAX, NULL, NULL));
    CODE(BAD, primer_queue_enqueue_many(it.q, NULL, 1, NULL, NULL));
    primer_bytes_t bodies[] = {{NULL, 1}};
    CODE(BAD, primer_queue_enqueue_many(it.q, bodies, 1, NULL, NULL));
    CODE(BAD, primer_queue_receive(it.q, NULL, &d, 0, &len));
    CODE(BAD, primer_queue_receive(it.q, NULL, NULL, 1, &len));
    CODE(BAD, primer_queue_receive(it.q, NULL, &d, 1, NULL));
    receive.wait_ms = -1;
    CODE(BAD, primer_queue_receive(it.q, &receive, &d, 1, &len));
    end(it);
}

static void an_empty_body_may_be_null(void) {
    alone_t it = alone();
    primer_receipt_t receipt;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, NULL, 0, NULL, &receipt));
    CHECK(receipt.copies == 1 && receipt.id.sequence == 1);
    primer_delivery_t *d = receive_one(it.q);
    CHECK(primer_delivery_body(d).len == 0);
    CODE(PRIMER_OK, primer_queue_ack(it.q, d));
    CODE(PRIMER_E_ALREADY_DONE, primer_queue_ack(it.q, d));
    primer_delivery_free(d);
    end(it);
}

static void an_unknown_option_is_told_with_its_name(void) {
    const char *keys[] = {"colour"}, *values[] = {"red"};
    primer_t *p;
    primer_error_t error;
    CODE(BAD, primer_open_pairs(keys, values, 1, &p));
    CHECK(primer_last_error(&error) == BAD && error.number == BAD);
    CHECK(!strcmp(error.kind, "InvalidArgument") && strstr(error.message, "colour"));
    CHECK(primer_last_error(NULL) == BAD);
}

static void a_bad_batch_acks_nothing(void) {
    alone_t it = alone();
    primer_code_t codes[2] = {-1, -1};
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    primer_delivery_t *batch[2] = {receive_one(it.q), NULL};
    CODE(BAD, primer_queue_ack_many(it.q, batch, 2, codes));
    CHECK(codes[0] == -1);
    CODE(PRIMER_OK, primer_queue_ack_many(it.q, batch, 1, NULL));
    CODE(PRIMER_E_ALREADY_DONE, primer_queue_ack(it.q, batch[0]));
    primer_delivery_free_many(batch, 2);
    end(it);
}

static void after_close_every_verb_answers_closed(void) {
    alone_t it = alone();
    primer_subscription_t *s;
    primer_events_t *events;
    primer_event_t *event;
    primer_members_t *members;
    primer_stats_t *stats;
    primer_delivery_t *d, *taken;
    size_t len;
    CODE(PRIMER_OK, primer_queue_subscribe(it.q, NULL, &s));
    CODE(PRIMER_OK, primer_events(it.p, &events));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    CODE(PRIMER_OK, primer_subscription_next(s, PATIENCE_MS, &taken));
    CODE(PRIMER_OK, primer_close(it.p));
    CODE(PRIMER_OK, primer_close(it.p));
    CHECK(primer_is_closed(it.p));
    CODE(PRIMER_E_CLOSED, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    CODE(PRIMER_E_CLOSED, primer_queue_receive(it.q, NULL, &d, 1, &len));
    CODE(PRIMER_E_CLOSED, primer_subscription_next(s, PATIENCE_MS, &d));
    CODE(PRIMER_E_CLOSED, primer_subscription_next(s, PRIMER_FOREVER, &d));
    CODE(PRIMER_E_CLOSED, primer_subscription_credit(s, 1));
    CODE(PRIMER_E_CLOSED, primer_queue_ack(it.q, taken));
    CODE(PRIMER_E_CLOSED, primer_queue_nack(it.q, taken, 0));
    CODE(PRIMER_E_CLOSED, primer_queue_reject(it.q, taken, "no"));
    CHECK(body_is(taken, "x"));
    primer_delivery_free(taken);
    CODE(PRIMER_E_CLOSED, primer_members(it.p, &members));
    CODE(PRIMER_E_CLOSED, primer_stats(it.p, &stats));
    CODE(PRIMER_E_CLOSED, primer_join(it.p, "127.0.0.1:1"));
    CODE(PRIMER_E_CLOSED, primer_leave(it.p, PRIMER_DEFAULT, false));
    CODE(PRIMER_E_CLOSED, primer_events_next(events, PRIMER_FOREVER, &event));
    CHECK(members == NULL && stats == NULL && event == NULL);
    primer_subscription_free(s);
    primer_events_free(events);
    primer_queue_free(it.q);
    primer_free(it.p);
}

static void the_library_is_the_header_s(void) {
    CHECK(primer_abi_version() == PRIMER_ABI_VERSION);
    CHECK(!strcmp(primer_version(), PRIMER_VERSION_WANTED));
    CHECK(!strcmp(primer_code_name(PRIMER_E_LEASE_LOST), "LeaseLost"));
    CHECK(!strcmp(primer_code_name(12345), "Unknown"));
    CHECK(sizeof(primer_receipt_t) == 24 && sizeof(primer_options_t) == 192);
}

static const test_t TESTS[] = {
    TEST(null_handles_and_outputs_are_wrong_calls),
    TEST(freeing_null_is_nothing),
    TEST(a_freed_handle_is_known_for_what_it_is),
    TEST(foreign_and_invented_handles_are_told_from_good_ones),
    TEST(a_size_that_no_header_had_is_refused),
    TEST(texts_that_are_not_utf8_are_refused),
    TEST(numbers_and_lengths_out_of_range_are_refused),
    TEST(an_empty_body_may_be_null),
    TEST(an_unknown_option_is_told_with_its_name),
    TEST(a_bad_batch_acks_nothing),
    TEST(after_close_every_verb_answers_closed),
    TEST(the_library_is_the_header_s),
};

RUN(TESTS)

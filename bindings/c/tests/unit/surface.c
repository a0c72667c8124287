/* What the scenarios do not reach: the values that C reads, and what happens when they are let go. */
#include "check.h"

static void options_in_a_struct_open_a_member(void) {
    primer_t *a, *b, *c;
    const char *address;
    primer_options_t options = PRIMER_OPTIONS_INIT;
    options.cluster = "shop";
    options.name = "till";
    options.discover = "none";
    options.copies = 1;
    options.on_short = PRIMER_ON_SHORT_FAIL;
    options.enqueue_timeout_ms = 1000;
    options.lease_ms = 60000;
    options.takeover_after_ms = 5000;
    options.memory_bytes_max = 1 << 20;
    options.body_bytes_max = 4;
    CODE(PRIMER_OK, primer_open(&options, &a));
    CODE(PRIMER_OK, primer_address(a, &address));
    CHECK(address && !strncmp(address, "127.0.0.1:", 10));

    primer_queue_t *q;
    CODE(PRIMER_OK, primer_queue(a, "jobs", &q));
    CHECK(!strcmp(primer_queue_name(q), "jobs"));
    CODE(PRIMER_OK, primer_queue_enqueue(q, "1234", 4, NULL, NULL));
    CODE(PRIMER_E_TOO_LARGE, primer_queue_enqueue(q, "12345", 5, NULL, NULL));

    primer_options_t second = PRIMER_OPTIONS_INIT;
    second.cluster = "shop";
    second.discover = "none";
    second.seeds = address;
    CODE(PRIMER_OK, primer_open(&second, &b));
    primer_members_t *members;
    primer_member_t member;
    CODE(PRIMER_OK, primer_members(b, &members));
    CHECK(primer_members_len(members) == 2);
    unsigned selves = 0, tills = 0;
    for (size_t i = 0; primer_members_at(members, i, &member) == PRIMER_OK; i++) {
        CHECK(strlen(member.id) == 32);
        selves += member.is_self;
        tills += !strcmp(member.name, "till") && !strcmp(member.address, address);
    }
    CHECK(selves == 1 && tills == 1);
    CODE(PRIMER_EMPTY, primer_members_at(members, 2, &member));
    CHECK(!strcmp(member.id, ""));
    primer_members_free(members);

    options.copies = 0;
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_open(&options, &c));
    CODE(PRIMER_OK, primer_close(b));
    CODE(PRIMER_OK, primer_close(a));
    primer_queue_free(q);
    primer_free(b);
    primer_free(a);
}

static void a_member_in_memory_has_no_address(void) {
    alone_t it = alone();
    const char *address = "";
    CODE(PRIMER_EMPTY, primer_address(it.p, &address));
    CHECK(address == NULL);
    end(it);
}

static void headers_come_back_in_their_order(void) {
    alone_t it = alone();
    primer_header_t sent[] = {{PRIMER_TEXT("to"), PRIMER_TEXT("ada")},
                              {PRIMER_TEXT("none"), PRIMER_TEXT("")},
                              {PRIMER_TEXT("nul"), PRIMER_TEXT("a\0b")}};
    primer_enqueue_options_t options = PRIMER_ENQUEUE_OPTIONS_INIT;
    options.headers = sent;
    options.headers_len = 3;
    primer_receipt_t receipt;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, &options, &receipt));
    primer_delivery_t *d = receive_one(it.q);
    CHECK(primer_delivery_headers_len(d) == 3);
    primer_header_t got;
    for (size_t i = 0; i < 3; i++) {
        CODE(PRIMER_OK, primer_delivery_header(d, i, &got));
        CHECK(got.key.len == sent[i].key.len && !memcmp(got.key.data, sent[i].key.data, got.key.len));
        CHECK(got.value.len == sent[i].value.len &&
              (!got.value.len || !memcmp(got.value.data, sent[i].value.data, got.value.len)));
    }
    CODE(PRIMER_EMPTY, primer_delivery_header(d, 3, &got));
    primer_message_id_t id = primer_delivery_id(d);
    CHECK(id.origin == receipt.id.origin && id.sequence == receipt.id.sequence);
    CHECK(primer_delivery_attempts(d) == 1);
    char text[PRIMER_MESSAGE_ID_TEXT_MAX], wanted[PRIMER_MESSAGE_ID_TEXT_MAX];
    CODE(PRIMER_OK, primer_message_id_text(id, text));
    snprintf(wanted, sizeof wanted, "%016llx-%llu", (unsigned long long)id.origin,
             (unsigned long long)id.sequence);
    CHECK(!strcmp(text, wanted));
    CODE(PRIMER_OK, primer_queue_ack(it.q, d));
    primer_delivery_free(d);
    end(it);
}

static void a_batch_goes_in_and_out_in_one_call_each(void) {
    enum { COUNT = 1000 };
    static char bodies[COUNT][8];
    static primer_bytes_t batch[COUNT];
    static primer_receipt_t receipts[COUNT];
    static primer_delivery_t *deliveries[COUNT];
    static primer_code_t codes[COUNT];
    alone_t it = alone();
    size_t len;
    for (int i = 0; i < COUNT; i++) {
        snprintf(bodies[i], sizeof bodies[i], "%d", i);
        batch[i] = (primer_bytes_t){(const uint8_t *)bodies[i], strlen(bodies[i])};
    }
    CODE(PRIMER_OK, primer_queue_enqueue_many(it.q, batch, COUNT, NULL, receipts));
    CODE(PRIMER_OK, primer_queue_receive(it.q, NULL, deliveries, COUNT, &len));
    CHECK(len == COUNT);
    for (size_t i = 0; i < len; i++) {
        CHECK(body_is(deliveries[i], bodies[i]));
        CHECK(receipts[i].id.sequence == primer_delivery_id(deliveries[i]).sequence);
    }
    CODE(PRIMER_OK, primer_queue_ack_many(it.q, deliveries, len, codes));
    for (size_t i = 0; i < len; i++) CHECK(codes[i] == PRIMER_OK);
    CODE(PRIMER_OK, primer_queue_ack_many(it.q, deliveries, len, codes));
    for (size_t i = 0; i < len; i++) CHECK(codes[i] == PRIMER_E_ALREADY_DONE);
    CHECK(primer_handles_live() == COUNT + 2);
    primer_delivery_free_many(deliveries, len);
    CODE(PRIMER_EMPTY, primer_queue_receive(it.q, NULL, deliveries, COUNT, &len));
    CHECK(len == 0);
    end(it);
}

static void a_delivery_that_is_freed_unsettled_goes_back_and_a_kept_one_does_not(void) {
    alone_t it = alone();
    size_t len;
    primer_delivery_t *d;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    primer_delivery_free(receive_one(it.q));
    d = receive_one(it.q);
    CHECK(primer_delivery_attempts(d) == 1);
    CODE(PRIMER_OK, primer_delivery_keep(d));
    primer_delivery_free(d);
    CODE(PRIMER_EMPTY, primer_queue_receive(it.q, NULL, &d, 1, &len));
    CHECK(d == NULL || len == 0);
    end(it);
}

static void a_delivery_outlives_its_member_and_its_queue(void) {
    alone_t it = alone();
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "still here", 10, NULL, NULL));
    primer_delivery_t *d = receive_one(it.q);
    end(it);
    CHECK(body_is(d, "still here"));
    primer_delivery_free(d);
}

static void counters_are_found_by_name_and_by_number(void) {
    alone_t it = alone();
    primer_stats_t *stats;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    CODE(PRIMER_OK, primer_stats(it.p, &stats));
    size_t len = primer_stats_len(stats);
    CHECK(len > 0);
    const char *name, *before = "";
    uint64_t value, found;
    for (size_t i = 0; i < len; i++) {
        CODE(PRIMER_OK, primer_stats_at(stats, i, &name, &value));
        CHECK(strcmp(before, name) < 0);
        CODE(PRIMER_OK, primer_stats_get(stats, name, &found));
        CHECK(found == value);
        before = name;
    }
    CODE(PRIMER_EMPTY, primer_stats_at(stats, len, &name, &value));
    CODE(PRIMER_EMPTY, primer_stats_get(stats, "no such counter", &value));
    primer_stats_free(stats);
    end(it);
}

static void a_joining_member_is_an_event(void) {
    const char *keys[] = {"listen"}, *values[] = {"127.0.0.1:0"};
    primer_t *a, *b;
    primer_events_t *events;
    primer_event_t *event;
    const char *address;
    CODE(PRIMER_OK, primer_start_pairs(keys, values, 1, &a));
    CODE(PRIMER_OK, primer_events(a, &events));
    CODE(PRIMER_OK, primer_joined(a));
    CODE(PRIMER_EMPTY, primer_events_next(events, 0, &event));
    CHECK(event == NULL);
    CODE(PRIMER_OK, primer_address(a, &address));
    primer_options_t options = PRIMER_OPTIONS_INIT;
    options.seeds = address;
    options.name = "bob";
    CODE(PRIMER_OK, primer_start(&options, &b));
    CODE(PRIMER_OK, primer_events_next(events, PATIENCE_MS, &event));
    CHECK(!strcmp(primer_event_kind(event), "joined"));
    CHECK(!strcmp(primer_event_name(event), "bob"));
    CHECK(strlen(primer_event_member(event)) == 32);
    CHECK(primer_event_at_ms(event) > 1000000 && primer_event_detail(event));
    CHECK(primer_events_missed(events) == 0);
    primer_event_free(event);
    CODE(PRIMER_OK, primer_close(b));
    CODE(PRIMER_OK, primer_close(a));
    primer_events_free(events);
    primer_free(b);
    primer_free(a);
}

static void events_can_be_taken_together(void) {
    const char *keys[] = {"listen"}, *values[] = {"127.0.0.1:0"};
    primer_t *a, *b;
    primer_events_t *events, *first;
    primer_event_t *taken[8];
    const char *address;
    size_t len;
    CODE(PRIMER_OK, primer_open_pairs(keys, values, 1, &a));
    CODE(PRIMER_OK, primer_events(a, &events));
    CODE(PRIMER_OK, primer_events(a, &first));
    CODE(PRIMER_EMPTY, primer_events_take(events, taken, 8, &len));
    CODE(PRIMER_OK, primer_address(a, &address));
    primer_options_t options = PRIMER_OPTIONS_INIT;
    options.seeds = address;
    CODE(PRIMER_OK, primer_open(&options, &b));
    /* The other reader tells when there is something. */
    CODE(PRIMER_OK, primer_events_next(first, PATIENCE_MS, &taken[0]));
    primer_event_free(taken[0]);
    CODE(PRIMER_OK, primer_events_take(events, taken, 8, &len));
    CHECK(len >= 1);
    for (size_t i = 0; i < len; i++) primer_event_free(taken[i]);
    CODE(PRIMER_OK, primer_close(b));
    CODE(PRIMER_OK, primer_close(a));
    primer_events_free(first);
    primer_events_free(events);
    primer_free(b);
    primer_free(a);
}

static void an_abandoned_subscription_gives_everything_back(void) {
    alone_t it = alone();
    primer_subscription_t *s;
    primer_delivery_t *taken, *again;
    CODE(PRIMER_OK, primer_queue_subscribe(it.q, NULL, &s));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    CODE(PRIMER_OK, primer_subscription_next(s, PATIENCE_MS, &taken));
    CODE(PRIMER_OK, primer_subscription_abandon(s));
    again = receive_one(it.q);
    CHECK(body_is(again, "x"));
    CODE(PRIMER_OK, primer_queue_ack(it.q, again));
    primer_delivery_free(again);
    primer_delivery_free(taken);
    CODE(PRIMER_E_CLOSED, primer_subscription_next(s, 0, &taken));
    primer_subscription_free(s);
    end(it);
}

static void a_subscription_hands_out_batches(void) {
    alone_t it = alone();
    primer_subscription_t *s;
    primer_delivery_t *d[8];
    size_t len, got = 0;
    CODE(PRIMER_OK, primer_queue_subscribe(it.q, NULL, &s));
    CODE(PRIMER_EMPTY, primer_subscription_next_batch(s, 0, d, 8, &len));
    for (int i = 0; i < 5; i++) CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    while (got < 5) {
        CODE(PRIMER_OK, primer_subscription_next_batch(s, PATIENCE_MS, d, 8, &len));
        if (!len) break;
        CODE(PRIMER_OK, primer_queue_ack_many(it.q, d, len, NULL));
        primer_delivery_free_many(d, len);
        got += len;
    }
    CHECK(got == 5);
    primer_subscription_free(s);
    end(it);
}

static const test_t TESTS[] = {
    TEST(options_in_a_struct_open_a_member),
    TEST(a_member_in_memory_has_no_address),
    TEST(headers_come_back_in_their_order),
    TEST(a_batch_goes_in_and_out_in_one_call_each),
    TEST(a_delivery_that_is_freed_unsettled_goes_back_and_a_kept_one_does_not),
    TEST(a_delivery_outlives_its_member_and_its_queue),
    TEST(counters_are_found_by_name_and_by_number),
    TEST(a_joining_member_is_an_event),
    TEST(events_can_be_taken_together),
    TEST(an_abandoned_subscription_gives_everything_back),
    TEST(a_subscription_hands_out_batches),
};

RUN(TESTS)

/* Groups of a queue: each gets every message once, and its consumers share them. */
#define _POSIX_C_SOURCE 200809L
#include <stddef.h>

#include "loop.h"

#define BAD PRIMER_E_INVALID_ARGUMENT

/* The names, one behind the other with commas. */
static int groups_are(primer_queue_t *q, const char *wanted) {
    char text[200] = "";
    const char *name;
    primer_groups_t *groups;
    CODE(PRIMER_OK, primer_queue_groups(q, &groups));
    size_t len = primer_groups_len(groups), i = 0;
    for (; primer_groups_at(groups, i, &name) == PRIMER_OK; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? "," : "", name);
    CHECK(i == len && !strcmp(name, ""));
    primer_groups_free(groups);
    return !strcmp(text, wanted);
}

static primer_receive_options_t in_group(const char *group) {
    primer_receive_options_t options = PRIMER_RECEIVE_OPTIONS_INIT;
    options.group = group;
    return options;
}

/* Takes and acks the message that must be in a group. */
static void take(primer_queue_t *q, const char *group, bool backlog, const char *body) {
    primer_receive_options_t options = in_group(group);
    primer_delivery_t *d = NULL;
    size_t len;
    options.wait_ms = PATIENCE_MS;
    options.backlog = backlog;
    CODE(PRIMER_OK, primer_queue_receive(q, &options, &d, 1, &len));
    CHECK(len == 1 && body_is(d, body));
    CODE(PRIMER_OK, primer_queue_ack(q, d));
    primer_delivery_free(d);
}

static int is_empty(primer_queue_t *q, const char *group) {
    primer_receive_options_t options = in_group(group);
    primer_delivery_t *d;
    size_t len;
    return primer_queue_receive(q, &options, &d, 1, &len) == PRIMER_EMPTY && len == 0;
}

static void each_group_gets_each_message_once(void) {
    alone_t it = alone();
    CHECK(groups_are(it.q, ""));
    CODE(PRIMER_OK, primer_queue_create_group(it.q, "mailer", false));
    CODE(PRIMER_OK, primer_queue_create_group(it.q, "audit", false));
    CODE(PRIMER_OK, primer_queue_create_group(it.q, "audit", true));
    CHECK(groups_are(it.q, "audit,mailer"));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "one", 3, NULL, NULL));
    CHECK(is_empty(it.q, NULL));
    take(it.q, "mailer", false, "one");
    take(it.q, "audit", false, "one");
    CHECK(is_empty(it.q, "mailer") && is_empty(it.q, "audit"));
    CODE(PRIMER_OK, primer_queue_remove_group(it.q, "audit"));
    CODE(PRIMER_OK, primer_queue_remove_group(it.q, "audit"));
    CHECK(groups_are(it.q, "mailer"));
    end(it);
}

static void a_group_that_is_created_by_its_consumer_may_get_what_waits(void) {
    alone_t it = alone();
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "before", 6, NULL, NULL));
    CHECK(is_empty(it.q, "new"));
    CODE(PRIMER_OK, primer_queue_create_group(it.q, "old", true));
    take(it.q, "old", false, "before");
    take(it.q, "older", true, "before");
    CHECK(groups_are(it.q, "new,old,older"));
    end(it);
}

static void subscriptions_of_a_group_share_it(void) {
    alone_t it = alone();
    primer_subscribe_options_t options = PRIMER_SUBSCRIBE_OPTIONS_INIT;
    primer_subscription_t *s[2];
    primer_delivery_t *d[2] = {NULL, NULL};
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "one", 3, NULL, NULL));
    options.group = "mailer";
    options.credit = 1;
    options.backlog = 1;
    for (int i = 0; i < 2; i++) CODE(PRIMER_OK, primer_queue_subscribe(it.q, &options, &s[i]));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "two", 3, NULL, NULL));
    for (int i = 0; i < 2; i++)
        CODE(PRIMER_OK, primer_subscription_next(s[i], PATIENCE_MS, &d[i]));
    CHECK(body_is(d[0], "one") != body_is(d[1], "one"));
    CHECK(body_is(d[0], "two") != body_is(d[1], "two"));
    for (int i = 0; i < 2; i++) {
        primer_delivery_free(d[i]);
        primer_subscription_free(s[i]);
    }
    end(it);
}

static void a_receive_in_a_group_can_be_started(void) {
    alone_t it = alone();
    primer_receive_options_t options = in_group("mailer");
    primer_completions_t *c;
    primer_delivery_t *d = NULL;
    uint64_t ticket;
    size_t len;
    options.wait_ms = PATIENCE_MS;
    CODE(PRIMER_OK, primer_completions_new(&c));
    CODE(PRIMER_LATER, primer_queue_receive_start(it.q, &options, c, &d, 1, &len, &ticket));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "one", 3, NULL, NULL));
    primer_completion_t *answer = one_answer(c);
    CODE(PRIMER_OK, primer_completion_deliveries(answer, &d, 1, &len));
    CHECK(len == 1 && body_is(d, "one"));
    primer_delivery_free(d);
    primer_completion_free(answer);
    primer_completions_free(c);
    end(it);
}

static void a_producer_says_what_becomes_of_a_message_without_a_group(void) {
    alone_t it = alone();
    primer_enqueue_options_t options = PRIMER_ENQUEUE_OPTIONS_INIT;
    primer_receipt_t receipt;
    options.if_no_group = PRIMER_IF_NO_GROUP_REFUSE;
    CODE(PRIMER_E_NOT_FOUND, primer_queue_enqueue(it.q, "x", 1, &options, NULL));
    options.if_no_group = PRIMER_IF_NO_GROUP_DROP;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, &options, &receipt));
    CHECK(receipt.copies == 0 && receipt.wanted == 0);
    CHECK(is_empty(it.q, NULL));
    options.if_no_group = PRIMER_IF_NO_GROUP_HOLD;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "held", 4, &options, &receipt));
    CHECK(receipt.copies == 1);
    take(it.q, NULL, false, "held");
    /* A program that was built against a header without it asks for nothing. */
    options.size = offsetof(primer_enqueue_options_t, if_no_group);
    options.if_no_group = PRIMER_IF_NO_GROUP_REFUSE;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "then", 4, &options, NULL));
    take(it.q, NULL, false, "then");
    end(it);
}

static void what_is_no_group_is_a_wrong_call(void) {
    alone_t it = alone();
    primer_enqueue_options_t enqueue = PRIMER_ENQUEUE_OPTIONS_INIT;
    primer_subscribe_options_t subscribe = PRIMER_SUBSCRIBE_OPTIONS_INIT;
    primer_subscription_t *s;
    primer_delivery_t *d;
    primer_groups_t *groups;
    const char *name, *names[] = {"", "\xff"};
    size_t len;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        primer_receive_options_t receive = in_group(names[i]);
        subscribe.group = names[i];
        CODE(BAD, primer_queue_receive(it.q, &receive, &d, 1, &len));
        CODE(BAD, primer_queue_subscribe(it.q, &subscribe, &s));
        CODE(BAD, primer_queue_create_group(it.q, names[i], false));
    }
    for (int64_t wrong = -2; wrong <= 2; wrong += 4) {
        primer_receive_options_t receive = in_group("mailer");
        subscribe.group = "mailer";
        subscribe.backlog = receive.backlog = wrong;
        CODE(BAD, primer_queue_receive(it.q, &receive, &d, 1, &len));
        CODE(BAD, primer_queue_subscribe(it.q, &subscribe, &s));
        enqueue.if_no_group = wrong < 0 ? wrong : 3;
        CODE(BAD, primer_queue_enqueue(it.q, "x", 1, &enqueue, NULL));
    }
    CODE(BAD, primer_queue_create_group(it.q, NULL, false));
    CODE(BAD, primer_queue_remove_group(it.q, NULL));
    CODE(BAD, primer_queue_remove_group(it.q, "\xff"));
    CODE(BAD, primer_queue_groups(it.q, NULL));
    CODE(BAD, primer_queue_create_group(NULL, "mailer", false));
    CODE(BAD, primer_queue_remove_group(NULL, "mailer"));
    CODE(BAD, primer_queue_groups(NULL, &groups));
    CHECK(groups == NULL && primer_groups_len(NULL) == 0 && primer_groups_len((void *)it.q) == 0);
    CODE(BAD, primer_groups_at(NULL, 0, &name));
    CHECK(!strcmp(name, ""));
    primer_groups_free(NULL);
    CHECK(groups_are(it.q, ""));
    end(it);
}

static void a_closed_member_answers_so(void) {
    alone_t it = alone();
    primer_groups_t *groups;
    CODE(PRIMER_OK, primer_close(it.p));
    CODE(PRIMER_E_CLOSED, primer_queue_create_group(it.q, "mailer", false));
    CODE(PRIMER_E_CLOSED, primer_queue_remove_group(it.q, "mailer"));
    CODE(PRIMER_E_CLOSED, primer_queue_groups(it.q, &groups));
    end(it);
}

static const test_t TESTS[] = {
    TEST(each_group_gets_each_message_once),
    TEST(a_group_that_is_created_by_its_consumer_may_get_what_waits),
    TEST(subscriptions_of_a_group_share_it),
    TEST(a_receive_in_a_group_can_be_started),
    TEST(a_producer_says_what_becomes_of_a_message_without_a_group),
    TEST(what_is_no_group_is_a_wrong_call),
    TEST(a_closed_member_answers_so),
};

RUN(TESTS)

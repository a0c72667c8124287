/* What queues are told: settings, pauses, purges, policies. */
#define _POSIX_C_SOURCE 200809L
#include <stddef.h>

#include "loop.h"

#define BAD PRIMER_E_INVALID_ARGUMENT

/* Settings between commas; frees them. */
static int are(primer_settings_t *settings, const char *wanted) {
    char text[400] = "";
    const char *key, *value;
    size_t len = primer_settings_len(settings), i = 0;
    for (; primer_settings_at(settings, i, &key, &value) == PRIMER_OK; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s=%s", i ? "," : "", key, value);
    CHECK(i == len && !strcmp(key, "") && !strcmp(value, ""));
    primer_settings_free(settings);
    return !strcmp(text, wanted);
}

static int settings_are(primer_queue_t *q, const char *wanted) {
    primer_settings_t *settings;
    CODE(PRIMER_OK, primer_queue_configuration(q, &settings));
    return are(settings, wanted);
}

static primer_code_t tell(primer_queue_t *q, const char *key, const char *value) {
    return primer_queue_configure(q, &key, &value, 1);
}

static void settings_change_one_by_one(void) {
    alone_t it = alone();
    const char *keys[] = {"lease_ms", "copies"}, *values[] = {"50", "1"};
    CHECK(settings_are(it.q, ""));
    CODE(PRIMER_OK, primer_queue_configure(it.q, keys, values, 2));
    CODE(PRIMER_OK, primer_queue_configure(it.q, NULL, NULL, 0));
    CHECK(settings_are(it.q, "copies=1,lease_ms=50"));
    CODE(PRIMER_OK, tell(it.q, "lease_ms", ""));
    CHECK(settings_are(it.q, "copies=1"));
    end(it);
}

static void a_queue_is_full_or_paused_or_purged(void) {
    alone_t it = alone();
    primer_delivery_t *d;
    size_t len;
    CODE(PRIMER_OK, tell(it.q, "messages_max", "1"));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "one", 3, NULL, NULL));
    CODE(PRIMER_E_FULL, primer_queue_enqueue(it.q, "two", 3, NULL, NULL));
    CODE(PRIMER_OK, primer_queue_pause(it.q, "both"));
    CODE(PRIMER_E_PAUSED, primer_queue_enqueue(it.q, "two", 3, NULL, NULL));
    CODE(PRIMER_EMPTY, primer_queue_receive(it.q, NULL, &d, 1, &len));
    CODE(PRIMER_OK, primer_queue_resume(it.q));
    CODE(PRIMER_OK, primer_queue_receive(it.q, NULL, &d, 1, &len));
    CODE(PRIMER_OK, primer_queue_purge(it.q));
    CODE(PRIMER_E_ALREADY_DONE, primer_queue_ack(it.q, d));
    primer_delivery_free(d);
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "two", 3, NULL, NULL));
    end(it);
}

static void policies_are_for_names_that_begin_alike(void) {
    alone_t it = alone();
    const char *key = "lease_ms", *value = "5", *prefix;
    primer_policies_t *policies;
    primer_settings_t *settings;
    CODE(PRIMER_OK, primer_set_policy(it.p, "", &key, &value, 1));
    CHECK(settings_are(it.q, "lease_ms=5"));
    CODE(PRIMER_OK, primer_policies(it.p, &policies));
    CHECK(primer_policies_len(policies) == 1);
    CODE(PRIMER_OK, primer_policies_at(policies, 0, &prefix, &settings));
    CHECK(!strcmp(prefix, "") && are(settings, "lease_ms=5"));
    CODE(PRIMER_EMPTY, primer_policies_at(policies, 1, &prefix, &settings));
    CHECK(settings == NULL && prefix == NULL);
    primer_policies_free(policies);
    CODE(PRIMER_OK, primer_remove_policy(it.p, ""));
    CODE(PRIMER_OK, primer_remove_policy(it.p, ""));
    CHECK(settings_are(it.q, ""));
    end(it);
}

static void what_is_no_setting_is_a_wrong_call(void) {
    alone_t it = alone();
    const char *key = "copies", *value = "1", *prefix;
    primer_settings_t *settings;
    primer_policies_t *policies;
    CODE(BAD, tell(it.q, "copys", "1"));
    CHECK(strstr(primer_last_error_message(), "copies") != NULL);
    CODE(BAD, tell(it.q, "copies", "99"));
    CODE(BAD, tell(it.q, NULL, "1"));
    CODE(BAD, tell(it.q, "copies", NULL));
    CODE(BAD, tell(it.q, "\xff", "1"));
    CODE(BAD, primer_queue_configure(it.q, NULL, NULL, 1));
    CODE(BAD, primer_queue_configure(NULL, &key, &value, 1));
    CODE(BAD, primer_queue_configuration(it.q, NULL));
    CODE(BAD, primer_queue_configuration(NULL, &settings));
    CODE(BAD, primer_queue_pause(it.q, "up"));
    CODE(BAD, primer_queue_pause(it.q, NULL));
    CODE(BAD, primer_queue_pause(NULL, "in"));
    CODE(BAD, primer_queue_resume(NULL));
    CODE(BAD, primer_queue_purge(NULL));
    CODE(BAD, primer_set_policy(it.p, NULL, &key, &value, 1));
    CODE(BAD, primer_set_policy(it.p, "\n", &key, &value, 1));
    CODE(BAD, primer_set_policy(NULL, "", &key, &value, 1));
    CODE(BAD, primer_remove_policy(NULL, ""));
    CODE(BAD, primer_policies(NULL, &policies));
    CODE(BAD, primer_policies(it.p, NULL));
    CODE(BAD, primer_settings_at(NULL, 0, &key, &value));
    CODE(BAD, primer_policies_at(NULL, 0, &prefix, &settings));
    CHECK(primer_settings_len(NULL) == 0 && primer_policies_len(NULL) == 0);
    CHECK(primer_settings_len((void *)it.q) == 0 && primer_policies_len((void *)it.q) == 0);
    primer_settings_free(NULL);
    primer_policies_free(NULL);
    CHECK(settings_are(it.q, ""));
    end(it);
}

static void a_closed_member_answers_so(void) {
    alone_t it = alone();
    primer_settings_t *settings;
    primer_policies_t *policies;
    CODE(PRIMER_OK, primer_close(it.p));
    CODE(PRIMER_E_CLOSED, tell(it.q, "copies", "1"));
    CODE(PRIMER_E_CLOSED, primer_queue_configuration(it.q, &settings));
    CODE(PRIMER_E_CLOSED, primer_queue_pause(it.q, "in"));
    CODE(PRIMER_E_CLOSED, primer_queue_resume(it.q));
    CODE(PRIMER_E_CLOSED, primer_queue_purge(it.q));
    CODE(PRIMER_E_CLOSED, primer_set_policy(it.p, "", NULL, NULL, 0));
    CODE(PRIMER_E_CLOSED, primer_remove_policy(it.p, ""));
    CODE(PRIMER_E_CLOSED, primer_policies(it.p, &policies));
    end(it);
}

static const test_t TESTS[] = {
    TEST(settings_change_one_by_one),
    TEST(a_queue_is_full_or_paused_or_purged),
    TEST(policies_are_for_names_that_begin_alike),
    TEST(what_is_no_setting_is_a_wrong_call),
    TEST(a_closed_member_answers_so),
};

RUN(TESTS)

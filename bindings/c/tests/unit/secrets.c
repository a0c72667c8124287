/* Who may be a member. A program of its own, because TLS under valgrind is another matter: see test.sh. */
#include "check.h"

#define SECRET_ONE "one-2c5bd9a0f1e34b7796a8"
#define SECRET_TWO "two-77f0c1d2e3f4a5b6c7d8"

/* A member that looks for nobody; NULL has no secret. */
static primer_t *member(const char *secret) {
    primer_t *p = NULL;
    primer_options_t options = PRIMER_OPTIONS_INIT;
    options.cluster = "secrets";
    options.discover = "none";
    options.secret = secret;
    CODE(PRIMER_OK, primer_open(&options, &p));
    return p;
}

static void gone(primer_t *p) {
    CODE(PRIMER_OK, primer_close(p));
    primer_free(p);
}

static void join(primer_t *who, primer_t *whom, primer_code_t wanted) {
    const char *address;
    CODE(PRIMER_OK, primer_address(whom, &address));
    CODE(wanted, primer_join(who, address));
}

static void who_has_not_the_secret_is_not_let_in(void) {
    primer_t *a = member(SECRET_ONE), *b = member(SECRET_TWO), *plain = member(NULL);
    join(b, a, PRIMER_E_CLUSTER_MISMATCH);
    join(plain, a, PRIMER_E_CLUSTER_MISMATCH);
    join(a, plain, PRIMER_E_CLUSTER_MISMATCH);
    gone(plain);
    gone(b);
    gone(a);
}

static void a_secret_is_changed_while_the_member_runs(void) {
    const char *both[] = {SECRET_ONE, SECRET_TWO};
    primer_t *a = member(SECRET_ONE), *b = member(SECRET_TWO);
    primer_topic_t *topic;
    primer_broadcast_t *heard;
    CODE(PRIMER_OK, primer_rotate(a, both, 2));
    join(b, a, PRIMER_OK);
    CODE(PRIMER_OK, primer_on(a, "chat", &topic));
    CODE(PRIMER_OK, primer_broadcast(b, "chat", "sealed", 6));
    CODE(PRIMER_OK, primer_topic_next(topic, PATIENCE_MS, &heard));
    CHECK(primer_broadcast_body(heard).len == 6);
    primer_broadcast_free(heard);
    primer_topic_free(topic);
    gone(b);
    gone(a);
}

static void weak_secrets_are_refused_and_never_shown(void) {
    const char *weak[] = {"short"}, *none[] = {NULL}, *good[] = {SECRET_ONE};
    const char *many[] = {SECRET_ONE, SECRET_TWO, SECRET_ONE "3", SECRET_ONE "4"};
    primer_t *a = member(SECRET_ONE), *plain = member(NULL), *bad;
    primer_options_t options = PRIMER_OPTIONS_INIT;
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_rotate(a, NULL, 0));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_rotate(a, NULL, 1));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_rotate(a, none, 1));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_rotate(a, many, 4));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_rotate(a, weak, 1));
    CHECK(!strstr(primer_last_error_message(), "short"));
    CODE(PRIMER_E_UNSUPPORTED, primer_rotate(plain, good, 1));
    /* A variable that nobody set must not open a member without a secret. */
    options.secret = "";
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_open(&options, &bad));
    options.secret = "password";
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_open(&options, &bad));
    CHECK(bad == NULL && !strstr(primer_last_error_message(), "password"));
    gone(plain);
    gone(a);
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_rotate(a, good, 1));
}

static const test_t TESTS[] = {
    TEST(who_has_not_the_secret_is_not_let_in),
    TEST(a_secret_is_changed_while_the_member_runs),
    TEST(weak_secrets_are_refused_and_never_shown),
};

RUN(TESTS)

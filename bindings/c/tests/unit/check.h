/* Checks that count, for programs that are their own test: each program is a list of named tests. */
#ifndef CHECK_H
#define CHECK_H

#include <primer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The limit of every wait for something that must come; never a measure of speed. */
#define PATIENCE_MS 20000

static unsigned checks_failed;

#define CHECK(what)                                                                           \
    do {                                                                                      \
        if (!(what)) {                                                                        \
            printf("%s:%d: not true: %s (last error: %s)\n", __FILE__, __LINE__, #what,       \
                   primer_last_error_message());                                              \
            checks_failed++;                                                                  \
        }                                                                                     \
    } while (0)

/* That a call answers a code; tells both when it does not. */
#define CODE(wanted, call)                                                                    \
    do {                                                                                      \
        primer_code_t code_ = (call);                                                         \
        if (code_ != (wanted)) {                                                              \
            printf("%s:%d: wanted %s, got %s from %s (last error: %s)\n", __FILE__, __LINE__, \
                   primer_code_name(wanted), primer_code_name(code_), #call,                  \
                   primer_last_error_message());                                              \
            checks_failed++;                                                                  \
        }                                                                                     \
    } while (0)

typedef struct {
    const char *name;
    void (*run)(void);
} test_t;

#define TEST(name) {#name, name}

/* Runs the tests, sees that each freed its handles, and closes with the line that CI reads. */
#define RUN(tests)                                                            \
    int main(void) {                                                          \
        unsigned passed = 0, failed = 0;                                      \
        for (size_t i = 0; i < sizeof(tests) / sizeof *(tests); i++) {        \
            unsigned before = checks_failed;                                  \
            (tests)[i].run();                                                 \
            CHECK(primer_handles_live() == 0);                                \
            if (checks_failed == before) {                                    \
                passed++;                                                     \
            } else {                                                          \
                failed++;                                                     \
                printf("FAILED %s\n", (tests)[i].name);                       \
            }                                                                 \
            fflush(stdout);                                                   \
        }                                                                     \
        printf("%u passed, %u failed\n", passed, failed);                     \
        return failed ? 1 : 0;                                                \
    }

/* A member in memory, without a socket, and a queue of it. */
typedef struct {
    primer_t *p;
    primer_queue_t *q;
} alone_t;

static inline alone_t alone(void) {
    alone_t it = {NULL, NULL};
    CODE(PRIMER_OK, primer_open(NULL, &it.p));
    CODE(PRIMER_OK, primer_queue(it.p, "jobs", &it.q));
    return it;
}

static inline void end(alone_t it) {
    CODE(PRIMER_OK, primer_close(it.p));
    primer_queue_free(it.q);
    primer_free(it.p);
}

/* One delivery, waiting for it. */
static inline primer_delivery_t *receive_one(primer_queue_t *q) {
    primer_receive_options_t options = PRIMER_RECEIVE_OPTIONS_INIT;
    primer_delivery_t *delivery = NULL;
    size_t len = 0;
    options.wait_ms = PATIENCE_MS;
    CODE(PRIMER_OK, primer_queue_receive(q, &options, &delivery, 1, &len));
    CHECK(len == 1);
    return delivery;
}

static inline int body_is(const primer_delivery_t *delivery, const char *text) {
    primer_bytes_t body = primer_delivery_body(delivery);
    return body.len == strlen(text) && !memcmp(body.data, text, body.len);
}

#endif

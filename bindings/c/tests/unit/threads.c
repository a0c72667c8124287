/* Any thread may use any handle, also while another uses, closes or frees it. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>

#include "check.h"

enum { THREADS = 4, MESSAGES = 500 };

typedef struct {
    primer_queue_t *q;
    primer_subscription_t *s;
    unsigned done;
    primer_code_t code;
} work_t;

/* How many messages are finished, by all threads together. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t grown = PTHREAD_COND_INITIALIZER;
static size_t finished;

static void *produce(void *of) {
    work_t *work = of;
    for (int i = 0; i < MESSAGES; i++)
        work->done += primer_queue_enqueue(work->q, &i, sizeof i, NULL, NULL) == PRIMER_OK;
    return NULL;
}

static void *consume(void *of) {
    work_t *work = of;
    primer_receive_options_t options = PRIMER_RECEIVE_OPTIONS_INIT;
    primer_delivery_t *batch[16];
    size_t len;
    options.wait_ms = PATIENCE_MS;
    options.lease_ms = 600000;
    while ((work->code = primer_queue_receive(work->q, &options, batch, 16, &len)) == PRIMER_OK) {
        CODE(PRIMER_OK, primer_queue_ack_many(work->q, batch, len, NULL));
        primer_delivery_free_many(batch, len);
        pthread_mutex_lock(&lock);
        finished += len;
        pthread_cond_signal(&grown);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void many_threads_share_one_queue_handle(void) {
    alone_t it = alone();
    pthread_t producers[THREADS], consumers[THREADS];
    work_t made[THREADS], took[THREADS];
    finished = 0;
    for (int i = 0; i < THREADS; i++) {
        took[i] = made[i] = (work_t){it.q, NULL, 0, PRIMER_OK};
        CHECK(!pthread_create(&consumers[i], NULL, consume, &took[i]));
        CHECK(!pthread_create(&producers[i], NULL, produce, &made[i]));
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(producers[i], NULL);
        CHECK(made[i].done == MESSAGES);
    }
    pthread_mutex_lock(&lock);
    while (finished < THREADS * MESSAGES) pthread_cond_wait(&grown, &lock);
    CHECK(finished == THREADS * MESSAGES);
    pthread_mutex_unlock(&lock);
    CODE(PRIMER_OK, primer_close(it.p));
    for (int i = 0; i < THREADS; i++) {
        pthread_join(consumers[i], NULL);
        CODE(PRIMER_E_CLOSED, took[i].code);
    }
    end(it);
}

static void *wait_for_ever(void *of) {
    work_t *work = of;
    primer_delivery_t *d = NULL;
    work->code = primer_subscription_next(work->s, PRIMER_FOREVER, &d);
    primer_delivery_free(d);
    return NULL;
}

static void a_thread_that_waits_is_woken_by_close(void) {
    alone_t it = alone();
    work_t work = {it.q, NULL, 0, PRIMER_OK};
    pthread_t thread;
    CODE(PRIMER_OK, primer_queue_subscribe(it.q, NULL, &work.s));
    CHECK(!pthread_create(&thread, NULL, wait_for_ever, &work));
    CODE(PRIMER_OK, primer_close(it.p));
    pthread_join(thread, NULL);
    CODE(PRIMER_E_CLOSED, work.code);
    primer_subscription_free(work.s);
    end(it);
}

static void a_thread_that_waits_is_woken_when_its_handle_is_freed(void) {
    alone_t it = alone();
    work_t work = {it.q, NULL, 0, PRIMER_OK};
    pthread_t thread;
    CODE(PRIMER_OK, primer_queue_subscribe(it.q, NULL, &work.s));
    CHECK(!pthread_create(&thread, NULL, wait_for_ever, &work));
    /* Whether the thread waits already or comes too late: it gets an answer, never freed memory. */
    primer_subscription_free(work.s);
    pthread_join(thread, NULL);
    CHECK(work.code == PRIMER_E_CLOSED || work.code == PRIMER_E_INVALID_ARGUMENT);
    end(it);
}

static void *drain_for_ever(void *of) {
    primer_completion_t *answer;
    primer_code_t *code = ((void **)of)[1];
    size_t len;
    *code = primer_completions_wait(((void **)of)[0], &answer, 1, PRIMER_FOREVER, &len);
    return NULL;
}

static void a_thread_that_drains_is_woken_by_close_and_by_free(void) {
    for (int is_freed = 0; is_freed < 2; is_freed++) {
        primer_completions_t *c;
        primer_code_t code = PRIMER_OK;
        CODE(PRIMER_OK, primer_completions_new(&c));
        void *of[] = {c, &code};
        pthread_t thread;
        CHECK(!pthread_create(&thread, NULL, drain_for_ever, of));
        if (is_freed)
            primer_completions_free(c);
        else
            CODE(PRIMER_OK, primer_completions_close(c));
        pthread_join(thread, NULL);
        CHECK(code == PRIMER_EMPTY || (is_freed && code == PRIMER_E_INVALID_ARGUMENT));
        primer_completions_free(c);
    }
}

static void *fail_alone(void *of) {
    work_t *work = of;
    primer_queue_t *q;
    CHECK(!strcmp(primer_last_error_message(), ""));
    work->code = primer_queue(NULL, "jobs", &q);
    CHECK(primer_last_error(NULL) == PRIMER_E_INVALID_ARGUMENT);
    return NULL;
}

static void each_thread_has_its_own_last_error(void) {
    work_t work = {NULL, NULL, 0, PRIMER_OK};
    alone_t it = alone();
    pthread_t thread;
    primer_delivery_t *d = NULL;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "x", 1, NULL, NULL));
    d = receive_one(it.q);
    CODE(PRIMER_OK, primer_queue_ack(it.q, d));
    CODE(PRIMER_E_ALREADY_DONE, primer_queue_ack(it.q, d));
    CHECK(!pthread_create(&thread, NULL, fail_alone, &work));
    pthread_join(thread, NULL);
    CHECK(work.code == PRIMER_E_INVALID_ARGUMENT);
    CHECK(primer_last_error(NULL) == PRIMER_E_ALREADY_DONE);
    primer_delivery_free(d);
    end(it);
}

static const test_t TESTS[] = {
    TEST(many_threads_share_one_queue_handle),
    TEST(a_thread_that_waits_is_woken_by_close),
    TEST(a_thread_that_waits_is_woken_when_its_handle_is_freed),
    TEST(a_thread_that_drains_is_woken_by_close_and_by_free),
    TEST(each_thread_has_its_own_last_error),
};

RUN(TESTS)

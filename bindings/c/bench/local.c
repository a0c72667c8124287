/* The local rows of the bench in C: one member in memory, bodies of 100 bytes, enqueue + receive + ack.
 *
 *     local [MESSAGES]     prints `row <tab> value <tab> unit` for each row
 */
#define _POSIX_C_SOURCE 200809L
#include <primer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 100, BODY = 100 };

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void must(primer_code_t code) {
    if (code == PRIMER_OK) return;
    fprintf(stderr, "%s\n", primer_last_error_message());
    exit(1);
}

static void one_at_a_time(primer_queue_t *q, long count) {
    static const char body[BODY];
    primer_delivery_t *d;
    size_t len, bytes = 0;
    for (long i = 0; i < count; i++) {
        must(primer_queue_enqueue(q, body, sizeof body, NULL, NULL));
        must(primer_queue_receive(q, NULL, &d, 1, &len));
        bytes += primer_delivery_body(d).len;
        must(primer_queue_ack(q, d));
        primer_delivery_free(d);
    }
    if (bytes != (size_t)count * BODY) exit(1);
}

static void in_batches(primer_queue_t *q, long count) {
    static const char body[BODY];
    primer_bytes_t bodies[BATCH];
    primer_delivery_t *batch[BATCH];
    size_t len, bytes = 0;
    for (int i = 0; i < BATCH; i++) bodies[i] = (primer_bytes_t){(const uint8_t *)body, BODY};
    for (long i = 0; i < count; i += BATCH) {
        must(primer_queue_enqueue_many(q, bodies, BATCH, NULL, NULL));
        must(primer_queue_receive(q, NULL, batch, BATCH, &len));
        for (size_t d = 0; d < len; d++) bytes += primer_delivery_body(batch[d]).len;
        must(primer_queue_ack_many(q, batch, len, NULL));
        primer_delivery_free_many(batch, len);
    }
    if (bytes < (size_t)count * BODY) exit(1);
}

static void row(const char *name, void (*work)(primer_queue_t *, long), primer_queue_t *q,
                long count) {
    work(q, count / 10 + BATCH);
    double began = now();
    work(q, count);
    printf("%s\t%.0f\tmsg/s\n", name, (double)count / (now() - began));
}

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 1000000;
    primer_t *p;
    primer_queue_t *q;
    must(primer_open(NULL, &p));
    must(primer_queue(p, "bench", &q));
    row("c local enqueue+receive+ack", one_at_a_time, q, count);
    row("c local enqueue+receive+ack, batches of 100", in_batches, q, count);
    primer_queue_free(q);
    must(primer_close(p));
    primer_free(p);
    return 0;
}

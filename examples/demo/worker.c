/* Counts words for the demo: worker ADDRESS (README.md here says what a worker does). */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <poll.h>
#include <primer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 8, WAIT_MS = 200 };

static void must(primer_code_t code) {
    if (code == PRIMER_OK) return;
    fprintf(stderr, "%s\n", primer_last_error_message());
    exit(1);
}

/* Runs of bytes other than ASCII white space. */
static size_t words(primer_bytes_t body) {
    size_t count = 0;
    bool inside = false;
    for (size_t i = 0; i < body.len; i++) {
        bool is_space = body.data[i] == 32 || (body.data[i] >= 9 && body.data[i] <= 13);
        count += !is_space && !inside;
        inside = !is_space;
    }
    return count;
}

static primer_bytes_t bytes(const char *text) {
    return (primer_bytes_t){(const uint8_t *)text, strlen(text)};
}

/* Enqueues the count of one job until two members have it. */
static void answer(primer_queue_t *counts, const primer_delivery_t *job) {
    char id[64], count[32];
    primer_message_id_t job_id = primer_delivery_id(job);
    snprintf(id, sizeof id, "%016" PRIx64 "-%" PRIu64, job_id.origin, job_id.sequence);
    int len = snprintf(count, sizeof count, "%zu", words(primer_delivery_body(job)));
    primer_header_t headers[3];
    must(primer_delivery_header(job, 0, &headers[0])); /* its path */
    headers[1] = (primer_header_t){bytes("job"), bytes(id)};
    headers[2] = (primer_header_t){bytes("by"), bytes("C")};
    primer_enqueue_options_t options = PRIMER_ENQUEUE_OPTIONS_INIT;
    options.headers = headers;
    options.headers_len = 3;
    for (;;) {
        primer_code_t code = primer_queue_enqueue(counts, count, (size_t)len, &options, NULL);
        if (code / 100 != 2 && code / 100 != 3) {
            must(code);
            return;
        }
        fprintf(stderr, "again: %s\n", primer_last_error_message());
    }
}

static bool input_ended(void) {
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    return poll(&input, 1, 0) > 0;
}

int main(int argc, char **argv) {
    primer_options_t options = PRIMER_OPTIONS_INIT;
    primer_receive_options_t receive = PRIMER_RECEIVE_OPTIONS_INIT;
    primer_delivery_t *batch[BATCH];
    primer_queue_t *jobs, *counts;
    primer_t *primer;
    unsigned long done = 0, again = 0;
    if (argc != 2) return 2;
    options.cluster = "demo";
    options.seeds = argv[1];
    options.copies = 2;
    options.on_short = PRIMER_ON_SHORT_FAIL;
    options.lease_ms = 4000;
    options.takeover_after_ms = 1000;
    receive.wait_ms = WAIT_MS;
    must(primer_open(&options, &primer));
    must(primer_queue(primer, "jobs", &jobs));
    must(primer_queue(primer, "counts", &counts));
    char begin[8]; /* the word to begin; unbuffered, because the end is polled for */
    if (read(STDIN_FILENO, begin, sizeof begin) <= 0) return 1;
    while (!input_ended()) {
        size_t len = 0;
        primer_code_t code = primer_queue_receive(jobs, &receive, batch, BATCH, &len);
        if (code == PRIMER_EMPTY) continue;
        must(code);
        for (size_t i = 0; i < len; i++) again += primer_delivery_attempts(batch[i]) > 1;
        for (size_t i = 0; i < len; i++) {
            answer(counts, batch[i]);
            code = primer_queue_ack(jobs, batch[i]);
            /* Done already: another worker was faster after this lease ran out. */
            if (code != PRIMER_E_ALREADY_DONE) must(code);
            primer_delivery_free(batch[i]);
            printf("%zu %lu %lu\n", len - i - 1, ++done, again);
            fflush(stdout);
        }
    }
    primer_queue_free(counts);
    primer_queue_free(jobs);
    must(primer_close(primer));
    primer_free(primer);
    return 0;
}

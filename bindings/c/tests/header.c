/* The header alone: every macro and every struct, as C99 and, by header.cpp, as C++. Run once linked to the
 * shared and once to the static library. */
#include <primer.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    primer_options_t open = PRIMER_OPTIONS_INIT;
    primer_enqueue_options_t enqueue = PRIMER_ENQUEUE_OPTIONS_INIT;
    primer_receive_options_t receive = PRIMER_RECEIVE_OPTIONS_INIT;
    primer_subscribe_options_t subscribe = PRIMER_SUBSCRIBE_OPTIONS_INIT;
    primer_header_t header = {PRIMER_TEXT("to"), PRIMER_TEXT("ada")};
    primer_t *p = NULL;
    primer_queue_t *q = NULL;
    primer_delivery_t *d = NULL;
    primer_subscription_t *s = NULL;
    size_t len = 0;
    int right = 0;

    enqueue.headers = &header;
    enqueue.headers_len = 1;
    right += primer_open(&open, &p) == PRIMER_OK;
    right += primer_queue(p, "jobs", &q) == PRIMER_OK;
    right += primer_queue_enqueue(q, "hi", 2, &enqueue, NULL) == PRIMER_OK;
    right += primer_queue_receive(q, &receive, &d, 1, &len) == PRIMER_OK && len == 1;
    right += primer_delivery_body(d).len == 2 && !memcmp(primer_delivery_body(d).data, "hi", 2);
    right += primer_queue_ack(q, d) == PRIMER_OK;
    right += primer_queue_subscribe(q, &subscribe, &s) == PRIMER_OK;
    right += primer_close(p) == PRIMER_OK;
    primer_subscription_free(s);
    primer_delivery_free(d);
    primer_queue_free(q);
    primer_free(p);
    right += primer_handles_live() == 0;
    if (right != 9) printf("only %d of 9 were right: %s\n", right, primer_last_error_message());
    return right == 9 ? 0 : 1;
}

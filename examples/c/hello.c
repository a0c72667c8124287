/* Two members in one process, one queue: what one puts in, the other takes out.
 *
 *     cc hello.c $(pkg-config --cflags --libs primer) -o hello
 */
#include <primer.h>
#include <stdio.h>
#include <stdlib.h>

static void must(primer_code_t code) {
    if (code == PRIMER_OK) return;
    fprintf(stderr, "%s\n", code == PRIMER_EMPTY ? "nothing came" : primer_last_error_message());
    exit(1);
}

int main(void) {
    primer_options_t options = PRIMER_OPTIONS_INIT; /* knows its size: it can grow */
    primer_t *ann, *bob;

    options.cluster = "hello";
    must(primer_open(&options, &ann));
    must(primer_address(ann, &options.seeds)); /* bob dials ann */
    must(primer_open(&options, &bob));

    primer_queue_t *out, *in; /* first use makes the queue */
    must(primer_queue(ann, "greetings", &out));
    must(primer_queue(bob, "greetings", &in));

    primer_enqueue_options_t two = PRIMER_ENQUEUE_OPTIONS_INIT;
    primer_receipt_t receipt;
    char id[PRIMER_MESSAGE_ID_TEXT_MAX];
    two.copies = 2;
    must(primer_queue_enqueue(out, "hello from ann", 14, &two, &receipt));
    must(primer_message_id_text(receipt.id, id));
    printf("enqueued %s: %u of %u copies\n", id, receipt.copies, receipt.wanted);

    primer_receive_options_t patient = PRIMER_RECEIVE_OPTIONS_INIT;
    primer_delivery_t *delivery;
    size_t count;
    patient.wait_ms = 10000;
    must(primer_queue_receive(in, &patient, &delivery, 1, &count));
    primer_bytes_t body = primer_delivery_body(delivery);
    printf("bob received \"%.*s\" (attempt %u)\n", (int)body.len, (const char *)body.data,
           primer_delivery_attempts(delivery));
    must(primer_queue_ack(in, delivery)); /* not acked, it would go back */

    primer_delivery_free(delivery);
    primer_queue_free(in);
    primer_queue_free(out);
    must(primer_close(bob));
    must(primer_close(ann));
    primer_free(bob);
    primer_free(ann);
    return 0;
}

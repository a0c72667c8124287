/* Workers in an event loop: each process is a member of the cluster and takes what it can.
 *
 *     cc workers.c $(pkg-config --cflags --libs primer) -o workers
 *     ./workers                       alone: prints its address, waits for a helper, hands out numbers
 *                                     and adds up their squares
 *     ./workers 127.0.0.1:41873       joins the member at that address and squares, until its standard
 *                                     input ends
 *
 * Both poll the descriptor of a subscription, as they would poll a socket. */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <primer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NUMBERS = 30, CREDIT = 4 };

static primer_t *primer;
static primer_queue_t *numbers, *squares;

static void must(primer_code_t code) {
    if (code == PRIMER_OK) return;
    fprintf(stderr, "%s\n", primer_last_error_message());
    exit(1);
}

/* The body as a text of our own; bodies do not end in a NUL. */
static char *text_of(const primer_delivery_t *delivery, char text[64]) {
    primer_bytes_t body = primer_delivery_body(delivery);
    size_t len = body.len < 63 ? body.len : 63;
    memcpy(text, body.data, len);
    text[len] = '\0';
    return text;
}

/* Squares one number. The first try of every seventh fails: it goes back, and comes again. */
static int square(primer_delivery_t *delivery) {
    char text[64];
    long number = atol(text_of(delivery, text));
    if (number % 7 == 0 && primer_delivery_attempts(delivery) == 1) {
        printf("%ld: not today\n", number);
        must(primer_queue_nack(numbers, delivery, 0));
        return 1;
    }
    int len = snprintf(text, sizeof text, "%ld %ld", number, number * number);
    must(primer_queue_enqueue(squares, text, (size_t)len, NULL, NULL));
    must(primer_queue_ack(numbers, delivery));
    return 1;
}

/* Adds a square up; a number that comes twice counts once. Answers 0 when all are there. */
static int add_up(primer_delivery_t *delivery) {
    static long known[NUMBERS + 1];
    char text[64];
    long number = 0, squared = 0, sum = 0, count = 0;
    if (sscanf(text_of(delivery, text), "%ld %ld", &number, &squared) == 2 && number > 0 &&
        number <= NUMBERS)
        known[number] = squared;
    must(primer_queue_ack(squares, delivery));
    for (int i = 1; i <= NUMBERS; i++) {
        sum += known[i];
        count += known[i] != 0;
    }
    if (count == NUMBERS) printf("%ld squares, their sum is %ld\n", count, sum);
    return count < NUMBERS;
}

/* The event loop: handles deliveries until the handler has enough or standard input ends. A failure ends it too:
 * of a member that is closed the descriptor stays readable, and a loop that polled on would spin. */
static void loop(primer_queue_t *queue, int (*handle)(primer_delivery_t *), int input) {
    primer_subscribe_options_t options = PRIMER_SUBSCRIBE_OPTIONS_INIT;
    primer_subscription_t *subscription;
    primer_delivery_t *delivery;
    primer_code_t code = PRIMER_EMPTY;
    int goes_on = 1;
    options.credit = CREDIT;
    /* However long a message takes here, up to five minutes, nobody else is given it meanwhile. */
    options.max_run_ms = 5 * 60 * 1000;
    must(primer_queue_subscribe(queue, &options, &subscription));
    struct pollfd fds[] = {{primer_subscription_fd(subscription), POLLIN, 0}, {input, POLLIN, 0}};
    while (goes_on && code == PRIMER_EMPTY && poll(fds, 2, -1) > 0 && !fds[1].revents) {
        while (goes_on && (code = primer_subscription_next(subscription, 0, &delivery)) == PRIMER_OK) {
            goes_on = handle(delivery);
            primer_delivery_free(delivery);
        }
    }
    if (code != PRIMER_EMPTY) must(code);
    primer_subscription_free(subscription);
}

/* Waits for a helper and hands the numbers out. */
static void hand_out(void) {
    char texts[NUMBERS][16];
    primer_bytes_t bodies[NUMBERS];
    primer_events_t *events;
    primer_event_t *event;
    const char *address;
    must(primer_events(primer, &events));
    must(primer_address(primer, &address));
    printf("%s\n", address);
    fflush(stdout);
    for (int is_alone = 1; is_alone; primer_event_free(event)) {
        must(primer_events_next(events, PRIMER_FOREVER, &event));
        is_alone = strcmp(primer_event_kind(event), "joined") != 0;
    }
    primer_events_free(events);
    for (int i = 0; i < NUMBERS; i++) {
        int len = snprintf(texts[i], sizeof texts[i], "%d", i + 1);
        bodies[i] = (primer_bytes_t){(const uint8_t *)texts[i], (size_t)len};
    }
    must(primer_queue_enqueue_many(numbers, bodies, NUMBERS, NULL, NULL));
}

int main(int argc, char **argv) {
    primer_options_t options = PRIMER_OPTIONS_INIT;
    options.cluster = "workers";
    options.seeds = argc > 1 ? argv[1] : NULL;
    must(primer_open(&options, &primer));
    must(primer_queue(primer, "numbers", &numbers));
    must(primer_queue(primer, "squares", &squares));
    if (argc > 1) {
        loop(numbers, square, STDIN_FILENO);
    } else {
        hand_out();
        loop(squares, add_up, -1); /* poll ignores a negative descriptor */
    }
    primer_queue_free(squares);
    primer_queue_free(numbers);
    must(primer_close(primer));
    primer_free(primer);
    return 0;
}

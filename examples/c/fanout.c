/* News for everyone who listens: two members in one process, a topic, and no queue. What is broadcast is not
 * stored and nobody acks it; whoever listens hears it at once, at every member.
 *
 *     cc fanout.c $(pkg-config --cflags --libs primer) -o fanout
 */
#include <primer.h>
#include <stdio.h>
#include <stdlib.h>

static void must(primer_code_t code) {
    if (code == PRIMER_OK) return;
    fprintf(stderr, "%s\n", code == PRIMER_EMPTY ? "nothing came" : primer_last_error_message());
    exit(1);
}

static void hear(const char *who, const primer_topic_t *topic) {
    primer_broadcast_t *news;
    must(primer_topic_next(topic, 10000, &news));
    primer_bytes_t body = primer_broadcast_body(news);
    printf("%s heard \"%.*s\" on %s\n", who, (int)body.len, (const char *)body.data,
           primer_broadcast_topic(news));
    primer_broadcast_free(news);
}

int main(void) {
    primer_options_t options = PRIMER_OPTIONS_INIT;
    primer_t *ann, *bob;
    options.cluster = "fanout";
    must(primer_open(&options, &ann));
    must(primer_address(ann, &options.seeds)); /* bob dials ann */
    must(primer_open(&options, &bob));

    primer_topic_t *at_ann, *at_bob; /* each hears what is said from now on */
    must(primer_on(ann, "kitchen", &at_ann));
    must(primer_on(bob, "kitchen", &at_bob));

    must(primer_broadcast(bob, "kitchen", "is it ready?", 12));
    hear("ann", at_ann);
    hear("bob", at_bob); /* who says it hears it too */
    must(primer_broadcast(ann, "kitchen", "soup is ready", 13));
    hear("ann", at_ann);
    hear("bob", at_bob);

    primer_topic_free(at_bob);
    primer_topic_free(at_ann);
    must(primer_close(bob));
    must(primer_close(ann));
    primer_free(bob);
    primer_free(ann);
    return 0;
}

/* Topics: what is told to everyone, and how a C program hears it. One member is enough, because it hears
 * itself; the scenarios have several. */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <pthread.h>

#include "loop.h"

enum { KEPT = 1024 };

static primer_topic_t *on(primer_t *p, const char *topic) {
    primer_topic_t *reader = NULL;
    CODE(PRIMER_OK, primer_on(p, topic, &reader));
    return reader;
}

static void say(primer_t *p, const char *topic, const char *body) {
    CODE(PRIMER_OK, primer_broadcast(p, topic, body, strlen(body)));
}

static int says(const primer_broadcast_t *broadcast, const char *text) {
    primer_bytes_t body = primer_broadcast_body(broadcast);
    return body.len == strlen(text) && !memcmp(body.data, text, body.len);
}

/* The next broadcast must be this one. */
static void hears(const primer_topic_t *reader, const char *body) {
    primer_broadcast_t *broadcast;
    CODE(PRIMER_OK, primer_topic_next(reader, PATIENCE_MS, &broadcast));
    CHECK(says(broadcast, body));
    primer_broadcast_free(broadcast);
}

static void a_broadcast_tells_its_topic_its_sender_and_its_bytes(void) {
    alone_t it = alone();
    primer_topic_t *reader = on(it.p, "chat");
    primer_broadcast_t *broadcast;
    primer_members_t *members;
    primer_member_t self;
    CODE(PRIMER_OK, primer_members(it.p, &members));
    CODE(PRIMER_OK, primer_members_at(members, 0, &self));
    CODE(PRIMER_EMPTY, primer_topic_next(reader, 0, &broadcast));
    CHECK(broadcast == NULL);
    CODE(PRIMER_OK, primer_broadcast(it.p, "chat", "a\0b\xff", 4));
    CODE(PRIMER_OK, primer_broadcast(it.p, "chat", NULL, 0));
    CODE(PRIMER_OK, primer_topic_next(reader, 0, &broadcast));
    primer_bytes_t body = primer_broadcast_body(broadcast);
    CHECK(body.len == 4 && !memcmp(body.data, "a\0b\xff", 4));
    CHECK(!strcmp(primer_broadcast_topic(broadcast), "chat"));
    CHECK(!strcmp(primer_broadcast_from(broadcast), self.id));
    primer_broadcast_free(broadcast);
    CODE(PRIMER_OK, primer_topic_next(reader, 0, &broadcast));
    CHECK(primer_broadcast_body(broadcast).len == 0);
    primer_broadcast_free(broadcast);
    primer_members_free(members);
    primer_topic_free(reader);
    end(it);
}

static void each_reader_hears_all_of_its_own_topic(void) {
    alone_t it = alone();
    primer_topic_t *one = on(it.p, "chat"), *two = on(it.p, "chat"), *other = on(it.p, "other");
    primer_broadcast_t *taken[4];
    size_t len;
    say(it.p, "chat", "first");
    primer_topic_t *later = on(it.p, "chat");
    say(it.p, "chat", "second");
    say(it.p, "other", "elsewhere");
    hears(one, "first");
    hears(one, "second");
    CODE(PRIMER_OK, primer_topic_take(two, taken, 4, &len));
    CHECK(len == 2 && says(taken[0], "first") && says(taken[1], "second"));
    for (size_t i = 0; i < len; i++) primer_broadcast_free(taken[i]);
    CODE(PRIMER_EMPTY, primer_topic_take(two, taken, 4, &len));
    CHECK(len == 0);
    hears(later, "second");
    hears(other, "elsewhere");
    CODE(PRIMER_EMPTY, primer_topic_next(other, 0, &taken[0]));
    primer_topic_free(later);
    primer_topic_free(other);
    primer_topic_free(two);
    primer_topic_free(one);
    end(it);
}

static void a_reader_that_is_too_slow_is_told_how_much_it_missed(void) {
    alone_t it = alone();
    primer_topic_t *slow = on(it.p, "chat"), *ready = on(it.p, "chat");
    primer_broadcast_t *broadcast;
    char text[16];
    CHECK(primer_topic_missed(slow) == 0);
    for (int i = 0; i < KEPT + 2; i++) {
        int len = snprintf(text, sizeof text, "%d", i);
        primer_code_t code;
        /* A member that says too much is told to wait; it is what makes this test take its time. */
        while ((code = primer_broadcast(it.p, "chat", text, (size_t)len)) == PRIMER_E_OVERLOADED) {
            CHECK(strstr(primer_last_error_message(), "retry_after_ms"));
            poll(NULL, 0, 10);
        }
        CODE(PRIMER_OK, code);
        hears(ready, text);
    }
    CHECK(primer_topic_missed(slow) == 2 && primer_topic_missed(ready) == 0);
    CODE(PRIMER_OK, primer_topic_next(slow, 0, &broadcast));
    CHECK(says(broadcast, "2"));
    primer_broadcast_free(broadcast);
    primer_topic_free(ready);
    primer_topic_free(slow);
    end(it);
}

static void what_is_here_can_be_read_after_the_reader_was_closed(void) {
    alone_t it = alone();
    primer_topic_t *reader = on(it.p, "chat");
    primer_broadcast_t *broadcast;
    say(it.p, "chat", "before");
    CODE(PRIMER_OK, primer_topic_close(reader));
    CODE(PRIMER_OK, primer_topic_close(reader));
    say(it.p, "chat", "after");
    hears(reader, "before");
    CODE(PRIMER_E_CLOSED, primer_topic_next(reader, PRIMER_FOREVER, &broadcast));
    CHECK(broadcast == NULL);
    primer_topic_free(reader);
    end(it);
}

static void a_reader_ends_with_its_member(void) {
    alone_t it = alone();
    primer_topic_t *reader = on(it.p, "chat"), *late;
    primer_broadcast_t *broadcast;
    say(it.p, "chat", "before");
    CODE(PRIMER_OK, primer_close(it.p));
    hears(reader, "before");
    CODE(PRIMER_E_CLOSED, primer_topic_next(reader, PRIMER_FOREVER, &broadcast));
    CODE(PRIMER_E_CLOSED, primer_broadcast(it.p, "chat", "x", 1));
    CODE(PRIMER_OK, primer_on(it.p, "chat", &late));
    CODE(PRIMER_E_CLOSED, primer_topic_next(late, PRIMER_FOREVER, &broadcast));
    primer_topic_free(late);
    primer_topic_free(reader);
    end(it);
}

static void wrong_topics_and_bodies_are_refused(void) {
    static char large[65537];
    alone_t it = alone();
    primer_topic_t *reader = (primer_topic_t *)&it;
    char name[257];
    memset(name, 'q', 256);
    name[256] = '\0';
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_broadcast(it.p, "", "x", 1));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_broadcast(it.p, name, "x", 1));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_broadcast(it.p, NULL, "x", 1));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_broadcast(it.p, "caf\xe9", "x", 1));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_broadcast(it.p, "chat", NULL, 1));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_broadcast(NULL, "chat", "x", 1));
    CODE(PRIMER_E_TOO_LARGE, primer_broadcast(it.p, "chat", large, sizeof large));
    CODE(PRIMER_OK, primer_broadcast(it.p, "chat", large, sizeof large - 1));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_on(it.p, name, &reader));
    CHECK(reader == NULL);
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_on(it.p, "chat", NULL));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_on(NULL, "chat", &reader));
    end(it);
}

typedef struct {
    primer_topic_t *reader;
    primer_code_t code;
} waits_t;

static void *wait_for_ever(void *of) {
    waits_t *waits = of;
    primer_broadcast_t *broadcast = NULL;
    waits->code = primer_topic_next(waits->reader, PRIMER_FOREVER, &broadcast);
    primer_broadcast_free(broadcast);
    return NULL;
}

static void who_waits_is_woken_when_the_reader_is_closed_or_freed(void) {
    for (int is_freed = 0; is_freed < 2; is_freed++) {
        alone_t it = alone();
        waits_t waits = {on(it.p, "chat"), PRIMER_OK};
        pthread_t thread;
        CHECK(!pthread_create(&thread, NULL, wait_for_ever, &waits));
        /* Whether the thread waits already or comes too late: it gets an answer. */
        if (is_freed)
            primer_topic_free(waits.reader);
        else
            CODE(PRIMER_OK, primer_topic_close(waits.reader));
        pthread_join(thread, NULL);
        CHECK(waits.code == PRIMER_E_CLOSED ||
              (is_freed && waits.code == PRIMER_E_INVALID_ARGUMENT));
        primer_topic_free(waits.reader);
        end(it);
    }
}

static void *wait_for_an_event(void *of) {
    primer_events_t *events = ((void **)of)[0];
    primer_code_t *code = ((void **)of)[1];
    primer_event_t *event = NULL;
    *code = primer_events_next(events, PRIMER_FOREVER, &event);
    primer_event_free(event);
    return NULL;
}

static void who_waits_for_an_event_is_woken_when_the_reader_is_freed(void) {
    alone_t it = alone();
    primer_events_t *events;
    primer_code_t code = PRIMER_OK;
    pthread_t thread;
    CODE(PRIMER_OK, primer_events(it.p, &events));
    void *of[] = {events, &code};
    CHECK(!pthread_create(&thread, NULL, wait_for_an_event, of));
    primer_events_free(events);
    pthread_join(thread, NULL);
    CHECK(code == PRIMER_E_CLOSED || code == PRIMER_E_INVALID_ARGUMENT);
    end(it);
}

static void a_descriptor_tells_of_broadcasts_and_of_the_end(void) {
    alone_t it = alone();
    primer_topic_t *reader = on(it.p, "chat");
    primer_broadcast_t *broadcast;
    int fd = primer_topic_fd(reader);
    CHECK(fd >= 0 && fd == primer_topic_fd(reader) && !readable(fd, 0));
    for (int round = 0; round < 3; round++) {
        say(it.p, "other", "not for it");
        CHECK(!readable(fd, 0));
        say(it.p, "chat", "one");
        say(it.p, "chat", "two");
        /* Readable as long as something is there. */
        CHECK(readable(fd, PATIENCE_MS));
        hears(reader, "one");
        CHECK(readable(fd, PATIENCE_MS));
        hears(reader, "two");
        CODE(PRIMER_EMPTY, primer_topic_next(reader, 0, &broadcast));
        CHECK(!readable(fd, 0));
    }
    CODE(PRIMER_OK, primer_topic_close(reader));
    CHECK(readable(fd, PATIENCE_MS));
    CODE(PRIMER_E_CLOSED, primer_topic_next(reader, 0, &broadcast));
    primer_topic_free(reader);
    CHECK(primer_topic_fd(reader) == -1 && primer_topic_fd(NULL) == -1);
    end(it);
}

static void the_next_broadcast_can_come_late(void) {
    alone_t it = alone();
    primer_topic_t *reader = on(it.p, "chat");
    primer_completions_t *c;
    primer_broadcast_t *broadcast;
    primer_event_t *event;
    uint64_t ticket;
    CODE(PRIMER_OK, primer_completions_new(&c));
    say(it.p, "chat", "here");
    CODE(PRIMER_OK, primer_topic_next_start(reader, c, &broadcast, &ticket));
    CHECK(ticket == 0 && says(broadcast, "here"));
    primer_broadcast_free(broadcast);
    CODE(PRIMER_LATER, primer_topic_next_start(reader, c, &broadcast, &ticket));
    CHECK(broadcast == NULL);
    say(it.p, "chat", "late");
    primer_completion_t *answer = one_answer(c);
    CHECK(primer_completion_ticket(answer) == ticket);
    CHECK(primer_completion_kind(answer) == PRIMER_COMPLETION_BROADCAST);
    CODE(PRIMER_OK, primer_completion_code(answer));
    /* It is no event: asking for one leaves the broadcast where it is. */
    CODE(PRIMER_EMPTY, primer_completion_event(answer, &event));
    CODE(PRIMER_OK, primer_completion_broadcast(answer, &broadcast));
    CHECK(says(broadcast, "late"));
    primer_broadcast_free(broadcast);
    CODE(PRIMER_EMPTY, primer_completion_broadcast(answer, &broadcast));
    primer_completion_free(answer);
    /* One that nobody takes out is freed with its answer. */
    CODE(PRIMER_LATER, primer_topic_next_start(reader, c, &broadcast, &ticket));
    say(it.p, "chat", "unread");
    primer_completion_free(one_answer(c));
    CODE(PRIMER_LATER, primer_topic_next_start(reader, c, &broadcast, &ticket));
    primer_topic_free(reader);
    answer = one_answer(c);
    CHECK(primer_completion_kind(answer) == PRIMER_COMPLETION_FAILED);
    CODE(PRIMER_E_CLOSED, primer_completion_code(answer));
    primer_completion_free(answer);
    primer_completions_free(c);
    end(it);
}

static void a_cancelled_wait_leaves_the_broadcast_to_the_next(void) {
    alone_t it = alone();
    primer_topic_t *reader = on(it.p, "chat");
    primer_completions_t *c;
    primer_broadcast_t *broadcast;
    uint64_t ticket;
    CODE(PRIMER_OK, primer_completions_new(&c));
    CODE(PRIMER_LATER, primer_topic_next_start(reader, c, &broadcast, &ticket));
    CODE(PRIMER_OK, primer_completions_cancel(c, ticket));
    CODE(PRIMER_EMPTY, primer_topic_next(reader, 1, &broadcast));
    say(it.p, "chat", "still here");
    hears(reader, "still here");
    CHECK(!readable(primer_completions_fd(c), 0));
    primer_completions_free(c);
    primer_topic_free(reader);
    end(it);
}

static void one_descriptor_serves_many_readers(void) {
    alone_t it = alone();
    primer_topic_t *one = on(it.p, "one"), *two = on(it.p, "two");
    primer_completions_t *c;
    primer_broadcast_t *broadcast;
    CODE(PRIMER_OK, primer_completions_new(&c));
    CODE(PRIMER_OK, primer_topic_notify(one, c, 101));
    CODE(PRIMER_OK, primer_topic_notify(two, c, 102));
    for (int round = 0; round < 2; round++) {
        say(it.p, "two", "x");
        primer_completion_t *answer = one_answer(c);
        CHECK(primer_completion_kind(answer) == PRIMER_COMPLETION_READY);
        CHECK(primer_completion_ticket(answer) == 102);
        primer_completion_free(answer);
        hears(two, "x");
        CODE(PRIMER_EMPTY, primer_topic_next(two, 0, &broadcast));
    }
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_topic_notify(one, NULL, 1));
    primer_completions_free(c);
    primer_topic_free(two);
    primer_topic_free(one);
    end(it);
}

static void a_broadcast_outlives_its_reader_and_its_member(void) {
    alone_t it = alone();
    primer_topic_t *reader = on(it.p, "chat");
    primer_broadcast_t *broadcast;
    say(it.p, "chat", "still here");
    CODE(PRIMER_OK, primer_topic_next(reader, 0, &broadcast));
    primer_topic_free(reader);
    end(it);
    CHECK(says(broadcast, "still here"));
    primer_broadcast_free(broadcast);
    primer_broadcast_free(broadcast);
    CHECK(primer_broadcast_body(broadcast).len == 0);
    CHECK(!strcmp(primer_broadcast_topic(broadcast), "") && !strcmp(primer_broadcast_from(NULL), ""));
}

static const test_t TESTS[] = {
    TEST(a_broadcast_tells_its_topic_its_sender_and_its_bytes),
    TEST(each_reader_hears_all_of_its_own_topic),
    TEST(a_reader_that_is_too_slow_is_told_how_much_it_missed),
    TEST(what_is_here_can_be_read_after_the_reader_was_closed),
    TEST(a_reader_ends_with_its_member),
    TEST(wrong_topics_and_bodies_are_refused),
    TEST(who_waits_is_woken_when_the_reader_is_closed_or_freed),
    TEST(who_waits_for_an_event_is_woken_when_the_reader_is_freed),
    TEST(a_descriptor_tells_of_broadcasts_and_of_the_end),
    TEST(the_next_broadcast_can_come_late),
    TEST(a_cancelled_wait_leaves_the_broadcast_to_the_next),
    TEST(one_descriptor_serves_many_readers),
    TEST(a_broadcast_outlives_its_reader_and_its_member),
};

RUN(TESTS)

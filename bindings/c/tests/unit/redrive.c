/* A redrive: what C reads of it, and what is answered when it is gone. */
#include "check.h"

#define BAD PRIMER_E_INVALID_ARGUMENT

/* Puts one in and makes it a dead letter. */
static void kill_one(alone_t it, const char *body) {
    primer_delivery_t *d;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, body, strlen(body), NULL, NULL));
    d = receive_one(it.q);
    CODE(PRIMER_OK, primer_queue_reject(it.q, d, "as told"));
    primer_delivery_free(d);
}

static void letters_go_back_and_are_counted(void) {
    alone_t it = alone();
    primer_redrive_options_t some = PRIMER_REDRIVE_OPTIONS_INIT;
    primer_header_t cause = {PRIMER_TEXT("primer-cause"), PRIMER_TEXT("rejected")};
    primer_redriven_counts_t counts;
    primer_redriven_t *told;
    primer_queue_t *dead;
    primer_page_t *page;
    primer_browsed_t letter;
    char id[PRIMER_MESSAGE_ID_TEXT_MAX];
    const char *ids[1] = {id}, *member;
    CODE(PRIMER_OK, primer_queue(it.p, "jobs.dead", &dead));
    kill_one(it, "one");
    kill_one(it, "two");
    some.headers = &cause;
    some.headers_len = 1;
    some.dry_run = 1;
    CODE(PRIMER_OK, primer_queue_redrive(dead, &some, &told));
    CODE(PRIMER_OK, primer_redriven_counts(told, &counts));
    CHECK(counts.matched == 2 && counts.moved == 0 && counts.leased == 0);
    primer_redriven_free(told);
    CODE(PRIMER_OK, primer_queue_browse(dead, NULL, &page));
    CODE(PRIMER_OK, primer_page_at(page, 1, &letter));
    CODE(PRIMER_OK, primer_message_id_text(letter.id, id));
    primer_page_free(page);
    some.dry_run = 0;
    some.ids = ids;
    some.ids_len = 1;
    CODE(PRIMER_OK, primer_queue_redrive(dead, &some, &told));
    CODE(PRIMER_OK, primer_redriven_counts(told, &counts));
    CHECK(counts.matched == 1 && counts.moved == 1 && counts.refused == 0 && counts.skipped == 0);
    CHECK(primer_redriven_missing_len(told) == 0);
    CODE(PRIMER_EMPTY, primer_redriven_missing_at(told, 0, &member));
    primer_redriven_free(told);
    primer_redriven_free(NULL);
    CODE(BAD, primer_redriven_counts(told, &counts));
    CHECK(counts.matched == 0);
    CODE(PRIMER_OK, primer_queue_redrive(dead, NULL, &told));
    CODE(PRIMER_OK, primer_redriven_counts(told, &counts));
    CHECK(counts.matched == 1 && counts.moved == 1);
    primer_redriven_free(told);
    primer_queue_free(dead);
    end(it);
}

static void a_wrong_redrive_is_told(void) {
    alone_t it = alone();
    primer_redrive_options_t some = PRIMER_REDRIVE_OPTIONS_INIT;
    const char *ids[2] = {"no id", NULL};
    primer_redriven_t *told;
    CODE(BAD, primer_queue_redrive(it.q, NULL, NULL));
    some.ids = ids;
    some.ids_len = 1;
    CODE(BAD, primer_queue_redrive(it.q, &some, &told));
    CHECK(!told);
    some.ids = ids + 1;
    CODE(BAD, primer_queue_redrive(it.q, &some, &told));
    some.ids = NULL;
    CODE(BAD, primer_queue_redrive(it.q, &some, &told));
    some.ids_len = 0;
    some.dry_run = 2;
    CODE(BAD, primer_queue_redrive(it.q, &some, &told));
    some.dry_run = PRIMER_DEFAULT;
    some.to = "jobs";
    CODE(BAD, primer_queue_redrive(it.q, &some, &told));
    some.to = NULL;
    some.size = 8;
    CODE(BAD, primer_queue_redrive(it.q, &some, &told));
    CHECK(!told);
    CODE(PRIMER_OK, primer_close(it.p));
    CODE(PRIMER_E_CLOSED, primer_queue_redrive(it.q, NULL, &told));
    end(it);
}

static const test_t TESTS[] = {
    TEST(letters_go_back_and_are_counted),
    TEST(a_wrong_redrive_is_told),
};

RUN(TESTS)

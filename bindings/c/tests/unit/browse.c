/* A page: what C reads of it, and what is answered when it is gone. */
#include "check.h"

#define BAD PRIMER_E_INVALID_ARGUMENT

static void a_page_shows_messages_and_takes_none(void) {
    alone_t it = alone();
    primer_header_t header = {PRIMER_TEXT("to"), PRIMER_TEXT("ada")}, read;
    primer_enqueue_options_t with = PRIMER_ENQUEUE_OPTIONS_INIT;
    primer_browse_options_t look = PRIMER_BROWSE_OPTIONS_INIT;
    primer_browsed_t browsed;
    primer_page_t *page;
    with.headers = &header;
    with.headers_len = 1;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "one", 3, &with, NULL));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "two", 3, NULL, NULL));
    look.max = 1;
    look.body_bytes_max = 2;
    CODE(PRIMER_OK, primer_queue_browse(it.q, &look, &page));
    CHECK(primer_page_len(page) == 1 && primer_page_missing_len(page) == 0);
    CODE(PRIMER_OK, primer_page_at(page, 0, &browsed));
    CHECK(browsed.body.len == 2 && !memcmp(browsed.body.data, "on", 2) && browsed.body_bytes == 3);
    CHECK(browsed.state == PRIMER_STATE_READY && !browsed.group && browsed.headers_len == 1);
    CODE(PRIMER_OK, primer_page_header(page, 0, 0, &read));
    CHECK(read.value.len == 3 && !memcmp(read.value.data, "ada", 3));
    CODE(PRIMER_EMPTY, primer_page_header(page, 0, 1, &read));
    CODE(PRIMER_EMPTY, primer_page_at(page, 1, &browsed));
    look.after = primer_page_cursor(page);
    CHECK(look.after != NULL);
    primer_page_t *last;
    CODE(PRIMER_OK, primer_queue_browse(it.q, &look, &last));
    CHECK(primer_page_len(last) == 1 && !primer_page_cursor(last));
    primer_page_free(last);
    primer_page_free(page);
    primer_page_free(NULL);
    CODE(BAD, primer_page_at(page, 0, &browsed));
    CHECK(primer_page_len(page) == 0 && !primer_page_cursor(page));
    end(it);
}

static void a_wrong_look_is_told(void) {
    alone_t it = alone();
    primer_browse_options_t look = PRIMER_BROWSE_OPTIONS_INIT;
    primer_page_t *page;
    CODE(BAD, primer_queue_browse(it.q, &look, NULL));
    look.states = 8;
    CODE(BAD, primer_queue_browse(it.q, &look, &page));
    CHECK(!page);
    look.states = PRIMER_DEFAULT;
    look.size = 8;
    CODE(BAD, primer_queue_browse(it.q, &look, &page));
    CODE(PRIMER_OK, primer_queue_browse(it.q, NULL, &page));
    CHECK(primer_page_len(page) == 0);
    primer_page_free(page);
    end(it);
}

static const test_t TESTS[] = {
    TEST(a_page_shows_messages_and_takes_none),
    TEST(a_wrong_look_is_told),
};

RUN(TESTS)

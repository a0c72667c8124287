/* An explanation: what C reads of it, and what is answered when it is gone. */
#include "check.h"

#define BAD PRIMER_E_INVALID_ARGUMENT

static void an_explanation_says_what_a_message_is(void) {
    alone_t it = alone();
    primer_receipt_t receipt;
    primer_explanation_t *told;
    primer_account_t account;
    char id[PRIMER_MESSAGE_ID_TEXT_MAX];
    const char *member;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "one", 3, NULL, &receipt));
    CODE(PRIMER_OK, primer_message_id_text(receipt.id, id));
    CODE(PRIMER_OK, primer_explain(it.p, id, &told));
    CHECK(primer_explanation_len(told) == 1 && primer_explanation_missing_len(told) == 0);
    CODE(PRIMER_OK, primer_explanation_at(told, 0, &account));
    CHECK(!strcmp(account.known, "ready") && !strcmp(account.queue, "jobs") && !account.group);
    CHECK(account.id.origin == receipt.id.origin && account.id.sequence == receipt.id.sequence);
    CHECK(account.owner && !strcmp(account.owner, account.member) && !account.lessee);
    CHECK(account.accepted_ms && !account.expires_ms && !account.lease_ms && account.holders_len == 1);
    CODE(PRIMER_OK, primer_explanation_holder(told, 0, 0, &member));
    CHECK(!strcmp(member, account.member));
    CODE(PRIMER_EMPTY, primer_explanation_holder(told, 0, 1, &member));
    CODE(PRIMER_EMPTY, primer_explanation_holder(told, 1, 0, &member));
    CODE(PRIMER_EMPTY, primer_explanation_at(told, 1, &account));
    CODE(PRIMER_EMPTY, primer_explanation_missing_at(told, 0, &member));
    primer_explanation_free(told);
    primer_explanation_free(NULL);
    CODE(BAD, primer_explanation_at(told, 0, &account));
    CHECK(primer_explanation_len(told) == 0 && !account.queue && !*account.known);
    end(it);
}

static void what_is_no_id_is_told_and_a_closed_member(void) {
    alone_t it = alone();
    primer_explanation_t *told;
    CODE(BAD, primer_explain(it.p, "no id", &told));
    CHECK(!told);
    CODE(BAD, primer_explain(it.p, "", &told));
    CODE(BAD, primer_explain(it.p, NULL, &told));
    CODE(BAD, primer_explain(it.p, "0000000000000001-1", NULL));
    CODE(BAD, primer_explain(NULL, "0000000000000001-1", &told));
    CODE(PRIMER_OK, primer_close(it.p));
    CODE(PRIMER_E_CLOSED, primer_explain(it.p, "0000000000000001-1", &told));
    CHECK(!told);
    end(it);
}

static const test_t TESTS[] = {
    TEST(an_explanation_says_what_a_message_is),
    TEST(what_is_no_id_is_told_and_a_closed_member),
};

RUN(TESTS)

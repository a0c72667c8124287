/* A diagnosis: what C reads of it, and what is answered when it is gone. */
#include "check.h"

#define BAD PRIMER_E_INVALID_ARGUMENT

static void a_diagnosis_says_what_is_the_matter(void) {
    alone_t it = alone();
    primer_diagnosis_t *told;
    primer_finding_t finding;
    primer_facts_t facts;
    primer_delivery_t *d;
    const char *member, *lessee;
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "one", 3, NULL, NULL));
    CODE(PRIMER_OK, primer_queue_enqueue(it.q, "two", 3, NULL, NULL));
    d = receive_one(it.q);
    CODE(PRIMER_OK, primer_queue_pause(it.q, "in"));
    CODE(PRIMER_OK, primer_queue_doctor(it.q, &told));
    CODE(PRIMER_OK, primer_diagnosis_finding(told, 0, &finding));
    CHECK(!strcmp(finding.code, "no_consumer") && finding.messages == 1 && !finding.group);
    CHECK(finding.members_len == 1);
    CODE(PRIMER_OK, primer_diagnosis_finding_member(told, 0, 0, &member));
    CODE(PRIMER_EMPTY, primer_diagnosis_finding_member(told, 0, 1, &member));
    CODE(PRIMER_OK, primer_diagnosis_finding(told, 1, &finding));
    CHECK(!strcmp(finding.code, "paused_in"));
    CODE(PRIMER_EMPTY, primer_diagnosis_finding(told, 2, &finding));
    CODE(PRIMER_OK, primer_diagnosis_facts(told, 0, &facts));
    CHECK(facts.ready == 1 && facts.leased == 1 && facts.delayed == 0 && facts.standby == 0);
    CHECK(!strcmp(facts.paused, "in") && !facts.paused_by && !facts.is_full && !facts.group);
    CHECK(facts.next_lease_ms > 0 && facts.lessees_len == 1 && facts.owners_len == 0);
    CODE(PRIMER_OK, primer_diagnosis_lessee(told, 0, 0, &lessee));
    CHECK(!strcmp(lessee, facts.member) && strlen(lessee) == 32);
    CODE(PRIMER_EMPTY, primer_diagnosis_lessee(told, 0, 1, &lessee));
    CODE(PRIMER_EMPTY, primer_diagnosis_owner(told, 0, 0, &lessee));
    CODE(PRIMER_EMPTY, primer_diagnosis_missing(told, 0, &lessee));
    CODE(PRIMER_EMPTY, primer_diagnosis_facts(told, 1, &facts));
    primer_diagnosis_free(told);
    primer_diagnosis_free(NULL);
    CODE(BAD, primer_diagnosis_finding(told, 0, &finding));
    CHECK(!*finding.code && finding.members_len == 0);
    CODE(BAD, primer_diagnosis_facts(told, 0, &facts));
    CODE(PRIMER_OK, primer_queue_ack(it.q, d));
    primer_delivery_free(d);
    end(it);
}

static void a_closed_member_answers_so(void) {
    alone_t it = alone();
    primer_diagnosis_t *told;
    CODE(BAD, primer_queue_doctor(it.q, NULL));
    CODE(BAD, primer_queue_doctor(NULL, &told));
    CODE(PRIMER_OK, primer_close(it.p));
    CODE(PRIMER_E_CLOSED, primer_queue_doctor(it.q, &told));
    CHECK(!told);
    end(it);
}

static const test_t TESTS[] = {
    TEST(a_diagnosis_says_what_is_the_matter),
    TEST(a_closed_member_answers_so),
};

RUN(TESTS)

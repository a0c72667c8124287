/* See doctor.h. */
#define _POSIX_C_SOURCE 200809L
#include "doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "verbs.h"

static bool are_members(const primer_diagnosis_t *told, size_t index, size_t count) {
    const char *member;
    for (size_t i = 0; i < count; i++)
        if (primer_diagnosis_finding_member(told, index, i, &member) != PRIMER_OK || strlen(member) != 32)
            return false;
    return primer_diagnosis_finding_member(told, index, count, &member) == PRIMER_EMPTY;
}

static bool is_so(const primer_finding_t *finding, const word_t *word) {
    const char *value = (const char *)word->value;
    uint64_t number = strtoull(value, NULL, 10);
    if (!word->key) return !strcmp(finding->code, value);
    if (!strcmp(word->key, "messages")) return finding->messages == number;
    if (!strcmp(word->key, "members")) return finding->members_len == number;
    return !strcmp(word->key, "group") && finding->group && !strcmp(finding->group, value);
}

/* Each finding, in order. */
static bool is_found(const step_t *step, const primer_diagnosis_t *told) {
    primer_finding_t finding;
    primer_facts_t facts;
    for (size_t i = 0; i < step->expect_count; i++) {
        if (primer_diagnosis_finding(told, i, &finding) != PRIMER_OK) return false;
        if (!are_members(told, i, finding.members_len)) return false;
        for (size_t word = 0; word < step->expect[i].count; word++)
            if (!is_so(&finding, &step->expect[i].at[word])) return false;
    }
    if (primer_diagnosis_finding(told, step->expect_count, &finding) != PRIMER_EMPTY) return false;
    return primer_diagnosis_facts(told, 0, &facts) == PRIMER_OK && strlen(facts.member) == 32;
}

static bool are_missing(const step_t *step, const primer_diagnosis_t *told) {
    const char *member;
    size_t count = 0;
    while (primer_diagnosis_missing(told, count, &member) == PRIMER_OK && strlen(member) == 32) count++;
    return count == (size_t)number_of(step, "missing", 0);
}

bool doctor(world_t *world, const step_t *step, member_t *member) {
    int64_t end = now_ms() + PATIENCE_MS;
    for (;;) {
        primer_diagnosis_t *told = NULL;
        primer_queue_t *queue;
        primer_finding_t first;
        char code[32] = "nothing";
        primer_code_t answer = find_queue(world, member, &step->args.at[1], &queue);
        if (answer == PRIMER_OK) answer = verb_doctor(queue, &told);
        came_t came = settle(world, step, answer);
        if (came != WENT) return came == SETTLED;
        bool is_good = are_missing(step, told) && is_found(step, told);
        if (primer_diagnosis_finding(told, 0, &first) == PRIMER_OK)
            snprintf(code, sizeof code, "%s", first.code);
        primer_diagnosis_free(told);
        if (is_good) return true;
        if (now_ms() > end) return differs(world, "what is found is not that, first %s", code);
        pause_ms(10);
    }
}

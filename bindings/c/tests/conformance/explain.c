/* See explain.h. */
#define _POSIX_C_SOURCE 200809L
#include "explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "verbs.h"

static bool own_id(world_t *world, const word_t *name, char id[ID_MAX]) {
    member_t *member = find_member(world, name);
    primer_members_t *members;
    primer_member_t row;
    *id = '\0';
    if (!member || primer_members(member->primer, &members) != PRIMER_OK) return false;
    for (size_t i = 0; primer_members_at(members, i, &row) == PRIMER_OK; i++)
        if (row.is_self) snprintf(id, ID_MAX, "%s", row.id);
    primer_members_free(members);
    return *id != '\0';
}

bool message_of(world_t *world, const word_t *word, char id[ID_MAX]) {
    message_t *message = world->messages;
    if (word->is_text) return snprintf(id, ID_MAX, "%s", (const char *)word->value) < ID_MAX;
    while (message && strcmp(message->name, (const char *)word->value)) message = message->next;
    return message && primer_message_id_text(message->id, id) == PRIMER_OK;
}

static bool is_known(const primer_account_t *account, const char *known) {
    if ((account->lease_ms != 0) != !strcmp(account->known, "leased")) return false;
    if ((account->ready_at_ms != 0) != !strcmp(account->known, "delayed")) return false;
    if (strcmp(known, "done")) return !strcmp(account->known, known);
    return !strcmp(account->known, "acked") || !strcmp(account->known, "forgotten");
}

static bool has_holders(const primer_explanation_t *told, size_t index, size_t wanted) {
    const char *member;
    size_t count = 0;
    while (primer_explanation_holder(told, index, count, &member) == PRIMER_OK)
        count += strlen(member) == 32;
    return count == wanted;
}

static bool is_so(world_t *world, const primer_explanation_t *told, size_t index,
                  const primer_account_t *account, const word_t *word) {
    const char *value = (const char *)word->value;
    uint64_t number = strtoull(value, NULL, 10);
    char id[ID_MAX];
    if (!word->key) return is_known(account, value);
    if (!strcmp(word->key, "queue")) return account->queue && !strcmp(value, account->queue);
    if (!strcmp(word->key, "attempts")) return account->attempts == number;
    if (!strcmp(word->key, "confirmed")) return account->confirmed == number;
    if (!strcmp(word->key, "holders"))
        return account->holders_len == number && has_holders(told, index, number);
    const char *member = !strcmp(word->key, "owner") ? account->owner : account->lessee;
    return member && own_id(world, word, id) && !strcmp(id, member);
}

/* Each account once, in the order of the members. */
static bool is_told(world_t *world, const step_t *step, const primer_explanation_t *told) {
    primer_account_t account;
    char last[ID_MAX] = "", id[ID_MAX];
    if (primer_explanation_len(told) != step->expect_count) return false;
    for (size_t i = 0; i < step->expect_count; i++) {
        size_t at = 0;
        if (primer_explanation_at(told, i, &account) != PRIMER_OK) return false;
        if (strcmp(last, account.member) >= 0) return false;
        snprintf(last, sizeof last, "%s", account.member);
        while (at < step->expect_count &&
               !(own_id(world, &step->expect[at].at[0], id) && !strcmp(id, account.member)))
            at++;
        if (at == step->expect_count) return false;
        for (size_t word = 1; word < step->expect[at].count; word++)
            if (!is_so(world, told, i, &account, &step->expect[at].at[word])) return false;
    }
    return true;
}

static bool are_missing(const step_t *step, const primer_explanation_t *told) {
    const char *member;
    size_t count = primer_explanation_missing_len(told);
    for (size_t i = 0; i < count; i++)
        if (primer_explanation_missing_at(told, i, &member) != PRIMER_OK || strlen(member) != 32)
            return false;
    return count == (size_t)number_of(step, "missing", 0);
}

bool explain(world_t *world, const step_t *step, member_t *member) {
    int64_t end = now_ms() + PATIENCE_MS;
    char id[ID_MAX];
    if (!message_of(world, &step->args.at[1], id)) return differs(world, "no such message");
    for (;;) {
        primer_explanation_t *told = NULL;
        primer_account_t first;
        char known[32] = "nothing";
        came_t came = settle(world, step, verb_explain(member->primer, id, &told));
        if (came != WENT) return came == SETTLED;
        bool is_good = are_missing(step, told) && is_told(world, step, told);
        size_t count = primer_explanation_len(told);
        if (primer_explanation_at(told, 0, &first) == PRIMER_OK)
            snprintf(known, sizeof known, "%s", first.known);
        primer_explanation_free(told);
        if (is_good) return true;
        if (now_ms() > end)
            return differs(world, "%zu accounts, the first %s, are not those", count, known);
        pause_ms(10);
    }
}

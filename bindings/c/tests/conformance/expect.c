/* See expect.h. */
#include "expect.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool is_true(const step_t *step, const char *key) {
    const word_t *word = option_of(step, key);
    return word && !strcmp((const char *)word->value, "true");
}

int64_t number_of(const step_t *step, const char *key, int64_t otherwise) {
    const word_t *word = option_of(step, key);
    return word ? strtoll((const char *)word->value, NULL, 10) : otherwise;
}

/* The number that `-> error N` names; 0 for another expectation. */
static primer_code_t error_of(const step_t *step) {
    if (step->expect_count != 1 || step->expect[0].count != 2) return 0;
    if (!word_is(&step->expect[0].at[0], "error")) return 0;
    return (primer_code_t)atoi((const char *)step->expect[0].at[1].value);
}

came_t settle(world_t *world, const step_t *step, primer_code_t code) {
    primer_code_t wanted = error_of(step);
    bool is_error = code >= 100;
    if (is_error && code == wanted) return SETTLED;
    if (is_error && wanted)
        differs(world, "wanted error %d, got %s", wanted, primer_last_error_message());
    else if (is_error)
        differs(world, "failed: %s", primer_last_error_message());
    else if (wanted)
        differs(world, "wanted error %d, but it succeeded", wanted);
    else
        return WENT;
    return DIFFERED;
}

bool expect_done(world_t *world, const step_t *step, primer_code_t code) {
    came_t came = settle(world, step, code);
    if (came != WENT) return came == SETTLED;
    if (!step->expect_count || expects_only(step, "ok")) return true;
    return differs(world, "wanted something else than ok");
}

static bool check_receipt(world_t *world, const primer_receipt_t *receipt, const word_t *word) {
    unsigned has;
    if (!strcmp(word->key, "is_duplicate")) {
        bool is_so = (!strcmp((const char *)word->value, "true")) == receipt->is_duplicate;
        return is_so || differs(world, "wanted is_duplicate=%s", (const char *)word->value);
    }
    if (!strcmp(word->key, "copies"))
        has = receipt->copies;
    else if (!strcmp(word->key, "wanted"))
        has = receipt->wanted;
    else if (!strcmp(word->key, "durable_copies"))
        has = receipt->durable_copies;
    else
        return differs(world, "a receipt has no `%s`", word->key);
    if (has == strtoul((const char *)word->value, NULL, 10)) return true;
    return differs(world, "wanted %s=%s, got %u", word->key, (const char *)word->value, has);
}

bool expect_receipts(world_t *world, const step_t *step, const primer_receipt_t *receipts,
                     size_t count) {
    if (!step->expect_count) return true;
    const words_t *words = &step->expect[0];
    size_t bound = 0;
    for (size_t i = 0; i < words->count; i++) {
        const word_t *word = &words->at[i];
        for (size_t r = 0; word->key && r < count; r++)
            if (!check_receipt(world, &receipts[r], word)) return false;
        if (word->key) continue;
        if (bound < count && !bind_message(world, (const char *)word->value, receipts[bound].id))
            return false;
        bound++;
    }
    return bound == count || differs(world, "%zu names for %zu receipts", bound, count);
}

static bool check_header(world_t *world, const primer_delivery_t *delivery, const word_t *word) {
    const char *name = word->key + strlen("header.");
    primer_header_t header;
    for (size_t i = 0; primer_delivery_header(delivery, i, &header) == PRIMER_OK; i++) {
        if (header.key.len != strlen(name) || memcmp(header.key.data, name, header.key.len))
            continue;
        if (header.value.len == word->len && !memcmp(header.value.data, word->value, word->len))
            return true;
        return differs(world, "wanted header %s=\"%s\", got \"%.*s\"", name,
                       (const char *)word->value, (int)header.value.len,
                       (const char *)header.value.data);
    }
    return differs(world, "header %s is not there", name);
}

static bool check_delivery(world_t *world, const primer_delivery_t *delivery, const words_t *words) {
    for (size_t i = 1; i < words->count; i++) {
        const word_t *word = &words->at[i];
        primer_bytes_t body = primer_delivery_body(delivery);
        if (!word->key) {
            if (body.len != word->len || (body.len && memcmp(body.data, word->value, body.len)))
                return differs(world, "%s: the body differs: %zu bytes \"%.*s\", wanted %zu bytes",
                               (const char *)words->at[0].value, body.len,
                               body.len > 40 ? 40 : (int)body.len, (const char *)body.data,
                               word->len);
        } else if (!strcmp(word->key, "attempts")) {
            unsigned wanted = (unsigned)strtoul((const char *)word->value, NULL, 10);
            unsigned has = primer_delivery_attempts(delivery);
            if (has != wanted)
                return differs(world, "%s: wanted attempts=%u, got %u",
                               (const char *)words->at[0].value, wanted, has);
        } else if (!strcmp(word->key, "priority")) {
            long wanted = strtol((const char *)word->value, NULL, 10);
            long has = primer_delivery_priority(delivery);
            if (has != wanted)
                return differs(world, "%s: wanted priority=%ld, got %ld",
                               (const char *)words->at[0].value, wanted, has);
        } else if (!strcmp(word->key, "key")) {
            primer_bytes_t key = primer_delivery_key(delivery);
            if (!key.data || key.len != word->len || memcmp(key.data, word->value, key.len))
                return differs(world, "%s: wanted key=%s, got \"%.*s\"",
                               (const char *)words->at[0].value, (const char *)word->value,
                               (int)key.len, key.data ? (const char *)key.data : "");
        } else if (!strncmp(word->key, "header.", 7)) {
            if (!check_header(world, delivery, word)) return false;
        } else {
            return differs(world, "a delivery has no `%s`", word->key);
        }
    }
    return true;
}

bool expect_deliveries(world_t *world, const step_t *step, member_t *member, primer_queue_t *queue,
                       primer_delivery_t **deliveries, size_t count) {
    size_t wanted = expects_only(step, "empty") ? 0 : step->expect_count;
    bool is_good = !step->expect_count || wanted == count ||
                   differs(world, "wanted %zu messages, got %zu", wanted, count);
    for (size_t i = 0; i < count; i++) {
        message_t *message = NULL;
        if (is_good && i < wanted) {
            const words_t *words = &step->expect[i];
            message = bind_message(world, (const char *)words->at[0].value,
                           primer_delivery_id(deliveries[i]));
            is_good = message && check_delivery(world, deliveries[i], words);
        }
        if (message)
            add_received(world, member, message, deliveries[i], queue);
        else
            primer_delivery_free(deliveries[i]);
    }
    return is_good;
}

bool expect_codes(world_t *world, const step_t *step, const primer_code_t *codes, size_t count) {
    if (!step->expect_count) return true;
    const words_t *words = &step->expect[0];
    if (words->count != count)
        return differs(world, "wanted %zu codes, got %zu", words->count, count);
    for (size_t i = 0; i < count; i++)
        if (atoi((const char *)words->at[i].value) != codes[i])
            return differs(world, "code %zu: wanted %s, got %" PRId32, i + 1,
                           (const char *)words->at[i].value, codes[i]);
    return true;
}

/* Keys of the cluster, changes of them, and the options and verbs about who is a member. */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

#include "loop.h"

static void put(primer_t *p, const char *key, const char *value) {
    CODE(PRIMER_OK, primer_put(p, key, value, strlen(value)));
}

static int is_text(primer_bytes_t bytes, const char *text) {
    return bytes.len == strlen(text) && !memcmp(bytes.data, text, bytes.len);
}

/* The next change must be this one; NULL for a key that was removed. */
static void changes(const primer_watch_t *watch, const char *key, const char *value) {
    primer_change_t *change;
    primer_bytes_t bytes;
    CODE(PRIMER_OK, primer_watch_next(watch, PATIENCE_MS, &change));
    CHECK(!strcmp(primer_change_key(change), key));
    CODE(value ? PRIMER_OK : PRIMER_EMPTY, primer_change_value(change, &bytes));
    CHECK(is_text(bytes, value ? value : ""));
    primer_change_free(change);
}

static void a_value_comes_back_with_all_its_bytes(void) {
    alone_t it = alone();
    primer_value_t *value;
    CODE(PRIMER_EMPTY, primer_get(it.p, "colour", &value));
    CHECK(value == NULL);
    CODE(PRIMER_OK, primer_put(it.p, "colour", "a\0b\xff", 4));
    CODE(PRIMER_OK, primer_get(it.p, "colour", &value));
    CODE(PRIMER_OK, primer_put(it.p, "colour", NULL, 0));
    primer_bytes_t bytes = primer_value_bytes(value);
    CHECK(bytes.len == 4 && !memcmp(bytes.data, "a\0b\xff", 4));
    primer_value_free(value);
    /* An empty value is a value. */
    CODE(PRIMER_OK, primer_get(it.p, "colour", &value));
    CHECK(primer_value_bytes(value).len == 0);
    primer_value_free(value);
    CODE(PRIMER_OK, primer_delete(it.p, "colour"));
    CODE(PRIMER_OK, primer_delete(it.p, "colour"));
    CODE(PRIMER_EMPTY, primer_get(it.p, "colour", &value));
    primer_value_free(value);
    CHECK(primer_value_bytes(value).len == 0);
    end(it);
}

static void keys_are_listed_in_their_order(void) {
    alone_t it = alone();
    primer_entries_t *entries;
    primer_entry_t entry;
    primer_bytes_t other;
    put(it.p, "shape/2", "square");
    put(it.p, "colour", "red");
    put(it.p, "shape/1", "round");
    CODE(PRIMER_OK, primer_list(it.p, "shape/", &entries));
    CHECK(primer_entries_len(entries) == 2);
    CODE(PRIMER_OK, primer_entries_at(entries, 0, &entry));
    CHECK(!strcmp(entry.key, "shape/1") && is_text(entry.value, "round"));
    CHECK(entry.at_ms > 1000000 && entry.others_len == 0);
    CODE(PRIMER_EMPTY, primer_entries_other(entries, 0, 0, &other));
    CODE(PRIMER_OK, primer_entries_at(entries, 1, &entry));
    CHECK(!strcmp(entry.key, "shape/2") && is_text(entry.value, "square"));
    CODE(PRIMER_EMPTY, primer_entries_at(entries, 2, &entry));
    CHECK(!strcmp(entry.key, "") && entry.value.len == 0);
    CODE(PRIMER_EMPTY, primer_entries_other(entries, 2, 0, &other));
    primer_entries_free(entries);
    CODE(PRIMER_OK, primer_list(it.p, "", &entries));
    CHECK(primer_entries_len(entries) == 3);
    primer_entries_free(entries);
    CODE(PRIMER_OK, primer_list(it.p, "none", &entries));
    CHECK(entries && primer_entries_len(entries) == 0);
    primer_entries_free(entries);
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_entries_at(entries, 0, &entry));
    end(it);
}

static void a_watch_hears_of_writes_and_removals_below_its_prefix(void) {
    alone_t it = alone();
    primer_watch_t *some, *all;
    primer_change_t *taken[4];
    size_t len;
    put(it.p, "job/1", "before it");
    CODE(PRIMER_OK, primer_watch(it.p, "job/", &some));
    CODE(PRIMER_OK, primer_watch(it.p, "", &all));
    put(it.p, "job/1", "new");
    put(it.p, "other", "x");
    CODE(PRIMER_OK, primer_delete(it.p, "job/1"));
    changes(some, "job/1", "new");
    changes(some, "job/1", NULL);
    CODE(PRIMER_EMPTY, primer_watch_next(some, 0, &taken[0]));
    CHECK(taken[0] == NULL);
    CODE(PRIMER_OK, primer_watch_take(all, taken, 4, &len));
    CHECK(len == 3 && !strcmp(primer_change_key(taken[1]), "other"));
    for (size_t i = 0; i < len; i++) primer_change_free(taken[i]);
    CHECK(primer_watch_missed(all) == 0 && primer_watch_missed(NULL) == 0);
    CODE(PRIMER_OK, primer_watch_close(some));
    put(it.p, "job/1", "after");
    CODE(PRIMER_E_CLOSED, primer_watch_next(some, PRIMER_FOREVER, &taken[0]));
    changes(all, "job/1", "after");
    primer_watch_free(some);
    primer_watch_free(all);
    end(it);
}

static void changes_speak_through_a_descriptor_and_late(void) {
    alone_t it = alone();
    primer_watch_t *watch, *later;
    primer_completions_t *c;
    primer_completion_t *answer;
    primer_change_t *change;
    primer_broadcast_t *broadcast;
    uint64_t ticket;
    size_t len;
    CODE(PRIMER_OK, primer_completions_new(&c));
    CODE(PRIMER_OK, primer_watch(it.p, "", &watch));
    CODE(PRIMER_OK, primer_watch(it.p, "", &later));
    int fd = primer_watch_fd(watch);
    CHECK(fd >= 0 && !readable(fd, 0));
    CODE(PRIMER_LATER, primer_watch_next_start(later, c, &change, &ticket));
    put(it.p, "colour", "red");
    CHECK(readable(fd, PATIENCE_MS));
    changes(watch, "colour", "red");
    CODE(PRIMER_EMPTY, primer_watch_next(watch, 0, &change));
    CHECK(!readable(fd, 0));
    CODE(PRIMER_OK, primer_completions_wait(c, &answer, 1, PATIENCE_MS, &len));
    CHECK(primer_completion_ticket(answer) == ticket);
    CHECK(primer_completion_kind(answer) == PRIMER_COMPLETION_CHANGE);
    CODE(PRIMER_EMPTY, primer_completion_broadcast(answer, &broadcast));
    CODE(PRIMER_OK, primer_completion_change(answer, &change));
    CHECK(!strcmp(primer_change_key(change), "colour"));
    primer_change_free(change);
    CODE(PRIMER_EMPTY, primer_completion_change(answer, &change));
    primer_completion_free(answer);
    CODE(PRIMER_OK, primer_watch_notify(later, c, 7));
    put(it.p, "colour", "blue");
    CODE(PRIMER_OK, primer_completions_wait(c, &answer, 1, PATIENCE_MS, &len));
    CHECK(primer_completion_kind(answer) == PRIMER_COMPLETION_READY);
    CHECK(primer_completion_ticket(answer) == 7);
    primer_completion_free(answer);
    primer_completions_free(c);
    primer_watch_free(later);
    primer_watch_free(watch);
    end(it);
}

typedef struct {
    primer_watch_t *watch;
    primer_code_t code;
} waits_t;

static void *wait_for_ever(void *of) {
    waits_t *waits = of;
    primer_change_t *change = NULL;
    waits->code = primer_watch_next(waits->watch, PRIMER_FOREVER, &change);
    primer_change_free(change);
    return NULL;
}

static void who_waits_for_a_change_is_woken_when_the_watch_is_closed(void) {
    alone_t it = alone();
    waits_t waits = {NULL, PRIMER_OK};
    pthread_t thread;
    CODE(PRIMER_OK, primer_watch(it.p, "", &waits.watch));
    CHECK(!pthread_create(&thread, NULL, wait_for_ever, &waits));
    CODE(PRIMER_OK, primer_watch_close(waits.watch));
    pthread_join(thread, NULL);
    CODE(PRIMER_E_CLOSED, waits.code);
    primer_watch_free(waits.watch);
    end(it);
}

static void wrong_keys_and_values_are_refused(void) {
    static char large[65537];
    alone_t it = alone();
    primer_value_t *value = (primer_value_t *)&it;
    primer_entries_t *entries;
    primer_watch_t *watch;
    char key[257];
    memset(key, 'q', 256);
    key[256] = '\0';
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_put(it.p, "", "x", 1));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_put(it.p, key, "x", 1));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_put(it.p, NULL, "x", 1));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_put(it.p, "caf\xe9", "x", 1));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_put(it.p, "colour", NULL, 1));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_put(it.p, "colour", "x", SIZE_MAX));
    CODE(PRIMER_E_TOO_LARGE, primer_put(it.p, "colour", large, sizeof large));
    CODE(PRIMER_OK, primer_put(it.p, "colour", large, sizeof large - 1));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_delete(it.p, ""));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_get(it.p, NULL, &value));
    CHECK(value == NULL);
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_get(it.p, "colour", NULL));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_list(it.p, NULL, &entries));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_watch(it.p, "caf\xe9", &watch));
    CODE(PRIMER_OK, primer_close(it.p));
    CODE(PRIMER_E_CLOSED, primer_put(it.p, "colour", "x", 1));
    CODE(PRIMER_E_CLOSED, primer_get(it.p, "colour", &value));
    CODE(PRIMER_E_CLOSED, primer_delete(it.p, "colour"));
    CODE(PRIMER_E_CLOSED, primer_list(it.p, "", &entries));
    CHECK(value == NULL && entries == NULL && watch == NULL);
    end(it);
}

/* A member that looks for nobody. */
static primer_t *member(void) {
    primer_t *p = NULL;
    primer_options_t options = PRIMER_OPTIONS_INIT;
    options.cluster = "keys";
    options.discover = "none";
    CODE(PRIMER_OK, primer_open(&options, &p));
    return p;
}

static void gone(primer_t *p) {
    CODE(PRIMER_OK, primer_close(p));
    primer_free(p);
}

static void of_two_writes_at_the_same_time_the_other_can_be_listed(void) {
    primer_t *p[2] = {member(), member()};
    const char *address;
    char read[2][8], lost[2][8];
    put(p[0], "colour", "red");
    put(p[1], "colour", "blue");
    CODE(PRIMER_OK, primer_address(p[0], &address));
    CODE(PRIMER_OK, primer_join(p[1], address));
    for (int i = 0; i < 2; i++) {
        primer_entry_t entry = {0};
        primer_bytes_t other;
        primer_entries_t *entries;
        for (int left = PATIENCE_MS / 10; !entry.others_len && left; left--) {
            CODE(PRIMER_OK, primer_list(p[i], "colour", &entries));
            CODE(PRIMER_OK, primer_entries_at(entries, 0, &entry));
            if (entry.others_len) break;
            primer_entries_free(entries);
            poll(NULL, 0, 10);
        }
        CHECK(entry.others_len == 1);
        if (!entry.others_len) continue;
        CODE(PRIMER_OK, primer_entries_other(entries, 0, 0, &other));
        snprintf(read[i], sizeof read[i], "%.*s", (int)entry.value.len, (const char *)entry.value.data);
        snprintf(lost[i], sizeof lost[i], "%.*s", (int)other.len, (const char *)other.data);
        primer_entries_free(entries);
    }
    CHECK(!strcmp(read[0], read[1]) && !strcmp(lost[0], lost[1]) && strcmp(read[0], lost[0]));
    gone(p[1]);
    gone(p[0]);
}

static void who_is_evicted_must_be_of_the_set(void) {
    alone_t it = alone();
    primer_members_t *members;
    primer_member_t self;
    uint64_t count = 7;
    CODE(PRIMER_OK, primer_members(it.p, &members));
    CODE(PRIMER_OK, primer_members_at(members, 0, &self));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_evict(it.p, self.id));
    CODE(PRIMER_E_NOT_FOUND, primer_evict(it.p, "00000000000000000000000000000001"));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_evict(it.p, "bob"));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_evict(it.p, ""));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_evict(it.p, NULL));
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_evict(NULL, self.id));
    primer_members_free(members);
    CODE(PRIMER_OK, primer_reclaim(it.p, true, &count));
    CHECK(count == 0);
    CODE(PRIMER_OK, primer_reclaim(it.p, false, NULL));
    CODE(PRIMER_OK, primer_close(it.p));
    CODE(PRIMER_E_CLOSED, primer_reclaim(it.p, true, &count));
    CODE(PRIMER_E_CLOSED, primer_evict(it.p, "00000000000000000000000000000001"));
    end(it);
}

static void a_member_with_a_directory_is_the_same_member_again(void) {
    char directory[256], file[300], id[2][64];
    const char *kept[] = {"identity", "lock", "metadata"};
    const char *scratch = getenv("PRIMER_RUNTIME_DIR"); /* test.sh makes it, and removes it */
    snprintf(directory, sizeof directory, "%s/keys-XXXXXX", scratch ? scratch : ".");
    CHECK(mkdtemp(directory));
    for (int i = 0; i < 2; i++) {
        primer_t *p, *second;
        primer_members_t *members;
        primer_member_t self;
        primer_options_t options = PRIMER_OPTIONS_INIT;
        options.data_dir = directory;
        options.zone = "attic";
        CODE(PRIMER_OK, primer_open(&options, &p));
        CODE(PRIMER_E_IDENTITY_CONFLICT, primer_open(&options, &second));
        CODE(PRIMER_OK, primer_members(p, &members));
        CODE(PRIMER_OK, primer_members_at(members, 0, &self));
        snprintf(id[i], sizeof id[i], "%s", self.id);
        CHECK(!strcmp(self.zone, "attic") && self.memory_level == 0);
        primer_members_free(members);
        gone(p);
    }
    CHECK(strlen(id[0]) == 32 && !strcmp(id[0], id[1]));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        snprintf(file, sizeof file, "%s/%s", directory, kept[i]);
        unlink(file);
    }
    CHECK(!rmdir(directory));
}

static void the_options_of_an_older_header_are_taken(void) {
    primer_t *p;
    primer_options_t options = PRIMER_OPTIONS_INIT;
    /* What stood behind an older struct was the program's own. */
    memset((char *)&options + offsetof(primer_options_t, advertise), 0xa5,
           sizeof options - offsetof(primer_options_t, advertise));
    options.size = offsetof(primer_options_t, advertise);
    CHECK(options.size == 96);
    CODE(PRIMER_OK, primer_open(&options, &p));
    gone(p);
    options.size += sizeof(void *);
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_open(&options, &p));
    CHECK(p == NULL);
}

static void each_new_option_is_judged_under_its_own_name(void) {
    static const struct {
        const char *key;
        size_t at;
        const char *value;
    } wrong[] = {
        {"advertise", offsetof(primer_options_t, advertise), "nowhere"},
        {"zone", offsetof(primer_options_t, zone), "a\tb"},
        {"placement", offsetof(primer_options_t, placement), "anywhere"},
        {"discover", offsetof(primer_options_t, discover), "everywhere"},
        {"data_dir", offsetof(primer_options_t, data_dir), ""},
        {"secret", offsetof(primer_options_t, secret), "weak"},
        {"tls_ca", offsetof(primer_options_t, tls_ca), "no/such/file"},
        {"tls_cert", offsetof(primer_options_t, tls_cert), "no/such/file"},
        {"tls_key", offsetof(primer_options_t, tls_key), "no/such/file"},
    };
    primer_t *p;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        primer_options_t options = PRIMER_OPTIONS_INIT;
        *(const char **)(void *)((char *)&options + wrong[i].at) = wrong[i].value;
        CHECK(primer_open(&options, &p) >= 100 && p == NULL);
        /* tls_ca, tls_cert and tls_key go together, and are told together. */
        if (!strstr(primer_last_error_message(), wrong[i].key)) {
            printf("%s: %s\n", wrong[i].key, primer_last_error_message());
            CHECK(!"the message names the option");
        }
    }
    primer_options_t options = PRIMER_OPTIONS_INIT;
    options.retire_after_ms = 0;
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_open(&options, &p));
    CHECK(strstr(primer_last_error_message(), "retire_after_ms"));
    const char *keys[] = {"secrets"}, *values[] = {"x"};
    CODE(PRIMER_E_INVALID_ARGUMENT, primer_open_pairs(keys, values, 1, &p));
    CHECK(strstr(primer_last_error_message(), "nearest = secret"));
}

static const test_t TESTS[] = {
    TEST(a_value_comes_back_with_all_its_bytes),
    TEST(keys_are_listed_in_their_order),
    TEST(a_watch_hears_of_writes_and_removals_below_its_prefix),
    TEST(changes_speak_through_a_descriptor_and_late),
    TEST(who_waits_for_a_change_is_woken_when_the_watch_is_closed),
    TEST(wrong_keys_and_values_are_refused),
    TEST(of_two_writes_at_the_same_time_the_other_can_be_listed),
    TEST(who_is_evicted_must_be_of_the_set),
    TEST(a_member_with_a_directory_is_the_same_member_again),
    TEST(the_options_of_an_older_header_are_taken),
    TEST(each_new_option_is_judged_under_its_own_name),
};

RUN(TESTS)

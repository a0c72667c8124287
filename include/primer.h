/*
 * Primer: a message queue that you embed. Every process that loads it is a full, equal member of one
 * cluster: no broker, no master, no outside service.
 *
 *     primer_t *p;  primer_queue_t *q;  primer_delivery_t *d;  size_t n;
 *     if (primer_open(NULL, &p)) die(primer_last_error_message());
 *     primer_queue(p, "emails", &q);
 *     primer_queue_enqueue(q, "hi", 2, NULL, NULL);
 *     if (primer_queue_receive(q, NULL, &d, 1, &n) == PRIMER_OK) {
 *         work(primer_delivery_body(d));
 *         primer_queue_ack(q, d);
 *         primer_delivery_free(d);
 *     }
 *
 * What every function asks of its caller: a pointer is NULL or good for its type while the call runs,
 * and as far as its length says; a text ends in a NUL and is UTF-8. What is NULL and must not be, or is not
 * UTF-8, is answered with PRIMER_E_INVALID_ARGUMENT.
 *
 * Handles (primer_t, primer_queue_t, ...) are opaque numbers in a pointer's clothes, never addresses.
 * Who got one from an output frees it, once, with its type's _free, which accepts NULL. A handle that
 * was freed, is of another type or was invented is told from a good one: the call answers
 * PRIMER_E_INVALID_ARGUMENT. Any thread may use any handle, also while another uses or frees it; only
 * what a function answered by pointer (a body, a text) ends with the handle that it came from.
 *
 * Times are milliseconds. When a call fails, its outputs hold nothing (NULL, 0) and its arrays what they
 * held before. Functions wait on the caller's thread when they have to; the same ones with _start in
 * their names never wait, for event loops. Primer's own thread never calls into the program.
 *
 * Do not use Primer after fork() in the child; open a member of its own there, after exec().
 *
 * Made by cbindgen from bindings/c; do not edit. `PRIMER_BLESS=1 cargo test -p primer-c` rewrites it.
 */


#ifndef PRIMER_H
#define PRIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Options that take every default; later versions may add more at the end. */
#define PRIMER_OPTIONS_INIT \
    {sizeof(primer_options_t), NULL, NULL, NULL, NULL, PRIMER_DEFAULT, PRIMER_DEFAULT, \
     PRIMER_DEFAULT, PRIMER_DEFAULT, PRIMER_DEFAULT, PRIMER_DEFAULT, PRIMER_DEFAULT, \
     NULL, NULL, NULL, PRIMER_DEFAULT, NULL, NULL, NULL, NULL, PRIMER_DEFAULT, PRIMER_DEFAULT, NULL, NULL}
#define PRIMER_ENQUEUE_OPTIONS_INIT \
    {sizeof(primer_enqueue_options_t), PRIMER_DEFAULT, PRIMER_DEFAULT, PRIMER_DEFAULT, NULL, 0, \
     PRIMER_DEFAULT, PRIMER_DEFAULT, PRIMER_DEFAULT, PRIMER_DEFAULT, PRIMER_DEFAULT, PRIMER_DEFAULT, \
     PRIMER_DEFAULT, NULL, NULL, PRIMER_DEFAULT}
#define PRIMER_RECEIVE_OPTIONS_INIT \
    {sizeof(primer_receive_options_t), 0, PRIMER_DEFAULT, NULL, PRIMER_DEFAULT}
#define PRIMER_BROWSE_OPTIONS_INIT \
    {sizeof(primer_browse_options_t), PRIMER_DEFAULT, NULL, NULL, PRIMER_DEFAULT, NULL, 0, \
     PRIMER_DEFAULT, PRIMER_DEFAULT}
#define PRIMER_REDRIVE_OPTIONS_INIT \
    {sizeof(primer_redrive_options_t), NULL, PRIMER_DEFAULT, NULL, 0, NULL, 0, PRIMER_DEFAULT, \
     PRIMER_DEFAULT}
#define PRIMER_SUBSCRIBE_OPTIONS_INIT \
    {sizeof(primer_subscribe_options_t), PRIMER_DEFAULT, PRIMER_DEFAULT, NULL, PRIMER_DEFAULT, \
     PRIMER_DEFAULT, PRIMER_DEFAULT}

/** A string literal as bytes: primer_header_t h = {PRIMER_TEXT("to"), PRIMER_TEXT("ada")}; */
#define PRIMER_TEXT(literal) {(const uint8_t *)("" literal), sizeof(literal) - 1}


/**
 * The version of this interface; it grows with every incompatible change, as the soname does.
 */
#define PRIMER_ABI_VERSION 0

/**
 * Room for a message's identity as text, its NUL included.
 */
#define PRIMER_MESSAGE_ID_TEXT_MAX 38

/**
 * In an option or a time: take the default.
 */
#define PRIMER_DEFAULT -1

/**
 * In a time to wait: no limit.
 */
#define PRIMER_FOREVER -1

/**
 * on_short: accept with fewer copies than wanted; the receipt says how many.
 */
#define PRIMER_ON_SHORT_DEGRADE 0

/**
 * on_short: answer PRIMER_E_COPIES_SHORT, or PRIMER_E_UNREACHABLE when surely nothing was sent.
 */
#define PRIMER_ON_SHORT_FAIL 1

/**
 * on_short: as fail, but wait until the deadline for members to come.
 */
#define PRIMER_ON_SHORT_WAIT 2

/**
 * if_no_group: it waits in the queue itself, for consumers without a group.
 */
#define PRIMER_IF_NO_GROUP_HOLD 0

/**
 * if_no_group: it is let go of; the receipt says 0 copies.
 */
#define PRIMER_IF_NO_GROUP_DROP 1

/**
 * if_no_group: answer PRIMER_E_NOT_FOUND.
 */
#define PRIMER_IF_NO_GROUP_REFUSE 2

/**
 * A state: anyone may have the message.
 */
#define PRIMER_STATE_READY 1

/**
 * A state: it waits for its time.
 */
#define PRIMER_STATE_DELAYED 2

/**
 * A state: somebody has it.
 */
#define PRIMER_STATE_LEASED 4

/**
 * primer_completion_kind: it failed; primer_completion_code tells why.
 */
#define PRIMER_COMPLETION_FAILED 0

/**
 * primer_completion_kind: it is done, and has no value.
 */
#define PRIMER_COMPLETION_DONE 1

/**
 * primer_completion_kind: the receipts of an enqueue.
 */
#define PRIMER_COMPLETION_RECEIPTS 2

/**
 * primer_completion_kind: the deliveries of a receive or a next; there may be none.
 */
#define PRIMER_COMPLETION_DELIVERIES 3

/**
 * primer_completion_kind: an event.
 */
#define PRIMER_COMPLETION_EVENT 4

/**
 * primer_completion_kind: a subscription or a reader has something, or is closed; the ticket is the
 * token that was given to its notify function.
 */
#define PRIMER_COMPLETION_READY 5

/**
 * primer_completion_kind: a broadcast.
 */
#define PRIMER_COMPLETION_BROADCAST 6

/**
 * primer_completion_kind: a change.
 */
#define PRIMER_COMPLETION_CHANGE 7

/**
 * primer_completion_kind: the reply to a call.
 */
#define PRIMER_COMPLETION_REPLY 8

/**
 * primer_completion_kind: a page of messages that were looked at.
 */
#define PRIMER_COMPLETION_PAGE 9

/**
 * primer_completion_kind: what members know of a message.
 */
#define PRIMER_COMPLETION_EXPLANATION 10

/**
 * primer_completion_kind: what became of a redrive.
 */
#define PRIMER_COMPLETION_REDRIVEN 11

/**
 * primer_completion_kind: why a queue delivers nothing.
 */
#define PRIMER_COMPLETION_DIAGNOSIS 12

/**
 * What a member told everyone who listens to a topic. Free it with primer_broadcast_free; its texts and
 * its body are good until then.
 */
typedef struct primer_broadcast_t primer_broadcast_t;

/**
 * A key that has another value, or none. Free it with primer_change_free; its text and its value are good
 * until then.
 */
typedef struct primer_change_t primer_change_t;

/**
 * One late answer. Free it with primer_completion_free.
 */
typedef struct primer_completion_t primer_completion_t;

/**
 * A queue of late answers, with one descriptor to poll. One is enough for a loop, however many members,
 * queues and subscriptions it has. Free it with primer_completions_free.
 */
typedef struct primer_completions_t primer_completions_t;

/**
 * A message on lease to this process. Free it with primer_delivery_free: settled before (ack, nack,
 * reject, release) it is merely freed; unsettled it is released, that is, it goes back at once and the attempt
 * is not counted. Bytes that its functions answer are good until then.
 */
typedef struct primer_delivery_t primer_delivery_t;

/**
 * What is the matter with a queue, and what members know of it. Free it with primer_diagnosis_free; its texts are
 * good until then.
 */
typedef struct primer_diagnosis_t primer_diagnosis_t;

/**
 * Keys and their values at one moment. Free it with primer_entries_free; its texts and bytes are good
 * until then.
 */
typedef struct primer_entries_t primer_entries_t;

/**
 * Something that happened. Free it with primer_event_free; its texts are good until then.
 */
typedef struct primer_event_t primer_event_t;

/**
 * A reader of a member's events, from the moment it was made. 1,024 are kept for one that does not
 * look. Free it with primer_events_free.
 */
typedef struct primer_events_t primer_events_t;

/**
 * What members know of a message. Free it with primer_explanation_free; its texts are good until then.
 */
typedef struct primer_explanation_t primer_explanation_t;

/**
 * The groups of a queue at one moment. Free it with primer_groups_free; its texts are good until then.
 */
typedef struct primer_groups_t primer_groups_t;

/**
 * The member set at one moment. Free it with primer_members_free; its texts are good until then.
 */
typedef struct primer_members_t primer_members_t;

/**
 * A part of a queue's messages, oldest first. Free it with primer_page_free; its texts and bytes are good
 * until then.
 */
typedef struct primer_page_t primer_page_t;

/**
 * Policies at one moment. Free it with primer_policies_free; its texts are good until then.
 */
typedef struct primer_policies_t primer_policies_t;

/**
 * A queue as seen from one member. Free it with primer_queue_free; that changes nothing in the queue.
 */
typedef struct primer_queue_t primer_queue_t;

/**
 * What became of a redrive, at the members that answered. Free it with primer_redriven_free; its texts are
 * good until then.
 */
typedef struct primer_redriven_t primer_redriven_t;

/**
 * What a call is answered with. Free it with primer_reply_free; bytes that its functions answer are good
 * until then.
 */
typedef struct primer_reply_t primer_reply_t;

/**
 * Settings of a queue or a policy at one moment. Free it with primer_settings_free; its texts are good
 * until then.
 */
typedef struct primer_settings_t primer_settings_t;

/**
 * Counters and gauges at one moment. Free it with primer_stats_free; its texts are good until then.
 */
typedef struct primer_stats_t primer_stats_t;

/**
 * Deliveries pushed to this process, at most `credit` of them unsettled: settling one makes room for
 * the next. Free it with primer_subscription_free, which closes it.
 */
typedef struct primer_subscription_t primer_subscription_t;

/**
 * This process's place in a cluster: one member. Free it with primer_free. The handles of its queues,
 * subscriptions and deliveries stay good until they are freed; their verbs answer 501 once it is
 * closed.
 */
typedef struct primer_t primer_t;

/**
 * A reader of what is broadcast to one topic, from the moment it was made. 1,024 broadcasts and 8 MiB
 * are kept for one that does not look. Free it with primer_topic_free, which closes it.
 */
typedef struct primer_topic_t primer_topic_t;

/**
 * What is under a key. Free it with primer_value_free; its bytes are good until then.
 */
typedef struct primer_value_t primer_value_t;

/**
 * A reader of changes of the keys that begin with a prefix, from the moment it was made. 1,024 changes
 * and 8 MiB are kept for one that does not look. Free it with primer_watch_free, which closes it.
 */
typedef struct primer_watch_t primer_watch_t;

/**
 * What every function that can fail answers: PRIMER_OK, PRIMER_EMPTY, PRIMER_LATER, or the number
 * of an error. An error's hundred says what to do: 1xx mend the call, 2xx try again later (nothing
 * happened), 3xx in doubt (retry if a duplicate is harmless), 4xx too late, 5xx this member must stop
 * or be opened again.
 */
typedef int32_t primer_code_t;

/**
 * A message's identity; the same in every language and on every member.
 */
typedef struct primer_message_id_t {
    /**
     * Which life of which process accepted the message.
     */
    uint64_t origin;
    /**
     * Its place in that life's order, from 1.
     */
    uint64_t sequence;
} primer_message_id_t;

/**
 * What went wrong in the last call of this thread that answered an error.
 */
typedef struct primer_error_t {
    /**
     * Its number, 100 or above; PRIMER_OK when this thread has seen no error yet.
     */
    primer_code_t number;
    /**
     * The number's name, such as "CopiesShort". Never NULL, lives for ever.
     */
    const char *kind;
    /**
     * One line for people: number, name, reason and the values that matter. Never NULL, good until
     * this thread's next call that fails.
     */
    const char *message;
} primer_error_t;

/**
 * Options of primer_open; begin with PRIMER_OPTIONS_INIT. NULL and PRIMER_DEFAULT take the default;
 * when everything is default, the member lives in memory alone, without a socket.
 */
typedef struct primer_options_t {
    /**
     * sizeof(primer_options_t).
     */
    size_t size;
    /**
     * Which cluster, "default"; members of another one are refused.
     */
    const char *cluster;
    /**
     * This member's name, none: the same name takes the same place again after a restart.
     */
    const char *name;
    /**
     * Where to listen, "127.0.0.1:0", or "none".
     */
    const char *listen;
    /**
     * Addresses that are dialled for ever, "host:port", comma separated.
     */
    const char *seeds;
    /**
     * Copies of a message, this member's included: 2, or 1 while this member is alone.
     */
    int64_t copies;
    /**
     * What to do with fewer copies: PRIMER_ON_SHORT_DEGRADE.
     */
    int64_t on_short;
    /**
     * When "fewer" is decided: 5,000 ms.
     */
    int64_t enqueue_timeout_ms;
    /**
     * How long a delivered message is its consumer's: 30,000 ms.
     */
    int64_t lease_ms;
    /**
     * An owner unreachable for this long loses its messages to a holder of a copy: 10,000 ms.
     */
    int64_t takeover_after_ms;
    /**
     * Budget for held messages, in bytes: 1 GiB, or a quarter of what the control group allows if that is
     * less. From 70 % of it on another member with room accepts what is new; an enqueue for which nobody has
     * room answers PRIMER_E_OVERLOADED.
     */
    int64_t memory_bytes_max;
    /**
     * Largest body, in bytes: 512 KiB. Beyond it enqueue answers PRIMER_E_TOO_LARGE.
     */
    int64_t body_bytes_max;
    /**
     * What others are told to dial, "host:port", where that is not the address it listens at.
     */
    const char *advertise;
    /**
     * How members are looked for, beside seeds: "local", among the processes of this user on this machine,
     * or "none". NULL: "local" exactly when a cluster is named, and neither seeds nor a place to listen at.
     */
    const char *discover;
    /**
     * A directory of this member's own, made when it is missing, none: it is the same member again after
     * a restart. One process at a time.
     */
    const char *data_dir;
    /**
     * A member without a name and a data directory that was unreachable for this long, an hour, is taken
     * out of the set; it loses nothing, and is in it again when it comes back.
     */
    int64_t retire_after_ms;
    /**
     * The cluster's secret, none, or up to three, comma separated: all are proven, all are accepted. Links
     * are encrypted, and another machine's addresses may be used.
     */
    const char *secret;
    /**
     * Certificates instead of a secret: paths of PEM files. Who may be a member,
     */
    const char *tls_ca;
    /**
     * this member's certificate,
     */
    const char *tls_cert;
    /**
     * and the key of it.
     */
    const char *tls_key;
    /**
     * Given out this often, a message is a dead letter: it goes on in the queue `<queue>.dead`: 16.
     */
    int64_t max_attempts;
    /**
     * A member unreachable for this long is no holder any more: its copies are made elsewhere: 60,000.
     */
    int64_t repair_after_ms;
    /**
     * What fails together with this member (a host, a rack, a data centre), none, by a name that its
     * neighbours there have, too: copies go to other zones first.
     */
    const char *zone;
    /**
     * How the members that get copies are chosen: "sticky", the default, from few sets of members at a
     * time, or "shuffle_each", anew for each enqueue.
     */
    const char *placement;
} primer_options_t;

/**
 * A member as this one sees it.
 */
typedef struct primer_member_t {
    /**
     * Its id, 32 hexadecimal digits.
     */
    const char *id;
    /**
     * Its name; "" when it has none.
     */
    const char *name;
    /**
     * Where it listens; "" when it does not.
     */
    const char *address;
    /**
     * True for this member itself.
     */
    bool is_self;
    /**
     * This member's own opinion, never the cluster's.
     */
    bool is_reachable;
    /**
     * How near it is to its memory budget, 0 to 4, as it told this member; 0 while there is no link to it.
     */
    uint8_t memory_level;
    /**
     * What fails together with it; empty when it was told none.
     */
    const char *zone;
} primer_member_t;

/**
 * Bytes that somebody else owns.
 */
typedef struct primer_bytes_t {
    /**
     * Where they are; may be NULL when there are none.
     */
    const uint8_t *data;
    /**
     * How many.
     */
    size_t len;
} primer_bytes_t;

/**
 * A header of a message: two texts in UTF-8, not NUL-terminated.
 */
typedef struct primer_header_t {
    /**
     * Its name.
     */
    struct primer_bytes_t key;
    /**
     * Its value.
     */
    struct primer_bytes_t value;
} primer_header_t;

/**
 * Options of an enqueue; begin with PRIMER_ENQUEUE_OPTIONS_INIT. PRIMER_DEFAULT takes the member's.
 */
typedef struct primer_enqueue_options_t {
    /**
     * sizeof(primer_enqueue_options_t).
     */
    size_t size;
    /**
     * Copies wanted, this member's included.
     */
    int64_t copies;
    /**
     * What to do with fewer: PRIMER_ON_SHORT_DEGRADE, _FAIL or _WAIT.
     */
    int64_t on_short;
    /**
     * When "fewer" is decided, in ms.
     */
    int64_t timeout_ms;
    /**
     * Headers, 64 of them and 16 KiB together at most; NULL for none. Copied.
     */
    const struct primer_header_t *headers;
    /**
     * How many.
     */
    size_t headers_len;
    /**
     * In which order it is given out, 0 (last) to 9 (first): 4.
     */
    int64_t priority;
    /**
     * Given out only after so long, in ms, a year at most: at once.
     */
    int64_t delay_ms;
    /**
     * Given out only from then on, in ms since 1970; instead of delay_ms. A past date is now.
     */
    int64_t at_ms;
    /**
     * Not given out after so long, in ms: it expires. For ever.
     */
    int64_t ttl_ms;
    /**
     * Given out this often it is a dead letter, in the queue `<queue>.dead`: the owner's.
     */
    int64_t max_attempts;
    /**
     * 1: finished when it is given out: one copy, never repeated, lost with its member. 0, the default:
     * repeated until it is acked.
     */
    int64_t at_most_once;
    /**
     * What becomes of it where the queue has no group: PRIMER_IF_NO_GROUP_HOLD, _DROP or _REFUSE.
     */
    int64_t if_no_group;
    /**
     * Messages of one key are given out in line, one at a time: UTF-8, 1 to 255 bytes; NULL for none. Copied.
     */
    const char *key;
    /**
     * Within dedup_window_ms messages of a queue with the same are one, and the receipt says so: UTF-8, 1 to 255
     * bytes; NULL for none. 101 for more than one message, for primer_queue_call, and with at_most_once. Copied.
     */
    const char *dedup;
    /**
     * How long that is, in ms, from the first one on, a week at most: 300,000. 101 without dedup. Another window
     * is another key.
     */
    int64_t dedup_window_ms;
} primer_enqueue_options_t;

/**
 * An enqueue's honest answer.
 */
typedef struct primer_receipt_t {
    /**
     * The message's identity.
     */
    struct primer_message_id_t id;
    /**
     * Members that hold it, this one included.
     */
    uint16_t copies;
    /**
     * How many of them have it on disk; 0 while persistence is off.
     */
    uint16_t durable_copies;
    /**
     * Copies that were asked for.
     */
    uint16_t wanted;
    /**
     * 1 where its dedup key was known: the message is that of an earlier enqueue. Else 0.
     */
    uint16_t is_duplicate;
} primer_receipt_t;

/**
 * Options of a receive; begin with PRIMER_RECEIVE_OPTIONS_INIT.
 */
typedef struct primer_receive_options_t {
    /**
     * sizeof(primer_receive_options_t).
     */
    size_t size;
    /**
     * How long to wait for the first message, in ms, a day at most: 0, not at all.
     */
    int64_t wait_ms;
    /**
     * How long what is received is the caller's, in ms; PRIMER_DEFAULT takes the member's.
     */
    int64_t lease_ms;
    /**
     * In which group, NULL for the queue itself; one that does not exist is created. Copied.
     */
    const char *group;
    /**
     * 1: a group that is created gets what waits in the queue, too. 0, the default: only what comes from
     * then on.
     */
    int64_t backlog;
} primer_receive_options_t;

/**
 * Options of a browse; begin with PRIMER_BROWSE_OPTIONS_INIT.
 */
typedef struct primer_browse_options_t {
    /**
     * sizeof(primer_browse_options_t).
     */
    size_t size;
    /**
     * At most this many messages, 1 to 1,000: 100.
     */
    int64_t max;
    /**
     * The cursor of the page before, NULL for the oldest message. Copied.
     */
    const char *after;
    /**
     * Messages of that group, NULL for the queue's own; one that does not exist is not created. Copied.
     */
    const char *group;
    /**
     * Those in one of these states: a sum of PRIMER_STATE_READY, _DELAYED, _LEASED. All.
     */
    int64_t states;
    /**
     * Those that have all of these headers; NULL for none. Copied.
     */
    const struct primer_header_t *headers;
    /**
     * How many.
     */
    size_t headers_len;
    /**
     * How much of each body comes along, in bytes: 65,536.
     */
    int64_t body_bytes_max;
    /**
     * How long to wait for the other members, in ms, a minute at most: 2,000.
     */
    int64_t timeout_ms;
} primer_browse_options_t;

/**
 * A message that was looked at: nobody has it for that, and it may be gone by now.
 */
typedef struct primer_browsed_t {
    /**
     * Its identity, the same in every group.
     */
    struct primer_message_id_t id;
    /**
     * The group; NULL for the queue's own.
     */
    const char *group;
    /**
     * What it was doing: PRIMER_STATE_READY, _DELAYED or _LEASED.
     */
    int64_t state;
    /**
     * The producer's bytes, the first of them.
     */
    struct primer_bytes_t body;
    /**
     * How many there are.
     */
    uint64_t body_bytes;
    /**
     * How many headers it has; see primer_page_header.
     */
    size_t headers_len;
    /**
     * How often it was given out.
     */
    uint32_t attempts;
    /**
     * 0 (last) to 9 (first).
     */
    uint32_t priority;
    /**
     * When it was accepted, in ms since 1970 by the clock of the member that did.
     */
    uint64_t accepted_ms;
    /**
     * Of a delayed one, when it is ready, in ms since 1970; else 0.
     */
    uint64_t ready_at_ms;
    /**
     * When it expires, in ms since 1970; 0 for never.
     */
    uint64_t expires_ms;
    /**
     * Of a leased one, how long its lease lasts, in ms; else 0.
     */
    uint64_t lease_ms;
    /**
     * Members that are known to hold it.
     */
    uint32_t copies;
    /**
     * Always 0.
     */
    uint32_t reserved;
    /**
     * The id of the member that owns it, 32 hexadecimal digits.
     */
    const char *owner;
} primer_browsed_t;

/**
 * What one member knows of a message, or of it in one group, or of its dead letter.
 */
typedef struct primer_account_t {
    /**
     * Whose account it is: 32 hexadecimal digits.
     */
    const char *member;
    /**
     * What the message is there: "replicating", "ready", "delayed", "leased", "moving" or "dying" at its owner,
     * "standby" where a copy is, "acked", "dead", "expired", "aborted" or "forgotten" where it is finished, else
     * "unknown".
     */
    const char *known;
    /**
     * The id there: in a group, or as a dead letter, one of its own.
     */
    struct primer_message_id_t id;
    /**
     * Its queue; NULL where that is not known any more.
     */
    const char *queue;
    /**
     * Its group; NULL for the queue's own.
     */
    const char *group;
    /**
     * The id of the member that owns it; NULL where that is not known.
     */
    const char *owner;
    /**
     * Of a leased one, the id of the member whose consumer has it; else NULL.
     */
    const char *lessee;
    /**
     * How many members may hold it; see primer_explanation_holder.
     */
    size_t holders_len;
    /**
     * How many of these have confirmed it.
     */
    uint32_t confirmed;
    /**
     * How often it was given out, as far as is known there.
     */
    uint32_t attempts;
    /**
     * When it was accepted, in ms since 1970 by the clock of the member that did; 0 where that is not known.
     */
    uint64_t accepted_ms;
    /**
     * Of a delayed one, when it is ready, in ms since 1970; else 0.
     */
    uint64_t ready_at_ms;
    /**
     * When it expires, in ms since 1970; 0 for never.
     */
    uint64_t expires_ms;
    /**
     * Of a leased one, how long its lease lasts, in ms; else 0.
     */
    uint64_t lease_ms;
} primer_account_t;

/**
 * Options of a redrive; begin with PRIMER_REDRIVE_OPTIONS_INIT.
 */
typedef struct primer_redrive_options_t {
    /**
     * sizeof(primer_redrive_options_t).
     */
    size_t size;
    /**
     * The queue that they go to, NULL for where each came from. Copied.
     */
    const char *to;
    /**
     * At most this many of all members together, 1 to 1,000,000: 10,000.
     */
    int64_t max;
    /**
     * Those that have all of these headers, such as primer-cause or primer-group; NULL for all. Copied.
     */
    const struct primer_header_t *headers;
    /**
     * How many.
     */
    size_t headers_len;
    /**
     * These alone, by the ids that a browse shows, as primer_message_id_text writes them; NULL for all. Copied.
     */
    const char *const *ids;
    /**
     * How many, 1,000 at most; 0 for all.
     */
    size_t ids_len;
    /**
     * 1: they are counted and stay where they are: 0.
     */
    int64_t dry_run;
    /**
     * How long to wait for all members, in ms, 10 minutes at most: 30,000.
     */
    int64_t timeout_ms;
} primer_redrive_options_t;

/**
 * How many messages a redrive was about.
 */
typedef struct primer_redriven_counts_t {
    /**
     * Ready and delayed ones that were meant, whatever the maximum.
     */
    uint64_t matched;
    /**
     * Those of them that are back, each as a message of its own with a new id.
     */
    uint64_t moved;
    /**
     * Those that stay because where they would go they were refused: paused, full, or their group is gone.
     */
    uint64_t refused;
    /**
     * Those that stay because they do not say where they came from, or may be in no two places.
     */
    uint64_t skipped;
    /**
     * Further ones that were meant, but a consumer has them.
     */
    uint64_t leased;
} primer_redriven_counts_t;

/**
 * One thing that is the matter with a queue, or with a group of it.
 */
typedef struct primer_finding_t {
    /**
     * What: "paused_out", "owner_unreachable", "member_missing", "no_group", "no_consumer", "no_credit",
     * "key_busy", "all_leased", "delayed", "paused_in", "full", "memory", "empty" or "healthy".
     */
    const char *code;
    /**
     * In which group; NULL for the queue itself.
     */
    const char *group;
    /**
     * How many messages it is about; 0 where it is about none in particular.
     */
    uint64_t messages;
    /**
     * How many members it is about; see primer_diagnosis_finding_member.
     */
    size_t members_len;
} primer_finding_t;

/**
 * What one member knows of a queue, or of one group of it. Counts that do not apply are 0.
 */
typedef struct primer_facts_t {
    /**
     * Whose facts they are: 32 hexadecimal digits.
     */
    const char *member;
    /**
     * The group; NULL for the queue itself.
     */
    const char *group;
    /**
     * Messages that it owns, and anyone may have.
     */
    uint64_t ready;
    /**
     * Those that it owns, and somebody has.
     */
    uint64_t leased;
    /**
     * Those that it owns, and that wait for their time.
     */
    uint64_t delayed;
    /**
     * Copies that it holds of other owners' messages.
     */
    uint64_t standby;
    /**
     * Those of these whose owner it cannot reach.
     */
    uint64_t stranded;
    /**
     * How long ago the oldest ready one was accepted, in ms.
     */
    uint64_t oldest_ms;
    /**
     * In how long the first delayed one is ready, in ms.
     */
    uint64_t next_ready_ms;
    /**
     * In how long the first lease ends, in ms.
     */
    uint64_t next_lease_ms;
    /**
     * Receives that wait at it.
     */
    uint64_t receives;
    /**
     * Subscriptions that are open at it.
     */
    uint64_t subscriptions;
    /**
     * How many more messages these may be given.
     */
    uint64_t credit;
    /**
     * "in", "out" or "both"; NULL where it is not paused.
     */
    const char *paused;
    /**
     * The beginning of names whose policy pauses it; NULL where its own setting does, or nothing.
     */
    const char *paused_by;
    /**
     * How many messages it may have; 0 for no maximum.
     */
    uint64_t messages_max;
    /**
     * How many bytes of bodies; 0 for no maximum.
     */
    uint64_t bytes_max;
    /**
     * How many members' consumers have leased ones, some of them; see primer_diagnosis_lessee.
     */
    size_t lessees_len;
    /**
     * How many members own what is stranded, some of them; see primer_diagnosis_owner.
     */
    size_t owners_len;
    /**
     * How much of the member's memory budget is used, in percent.
     */
    uint32_t memory_percent;
    /**
     * True when one more message would be refused.
     */
    bool is_full;
} primer_facts_t;

/**
 * Options of a subscription; begin with PRIMER_SUBSCRIBE_OPTIONS_INIT.
 */
typedef struct primer_subscribe_options_t {
    /**
     * sizeof(primer_subscribe_options_t).
     */
    size_t size;
    /**
     * Unsettled deliveries at most, 1 to 65,536: 64.
     */
    int64_t credit;
    /**
     * How long what is delivered is the caller's, in ms; PRIMER_DEFAULT takes the member's.
     */
    int64_t lease_ms;
    /**
     * In which group, NULL for the queue itself; one that does not exist is created. Copied.
     */
    const char *group;
    /**
     * 1: a group that is created gets what waits in the queue, too. 0, the default: only what comes from
     * then on.
     */
    int64_t backlog;
    /**
     * Nothing more while the bodies of unsettled deliveries are this many bytes or more together; one
     * message is always allowed. PRIMER_DEFAULT sets no such bound.
     */
    int64_t credit_bytes;
    /**
     * For so long, in ms, Primer's own thread extends the lease of an unsettled delivery, also while the
     * program is busy; then it runs out as usual. PRIMER_DEFAULT: not at all.
     */
    int64_t max_run_ms;
} primer_subscribe_options_t;

/**
 * A key and its value.
 */
typedef struct primer_entry_t {
    /**
     * The key.
     */
    const char *key;
    /**
     * The value that is read.
     */
    struct primer_bytes_t value;
    /**
     * When that was written, by its writer's clock, in milliseconds since 1970.
     */
    uint64_t at_ms;
    /**
     * How many values were written at the same time and lost to it: see primer_entries_other.
     */
    size_t others_len;
} primer_entry_t;

/**
 * It is done.
 */
#define PRIMER_OK 0

/**
 * There is nothing (yet); not an error.
 */
#define PRIMER_EMPTY 1

/**
 * A `_start` function's answer will come through the completions, under the ticket it wrote.
 */
#define PRIMER_LATER 2

/**
 * An argument is out of its range, NULL where it must not be, not UTF-8, or a handle that is not live.
 */
#define PRIMER_E_INVALID_ARGUMENT 101

/**
 * There is nothing of that name.
 */
#define PRIMER_E_NOT_FOUND 102

/**
 * It exists already, with other properties.
 */
#define PRIMER_E_ALREADY_EXISTS 103

/**
 * The body, the headers or the batch is over the limit.
 */
#define PRIMER_E_TOO_LARGE 104

/**
 * A mapping's text cannot be read.
 */
#define PRIMER_E_BAD_RULE 105

/**
 * Not possible here: an address that is not loopback, a feature that is not built in.
 */
#define PRIMER_E_UNSUPPORTED 106

/**
 * The other member belongs to another cluster.
 */
#define PRIMER_E_CLUSTER_MISMATCH 107

/**
 * Another live process has this member's identity.
 */
#define PRIMER_E_IDENTITY_CONFLICT 108

/**
 * The queue is at its maximum length, or a table is full.
 */
#define PRIMER_E_FULL 201

/**
 * Nobody who could serve this can be reached, and nothing was sent.
 */
#define PRIMER_E_UNREACHABLE 202

/**
 * Too little room: this member's memory budget is used up and nobody took it instead, or the member that
 * has to take it is full, or too much is under way. Nothing was stored.
 */
#define PRIMER_E_OVERLOADED 203

/**
 * The queue is paused.
 */
#define PRIMER_E_PAUSED 204

/**
 * primer_leave could not hand over every copy in time; the member stays.
 */
#define PRIMER_E_LEFT_BEHIND 205

/**
 * Fewer copies than wanted by the deadline; the message may still be delivered.
 */
#define PRIMER_E_COPIES_SHORT 301

/**
 * The answer did not come, after something was sent.
 */
#define PRIMER_E_INTERRUPTED 302

/**
 * The append's sequence lies below the producer's window.
 */
#define PRIMER_E_TOO_OLD 303

/**
 * The lease ran out or was given to another; a late ack would still count.
 */
#define PRIMER_E_LEASE_LOST 401

/**
 * The message is finished already.
 */
#define PRIMER_E_ALREADY_DONE 402

/**
 * This member, subscription or reader is closed.
 */
#define PRIMER_E_CLOSED 501

/**
 * The operating system refused.
 */
#define PRIMER_E_IO 502

/**
 * Stored or received data is damaged.
 */
#define PRIMER_E_CORRUPT 503

/**
 * A failed sync stopped this store.
 */
#define PRIMER_E_POISONED 504

/**
 * A bug in Primer; the member closed itself.
 */
#define PRIMER_E_INTERNAL 599



#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The stable name of a code, "InvalidArgument" for 101; "Unknown" for a number that has none. Never
 * NULL, lives for ever.
 */
const char *primer_code_name(primer_code_t code);

/**
 * The PRIMER_ABI_VERSION of the library that was loaded, to compare with the header's.
 */
uint32_t primer_abi_version(void);

/**
 * The version of the library that was loaded, such as "0.1.0". Lives for ever.
 */
const char *primer_version(void);

/**
 * Writes a message's identity as text, NUL-terminated, as every language shows it: 16 hexadecimal
 * digits, a minus, a decimal number. `text` has room for PRIMER_MESSAGE_ID_TEXT_MAX characters.
 */
primer_code_t primer_message_id_text(struct primer_message_id_t id,
                                     char *text);

/**
 * Writes what this thread's last failed call left and answers its number; PRIMER_OK when none
 * failed yet. A call that succeeds leaves it alone. `error` may be NULL.
 */
primer_code_t primer_last_error(struct primer_error_t *error);

/**
 * The message of this thread's last failed call; "" when none failed yet. Never NULL, good until
 * this thread's next call that fails.
 */
const char *primer_last_error_message(void);

/**
 * Opens a member: binds, starts its one thread, dials the seeds and waits until one answered, two
 * seconds at most. It never fails for an absent seed: a member serves alone too. `options` may be
 * NULL: one member in memory, without a socket.
 * Errors: 101, 106 (an address that is not loopback, and neither secret nor certificates), 107 or 108 (a
 * data directory of another cluster, or in use), 502 (it cannot bind or use a directory), 503 (what lies
 * there is damaged).
 */
primer_code_t primer_open(const struct primer_options_t *options,
                          struct primer_t **primer);

/**
 * primer_open with options as `count` pairs of texts, for hosts: keys are the names of
 * primer_options_t, and an unknown one is 101.
 */
primer_code_t primer_open_pairs(const char *const *keys,
                                const char *const *values,
                                size_t count,
                                struct primer_t **primer);

/**
 * As primer_open_pairs, without waiting for a seed: for event loops, and to read events from the
 * first one on. See primer_joined.
 */
primer_code_t primer_start_pairs(const char *const *keys,
                                 const char *const *values,
                                 size_t count,
                                 struct primer_t **primer);

/**
 * As primer_open, without waiting for a seed. See primer_joined.
 */
primer_code_t primer_start(const struct primer_options_t *options,
                           struct primer_t **primer);

/**
 * Waits until a seed answered, or none is configured, or two seconds passed.
 * Errors: 501.
 */
primer_code_t primer_joined(const struct primer_t *primer);

/**
 * primer_joined that does not wait: see primer_queue_enqueue_start.
 */
primer_code_t primer_joined_start(const struct primer_t *primer,
                                  const struct primer_completions_t *completions,
                                  uint64_t *ticket);

/**
 * Dials `address` ("host:port") and joins its cluster.
 * Errors: 101, 106, 107 (another cluster, or another secret), 108, 202 (nobody answers there), 302, 501.
 */
primer_code_t primer_join(const struct primer_t *primer,
                          const char *address);

/**
 * primer_join that does not wait: see primer_queue_enqueue_start.
 */
primer_code_t primer_join_start(const struct primer_t *primer,
                                const char *address,
                                const struct primer_completions_t *completions,
                                uint64_t *ticket);

/**
 * Hands every copy over to other members, for `drain_ms` at most (PRIMER_DEFAULT: 30 s), and leaves
 * the cluster; the member stays open, alone. With `force` it leaves even with copies left behind.
 * Errors: 101, 205 (with the number of copies; the member stays), 501.
 */
primer_code_t primer_leave(const struct primer_t *primer,
                           int64_t drain_ms,
                           bool force);

/**
 * primer_leave that does not wait: see primer_queue_enqueue_start.
 */
primer_code_t primer_leave_start(const struct primer_t *primer,
                                 int64_t drain_ms,
                                 bool force,
                                 const struct primer_completions_t *completions,
                                 uint64_t *ticket);

/**
 * Takes a member, by its id, out of the set for good: it is refused until it has joined afresh. It deletes
 * nothing: what it holds is set aside there (see primer_reclaim). For members that will not come back, so
 * that nothing waits for them, and for those that must not. Never waits.
 * Errors: 101 (no id, or this member's own), 102 (none of the set), 501.
 */
primer_code_t primer_evict(const struct primer_t *primer,
                           const char *member);

/**
 * After this member was evicted (an event tells): gives the messages that it set aside out again, or drops
 * them when `keep` is false; some may have been done elsewhere meanwhile. Writes how many; `count` may be
 * NULL. Never waits. Errors: 101, 501.
 */
primer_code_t primer_reclaim(const struct primer_t *primer,
                             bool keep,
                             uint64_t *count);

/**
 * Takes these secrets instead of those it has, one to three, from now on; links that are up stay. All are
 * proven and all are accepted, so a secret is changed by giving every member the old and the new one, in
 * any order, and then every member the new one alone. Never waits.
 * Errors: 101 (none, too many, or a weak one), 106 (a member that was opened without), 501.
 */
primer_code_t primer_rotate(const struct primer_t *primer,
                            const char *const *secrets,
                            size_t count);

/**
 * Closes the member: new work is refused, calls that wait answer 501, what is queued for other
 * members is flushed for a second at most, and its thread has ended when this returns. It does not
 * leave the cluster. Idempotent, from any thread; the handle stays, to be freed.
 */
primer_code_t primer_close(const struct primer_t *primer);

/**
 * primer_close that does not wait: see primer_queue_enqueue_start.
 */
primer_code_t primer_close_start(const struct primer_t *primer,
                                 const struct primer_completions_t *completions,
                                 uint64_t *ticket);

/**
 * True once the member was closed or failed; also for a handle that is not live.
 */
bool primer_is_closed(const struct primer_t *primer);

/**
 * Where this member listens, "127.0.0.1:7400"; good until the handle is freed. PRIMER_EMPTY, and
 * NULL, when it does not listen.
 */
primer_code_t primer_address(const struct primer_t *primer,
                             const char **address);

/**
 * Frees the handle. A member that is still open is closed in the background, whatever queues,
 * subscriptions and deliveries of it are about; primer_close waits for the end. NULL is nothing.
 */
void primer_free(struct primer_t *primer);

/**
 * The member set as this member sees it, itself included, in the order of their ids. Errors: 101, 501.
 */
primer_code_t primer_members(const struct primer_t *primer,
                             struct primer_members_t **members);

/**
 * How many members. 0 for a handle that is not live.
 */
size_t primer_members_len(const struct primer_members_t *members);

/**
 * Writes member number `index`, from 0. PRIMER_EMPTY when there are no more. Errors: 101.
 */
primer_code_t primer_members_at(const struct primer_members_t *members,
                                size_t index,
                                struct primer_member_t *member);

/**
 * Frees the list. NULL is nothing.
 */
void primer_members_free(struct primer_members_t *members);

/**
 * Counters and gauges by stable names. Errors: 101, 501.
 */
primer_code_t primer_stats(const struct primer_t *primer,
                           struct primer_stats_t **stats);

/**
 * How many counters. 0 for a handle that is not live.
 */
size_t primer_stats_len(const struct primer_stats_t *stats);

/**
 * Writes name and value of counter number `index`, from 0, in the order of their names. PRIMER_EMPTY
 * when there are no more. Errors: 101.
 */
primer_code_t primer_stats_at(const struct primer_stats_t *stats,
                              size_t index,
                              const char **name,
                              uint64_t *value);

/**
 * Writes the value of the counter of that name. PRIMER_EMPTY, and 0, when there is none. Errors: 101.
 */
primer_code_t primer_stats_get(const struct primer_stats_t *stats,
                               const char *name,
                               uint64_t *value);

/**
 * Frees the list. NULL is nothing.
 */
void primer_stats_free(struct primer_stats_t *stats);

/**
 * The queue of that name; it need not exist, first use makes it. Errors: 101, 201, 501.
 */
primer_code_t primer_queue(const struct primer_t *primer,
                           const char *name,
                           struct primer_queue_t **queue);

/**
 * The queue's name, good until the handle is freed. "" for a handle that is not live.
 */
const char *primer_queue_name(const struct primer_queue_t *queue);

/**
 * Frees the handle. NULL is nothing.
 */
void primer_queue_free(struct primer_queue_t *queue);

/**
 * Puts a message into the queue: copies `body_len` bytes and waits until as many members as wanted
 * hold it. `options` and `receipt` may be NULL.
 * Errors: 101, 102 (if_no_group), 104, 201, 202, 203, 204, 301, 302 (another member was to take it and did
 * not answer: it may have happened), 501.
 */
primer_code_t primer_queue_enqueue(const struct primer_queue_t *queue,
                                   const void *body,
                                   size_t body_len,
                                   const struct primer_enqueue_options_t *options,
                                   struct primer_receipt_t *receipt);

/**
 * Puts `count` messages into the queue, 4,096 at most, all or none; they share the options. `options`
 * may be NULL; `receipts` is NULL, or has room for `count`. Errors: as primer_queue_enqueue.
 */
primer_code_t primer_queue_enqueue_many(const struct primer_queue_t *queue,
                                        const struct primer_bytes_t *bodies,
                                        size_t count,
                                        const struct primer_enqueue_options_t *options,
                                        struct primer_receipt_t *receipts);

/**
 * Leases up to `capacity` messages, 4,096 at most, oldest first: writes their handles and how many; the
 * caller frees each. `options` may be NULL: it does not wait. PRIMER_EMPTY when there was none in time.
 * Errors: 101, 201, 203, 501.
 */
primer_code_t primer_queue_receive(const struct primer_queue_t *queue,
                                   const struct primer_receive_options_t *options,
                                   struct primer_delivery_t **deliveries,
                                   size_t capacity,
                                   size_t *len);

/**
 * The message is finished: recorded here, told to every holder at once and until confirmed. A late ack
 * of an unfinished message succeeds. The delivery stays the caller's, to be freed.
 * Errors: 101, 402, 501.
 */
primer_code_t primer_queue_ack(const struct primer_queue_t *queue,
                               const struct primer_delivery_t *delivery);

/**
 * Acks `count` deliveries, 4,096 at most. `codes` is NULL, or gets one code each: PRIMER_OK, or what
 * primer_queue_ack would have answered. The deliveries stay the caller's.
 * Errors: 101 and 104 (and none is acked), 501.
 */
primer_code_t primer_queue_ack_many(const struct primer_queue_t *queue,
                                    struct primer_delivery_t *const *deliveries,
                                    size_t count,
                                    primer_code_t *codes);

/**
 * It failed: again after `delay_ms` (PRIMER_DEFAULT: 1 s, doubling with each attempt, 10 min at most,
 * unless the queue's backoff_ms and backoff_ms_max are set).
 * Errors: 101, 202, 302, 401, 402, 501.
 */
primer_code_t primer_queue_nack(const struct primer_queue_t *queue,
                                const struct primer_delivery_t *delivery,
                                int64_t delay_ms);

/**
 * It can never succeed: it goes to the queue `<queue>.dead` at once, with `reason` (of which 512 bytes
 * are kept) in its headers. Errors: 101, 202, 302, 401, 402, 501.
 */
primer_code_t primer_queue_reject(const struct primer_queue_t *queue,
                                  const struct primer_delivery_t *delivery,
                                  const char *reason);

/**
 * It was not tried: again at once, for anyone, the attempt not counted.
 * Errors: 101, 202, 302, 401, 402, 501.
 */
primer_code_t primer_queue_release(const struct primer_queue_t *queue,
                                   const struct primer_delivery_t *delivery);

/**
 * Its lease lasts `lease_ms` from now (PRIMER_DEFAULT: the queue's setting, else the member's default).
 * Errors: 101, 202, 302, 401, 402, 501.
 */
primer_code_t primer_queue_extend(const struct primer_queue_t *queue,
                                  const struct primer_delivery_t *delivery,
                                  int64_t lease_ms);

/**
 * Creates a named group of the queue: from now on each message goes to every group once, and the
 * consumers of one group share its messages. With `backlog` it gets what waits in the queue, too. One that
 * exists stays as it is; consuming in a group creates it as well. Never waits.
 * Errors: 101, 201 (64 groups), 203, 501.
 */
primer_code_t primer_queue_create_group(const struct primer_queue_t *queue,
                                        const char *group,
                                        bool backlog);

/**
 * Removes a group with what it was still owed, on every member; one that is not there is no error. Never
 * waits. Errors: 101, 203, 501.
 */
primer_code_t primer_queue_remove_group(const struct primer_queue_t *queue,
                                        const char *group);

/**
 * The queue's groups as this member knows them, ascending; there may be none. Never waits.
 * Errors: 101, 501.
 */
primer_code_t primer_queue_groups(const struct primer_queue_t *queue,
                                  struct primer_groups_t **groups);

/**
 * How many groups. 0 for a handle that is not live.
 */
size_t primer_groups_len(const struct primer_groups_t *groups);

/**
 * Writes the name of group number `index`, from 0. PRIMER_EMPTY when there are no more. Errors: 101.
 */
primer_code_t primer_groups_at(const struct primer_groups_t *groups,
                               size_t index,
                               const char **name);

/**
 * Frees the list. NULL is nothing.
 */
void primer_groups_free(struct primer_groups_t *groups);

/**
 * Changes settings of the queue, for the whole cluster: here at once, elsewhere soon. `keys` and `values`
 * hold `count` texts each; a setting that is not named stays, one whose value is "" is unset. They are what
 * holds where a message or a call does not say. Keys (times in milliseconds, sizes in bytes): copies, on_short
 * (degrade | fail | wait), enqueue_timeout_ms, lease_ms, max_attempts, ttl_ms, backoff_ms and backoff_ms_max (of
 * a nack without a delay), dead_letters (a queue), messages_max and bytes_max (of the queue, or of each of its
 * groups), overflow (refuse | drop_oldest), takeover_after_ms, key_concurrency, paused (none | in | out | both). Never waits.
 * Errors: 101 (the message names the nearest known key), 104, 201, 203, 501.
 */
primer_code_t primer_queue_configure(const struct primer_queue_t *queue,
                                     const char *const *keys,
                                     const char *const *values,
                                     size_t count);

/**
 * The settings that hold for the queue, as this member knows them: its own, and for what it does not set those
 * of the longest policy that its name begins with. The caller frees them. Never waits. Errors: 101, 501.
 */
primer_code_t primer_queue_configuration(const struct primer_queue_t *queue,
                                         struct primer_settings_t **settings);

/**
 * Stops the queue for the whole cluster: "in" for producers, who get 204; "out" for consumers, who get nothing
 * more but keep what they have; or "both". Never waits. Errors: 101, 201, 203, 501.
 */
primer_code_t primer_queue_pause(const struct primer_queue_t *queue,
                                 const char *direction);

/**
 * The queue goes on, in both directions. Never waits. Errors: 101, 201, 203, 501.
 */
primer_code_t primer_queue_resume(const struct primer_queue_t *queue);

/**
 * Ends everything that is in the queue and its groups by now, on every member, also what consumers have: their
 * acks get 402. Never waits. Errors: 101, 201, 203, 501.
 */
primer_code_t primer_queue_purge(const struct primer_queue_t *queue);

/**
 * Settings, as primer_queue_configure's, for every queue whose name begins with `prefix`, "" for all, in place of
 * those that the policy had. The longest prefix counts, whole; a queue's own settings are above it. Never waits.
 * Errors: 101, 104, 201, 203, 501.
 */
primer_code_t primer_set_policy(const struct primer_t *primer,
                                const char *prefix,
                                const char *const *keys,
                                const char *const *values,
                                size_t count);

/**
 * Removes a policy; one that is not there is no error. Never waits. Errors: 101, 203, 501.
 */
primer_code_t primer_remove_policy(const struct primer_t *primer,
                                   const char *prefix);

/**
 * The policies as this member knows them, by their prefixes; there may be none. The caller frees them. Never
 * waits. Errors: 101, 501.
 */
primer_code_t primer_policies(const struct primer_t *primer,
                              struct primer_policies_t **policies);

/**
 * How many settings. 0 for a handle that is not live.
 */
size_t primer_settings_len(const struct primer_settings_t *settings);

/**
 * Writes key and value of setting number `index`, from 0, in the order of their keys. PRIMER_EMPTY when there are
 * no more. Errors: 101.
 */
primer_code_t primer_settings_at(const struct primer_settings_t *settings,
                                 size_t index,
                                 const char **key,
                                 const char **value);

/**
 * Frees the settings. NULL is nothing.
 */
void primer_settings_free(struct primer_settings_t *settings);

/**
 * How many policies. 0 for a handle that is not live.
 */
size_t primer_policies_len(const struct primer_policies_t *policies);

/**
 * Writes the prefix of policy number `index`, from 0, in their order, and its settings, which the caller frees.
 * PRIMER_EMPTY, and NULL, when there are no more. Errors: 101.
 */
primer_code_t primer_policies_at(const struct primer_policies_t *policies,
                                 size_t index,
                                 const char **prefix,
                                 struct primer_settings_t **settings);

/**
 * Frees the policies. NULL is nothing.
 */
void primer_policies_free(struct primer_policies_t *policies);

/**
 * Puts a message into the queue and waits up to `timeout_ms` (PRIMER_DEFAULT: 30 s) for the reply of
 * whoever handles it, in any language. `options` may be NULL; without a ttl_ms the message expires with
 * the timeout. Errors: as primer_queue_enqueue, 201 with too many calls at a time, 302 when no reply came
 * in time (it may still be handled).
 */
primer_code_t primer_queue_call(const struct primer_queue_t *queue,
                                const void *body,
                                size_t body_len,
                                const struct primer_enqueue_options_t *options,
                                int64_t timeout_ms,
                                struct primer_reply_t **reply);

/**
 * primer_queue_call that does not wait: see primer_queue_enqueue_start. The reply is in the completion,
 * see primer_completion_reply.
 */
primer_code_t primer_queue_call_start(const struct primer_queue_t *queue,
                                      const void *body,
                                      size_t body_len,
                                      const struct primer_enqueue_options_t *options,
                                      int64_t timeout_ms,
                                      const struct primer_completions_t *completions,
                                      struct primer_reply_t **reply,
                                      uint64_t *ticket);

/**
 * Replies to whoever waits for this message's reply, then acks it. Best effort: a caller that is gone, has
 * given up or has a reply already is no error. Never waits. The delivery stays the caller's, to be freed.
 * `headers` may be NULL when there are none.
 * Errors: 101 (also for a message that asks for no reply), 104, 203 (again later), 402, 501.
 */
primer_code_t primer_queue_reply(const struct primer_queue_t *queue,
                                 const struct primer_delivery_t *delivery,
                                 const void *body,
                                 size_t body_len,
                                 const struct primer_header_t *headers,
                                 size_t headers_len);

/**
 * Whether somebody waits for a reply to the message. False for a handle that is not live.
 */
bool primer_delivery_wants_reply(const struct primer_delivery_t *delivery);

/**
 * The reply's body. Empty for a handle that is not live.
 */
struct primer_bytes_t primer_reply_body(const struct primer_reply_t *reply);

/**
 * How many headers the reply has. 0 for a handle that is not live.
 */
size_t primer_reply_headers_len(const struct primer_reply_t *reply);

/**
 * Writes header number `index`, from 0, in the handler's order. PRIMER_EMPTY when there are no more.
 * Errors: 101.
 */
primer_code_t primer_reply_header(const struct primer_reply_t *reply,
                                  size_t index,
                                  struct primer_header_t *header);

/**
 * Frees a reply. NULL is nothing.
 */
void primer_reply_free(struct primer_reply_t *reply);

/**
 * Looks at messages without taking them, at every member that answers in time; changes nothing. `options`
 * may be NULL. The page may be shorter than `max` and not the last: that one has no cursor.
 * Errors: 101, 203 with too many browses at a time, 501.
 */
primer_code_t primer_queue_browse(const struct primer_queue_t *queue,
                                  const struct primer_browse_options_t *options,
                                  struct primer_page_t **page);

/**
 * primer_queue_browse that does not wait: see primer_queue_enqueue_start. The page is in the completion,
 * see primer_completion_page.
 */
primer_code_t primer_queue_browse_start(const struct primer_queue_t *queue,
                                        const struct primer_browse_options_t *options,
                                        const struct primer_completions_t *completions,
                                        struct primer_page_t **page,
                                        uint64_t *ticket);

/**
 * How many messages are on the page. 0 for a handle that is not live.
 */
size_t primer_page_len(const struct primer_page_t *page);

/**
 * Writes message number `index`, from 0. PRIMER_EMPTY when there are no more. Errors: 101.
 */
primer_code_t primer_page_at(const struct primer_page_t *page,
                             size_t index,
                             struct primer_browsed_t *browsed);

/**
 * Writes header number `header_index` of message number `index`, both from 0, in the producer's order.
 * PRIMER_EMPTY when there are no more. Errors: 101.
 */
primer_code_t primer_page_header(const struct primer_page_t *page,
                                 size_t index,
                                 size_t header_index,
                                 struct primer_header_t *header);

/**
 * The key of message number `index`, from 0. `data` is NULL for one without a key, and where there is no such
 * message.
 */
struct primer_bytes_t primer_page_key(const struct primer_page_t *page,
                                      size_t index);

/**
 * The next page's `after`; NULL where this is the last one, or for a handle that is not live.
 */
const char *primer_page_cursor(const struct primer_page_t *page);

/**
 * How many members' messages are not on the page: unreachable, too busy, or too slow. 0 for a handle that
 * is not live.
 */
size_t primer_page_missing_len(const struct primer_page_t *page);

/**
 * Writes the id of missing member number `index`, from 0. PRIMER_EMPTY when there are no more. Errors: 101.
 */
primer_code_t primer_page_missing_at(const struct primer_page_t *page,
                                     size_t index,
                                     const char **member);

/**
 * Frees a page. NULL is nothing.
 */
void primer_page_free(struct primer_page_t *page);

/**
 * What every member that answers within two seconds knows of the message of that id, which is as
 * primer_message_id_text writes it: who owns it and what it does there, who has a copy, who remembers its end; in
 * each group, and with its dead letter. Changes nothing. The caller frees the explanation.
 * Errors: 101 (also for what is no id), 203 with too many at a time, 501.
 */
primer_code_t primer_explain(const struct primer_t *primer,
                             const char *id,
                             struct primer_explanation_t **explanation);

/**
 * primer_explain that does not wait: see primer_queue_enqueue_start. The explanation is in the completion, see
 * primer_completion_explanation.
 */
primer_code_t primer_explain_start(const struct primer_t *primer,
                                   const char *id,
                                   const struct primer_completions_t *completions,
                                   struct primer_explanation_t **explanation,
                                   uint64_t *ticket);

/**
 * How many accounts: one or more a member, in the order of the members' ids. 0 for a handle that is not live.
 */
size_t primer_explanation_len(const struct primer_explanation_t *explanation);

/**
 * Writes account number `index`, from 0. PRIMER_EMPTY when there are no more. Errors: 101.
 */
primer_code_t primer_explanation_at(const struct primer_explanation_t *explanation,
                                    size_t index,
                                    struct primer_account_t *account);

/**
 * Writes the id of holder number `holder_index` of account number `index`, both from 0. PRIMER_EMPTY when there
 * are no more. Errors: 101.
 */
primer_code_t primer_explanation_holder(const struct primer_explanation_t *explanation,
                                        size_t index,
                                        size_t holder_index,
                                        const char **member);

/**
 * How many members did not answer: unreachable, or too slow. 0 for a handle that is not live.
 */
size_t primer_explanation_missing_len(const struct primer_explanation_t *explanation);

/**
 * Writes the id of missing member number `index`, from 0. PRIMER_EMPTY when there are no more. Errors: 101.
 */
primer_code_t primer_explanation_missing_at(const struct primer_explanation_t *explanation,
                                            size_t index,
                                            const char **member);

/**
 * Frees an explanation. NULL is nothing.
 */
void primer_explanation_free(struct primer_explanation_t *explanation);

/**
 * Moves dead letters back to where they came from, at every member that answers in time: each to the group
 * that it was in, with its own headers, its attempts beginning anew; with `to`, messages of any queue to that
 * one. `options` may be NULL. Errors: 101, 203 with too many redrives at a time, 501.
 */
primer_code_t primer_queue_redrive(const struct primer_queue_t *queue,
                                   const struct primer_redrive_options_t *options,
                                   struct primer_redriven_t **redriven);

/**
 * primer_queue_redrive that does not wait: see primer_queue_enqueue_start. What became of it is in the
 * completion, see primer_completion_redriven.
 */
primer_code_t primer_queue_redrive_start(const struct primer_queue_t *queue,
                                         const struct primer_redrive_options_t *options,
                                         const struct primer_completions_t *completions,
                                         struct primer_redriven_t **redriven,
                                         uint64_t *ticket);

/**
 * Writes how many messages it was about. Errors: 101.
 */
primer_code_t primer_redriven_counts(const struct primer_redriven_t *redriven,
                                     struct primer_redriven_counts_t *counts);

/**
 * How many members did not answer: unreachable, too busy, or too slow; what they moved is not known. 0 for a
 * handle that is not live.
 */
size_t primer_redriven_missing_len(const struct primer_redriven_t *redriven);

/**
 * Writes the id of missing member number `index`, from 0. PRIMER_EMPTY when there are no more. Errors: 101.
 */
primer_code_t primer_redriven_missing_at(const struct primer_redriven_t *redriven,
                                         size_t index,
                                         const char **member);

/**
 * Frees it. NULL is nothing.
 */
void primer_redriven_free(struct primer_redriven_t *redriven);

/**
 * Why nothing is delivered: what every member that answers within two seconds knows of the queue and its groups, and
 * what follows from that. Changes nothing. The caller frees the diagnosis. Errors: 101, 203 with too many at a time,
 * 501.
 */
primer_code_t primer_queue_doctor(const struct primer_queue_t *queue,
                                  struct primer_diagnosis_t **diagnosis);

/**
 * primer_queue_doctor that does not wait: see primer_queue_enqueue_start. The diagnosis is in the completion, see
 * primer_completion_diagnosis.
 */
primer_code_t primer_queue_doctor_start(const struct primer_queue_t *queue,
                                        const struct primer_completions_t *completions,
                                        struct primer_diagnosis_t **diagnosis,
                                        uint64_t *ticket);

/**
 * Takes the diagnosis out of a late answer; the caller frees it. PRIMER_EMPTY when there is none (any more).
 * Errors: 101.
 */
primer_code_t primer_completion_diagnosis(const struct primer_completion_t *completion,
                                          struct primer_diagnosis_t **diagnosis);

/**
 * Writes finding number `index`, from 0, the most important first; there is one at least. PRIMER_EMPTY when there are no
 * more. Errors: 101.
 */
primer_code_t primer_diagnosis_finding(const struct primer_diagnosis_t *diagnosis,
                                       size_t index,
                                       struct primer_finding_t *finding);

/**
 * Writes the facts number `index`, from 0: of each member that answered, of the queue itself and of each of its groups,
 * in the order of the members' ids. PRIMER_EMPTY when there are no more. Errors: 101.
 */
primer_code_t primer_diagnosis_facts(const struct primer_diagnosis_t *diagnosis,
                                     size_t index,
                                     struct primer_facts_t *facts);

/**
 * Writes the id of member number `member_index` that finding number `index` is about, both from 0. PRIMER_EMPTY when there
 * are no more. Errors: 101.
 */
primer_code_t primer_diagnosis_finding_member(const struct primer_diagnosis_t *diagnosis,
                                              size_t index,
                                              size_t member_index,
                                              const char **member);

/**
 * Writes the id of lessee number `member_index` of the facts number `index`, both from 0. PRIMER_EMPTY when there are no
 * more. Errors: 101.
 */
primer_code_t primer_diagnosis_lessee(const struct primer_diagnosis_t *diagnosis,
                                      size_t index,
                                      size_t member_index,
                                      const char **member);

/**
 * Writes the id of owner number `member_index` of what is stranded in the facts number `index`, both from 0. PRIMER_EMPTY
 * when there are no more. Errors: 101.
 */
primer_code_t primer_diagnosis_owner(const struct primer_diagnosis_t *diagnosis,
                                     size_t index,
                                     size_t member_index,
                                     const char **member);

/**
 * Writes the id of missing member number `index`, from 0: unreachable, too busy, or too slow. PRIMER_EMPTY when there are no
 * more. Errors: 101.
 */
primer_code_t primer_diagnosis_missing(const struct primer_diagnosis_t *diagnosis,
                                       size_t index,
                                       const char **member);

/**
 * Frees a diagnosis. NULL is nothing.
 */
void primer_diagnosis_free(struct primer_diagnosis_t *diagnosis);

/**
 * The message's body. Empty for a handle that is not live.
 */
struct primer_bytes_t primer_delivery_body(const struct primer_delivery_t *delivery);

/**
 * The message's identity. All zero for a handle that is not live.
 */
struct primer_message_id_t primer_delivery_id(const struct primer_delivery_t *delivery);

/**
 * How often the message was given out, this time included. 0 for a handle that is not live.
 */
uint32_t primer_delivery_attempts(const struct primer_delivery_t *delivery);

/**
 * In which order it was given out: 0 (last) to 9 (first). -1 for a handle that is not live.
 */
int32_t primer_delivery_priority(const struct primer_delivery_t *delivery);

/**
 * The key that the message was put in with: messages of one key are given out in line. `data` is NULL for a
 * message without one, and for a handle that is not live.
 */
struct primer_bytes_t primer_delivery_key(const struct primer_delivery_t *delivery);

/**
 * How many headers the message has. 0 for a handle that is not live.
 */
size_t primer_delivery_headers_len(const struct primer_delivery_t *delivery);

/**
 * Writes header number `index`, from 0, in the producer's order. PRIMER_EMPTY when there are no more.
 * Errors: 101.
 */
primer_code_t primer_delivery_header(const struct primer_delivery_t *delivery,
                                     size_t index,
                                     struct primer_header_t *header);

/**
 * Leaves the lease running when the delivery is freed: the message comes back after it. Errors: 101.
 */
primer_code_t primer_delivery_keep(const struct primer_delivery_t *delivery);

/**
 * Frees a delivery; unsettled it is released. NULL is nothing.
 */
void primer_delivery_free(struct primer_delivery_t *delivery);

/**
 * Frees `count` deliveries, as primer_delivery_free each; NULLs among them are nothing.
 */
void primer_delivery_free_many(struct primer_delivery_t *const *deliveries,
                               size_t count);

/**
 * Subscribes to a queue. `options` may be NULL. Errors: 101, 201, 203, 501.
 */
primer_code_t primer_queue_subscribe(const struct primer_queue_t *queue,
                                     const struct primer_subscribe_options_t *options,
                                     struct primer_subscription_t **subscription);

/**
 * The next delivery, waiting for up to `wait_ms` (0: not at all, or PRIMER_FOREVER); the caller frees
 * it. PRIMER_EMPTY when none came. Errors: 101, 501 when the subscription is closed and empty.
 */
primer_code_t primer_subscription_next(const struct primer_subscription_t *subscription,
                                       int64_t wait_ms,
                                       struct primer_delivery_t **delivery);

/**
 * Up to `capacity` deliveries, waiting as primer_subscription_next for the first: writes their handles
 * and how many; the caller frees each. PRIMER_EMPTY when none came. Errors: as primer_subscription_next.
 */
primer_code_t primer_subscription_next_batch(const struct primer_subscription_t *subscription,
                                             int64_t wait_ms,
                                             struct primer_delivery_t **deliveries,
                                             size_t capacity,
                                             size_t *len);

/**
 * primer_subscription_next that does not wait: see primer_queue_enqueue_start.
 */
primer_code_t primer_subscription_next_start(const struct primer_subscription_t *subscription,
                                             const struct primer_completions_t *completions,
                                             struct primer_delivery_t **delivery,
                                             uint64_t *ticket);

/**
 * A descriptor to poll for reading; the subscription's own, never read, write or close it, good until
 * the subscription is freed. It is readable when deliveries may be there, and when the subscription
 * was closed; it is silent again after primer_subscription_next answered PRIMER_EMPTY, and never once
 * that answered 501: leave the loop then. -1 when the system gives none, or for a handle that is not live.
 */
int primer_subscription_fd(const struct primer_subscription_t *subscription);

/**
 * Tells `completions`, with PRIMER_COMPLETION_READY and `token`, whenever the subscription goes from
 * empty to not empty or is closed, and once at once if it is not empty: for loops that keep one
 * descriptor for many subscriptions. Errors: 101.
 */
primer_code_t primer_subscription_notify(const struct primer_subscription_t *subscription,
                                         const struct primer_completions_t *completions,
                                         uint64_t token);

/**
 * Allows `more` unsettled deliveries on top. Errors: 101, 501.
 */
primer_code_t primer_subscription_credit(const struct primer_subscription_t *subscription,
                                         uint32_t more);

/**
 * Ends it: what was not taken is released, what was taken stays leased to its taker. Idempotent; the
 * handle stays, to be freed. Errors: 101.
 */
primer_code_t primer_subscription_close(const struct primer_subscription_t *subscription);

/**
 * Ends it for a consumer that died: everything unsettled is released at once, taken or not. Errors: 101.
 */
primer_code_t primer_subscription_abandon(const struct primer_subscription_t *subscription);

/**
 * Closes and frees the subscription; threads that wait in it answer 501. NULL is nothing.
 */
void primer_subscription_free(struct primer_subscription_t *subscription);

/**
 * Makes a reader of what happens from now on. Errors: 101.
 */
primer_code_t primer_events(const struct primer_t *primer,
                            struct primer_events_t **events);

/**
 * The next event, waiting for up to `wait_ms` (0: not at all, or PRIMER_FOREVER); the caller frees it.
 * PRIMER_EMPTY when none came. Errors: 101, 501 when the member is closed and all were read.
 */
primer_code_t primer_events_next(const struct primer_events_t *events,
                                 int64_t wait_ms,
                                 struct primer_event_t **event);

/**
 * primer_events_next that does not wait: see primer_queue_enqueue_start.
 */
primer_code_t primer_events_next_start(const struct primer_events_t *events,
                                       const struct primer_completions_t *completions,
                                       struct primer_event_t **event,
                                       uint64_t *ticket);

/**
 * Takes up to `capacity` events that are there: writes their handles and how many; the caller frees
 * each. PRIMER_EMPTY when there was none. Errors: 101.
 */
primer_code_t primer_events_take(const struct primer_events_t *events,
                                 struct primer_event_t **taken,
                                 size_t capacity,
                                 size_t *len);

/**
 * How many events this reader was too slow for. 0 for a handle that is not live.
 */
uint64_t primer_events_missed(const struct primer_events_t *events);

/**
 * A descriptor to poll for reading, as primer_subscription_fd.
 */
int primer_events_fd(const struct primer_events_t *events);

/**
 * Tells `completions`, with PRIMER_COMPLETION_READY and `token`, as primer_subscription_notify.
 */
primer_code_t primer_events_notify(const struct primer_events_t *events,
                                   const struct primer_completions_t *completions,
                                   uint64_t token);

/**
 * Frees the reader; threads that wait in it answer 501. NULL is nothing.
 */
void primer_events_free(struct primer_events_t *events);

/**
 * When it happened, in milliseconds since 1970 by this machine's clock. 0 for a handle that is not live.
 */
uint64_t primer_event_at_ms(const struct primer_event_t *event);

/**
 * What happened: "joined", "left", "suspect", "unreachable", "reachable", "split", "healed", "conflict",
 * "evicted", "takeover" or "refused"; later versions may add others. "" for a handle that is not live.
 */
const char *primer_event_kind(const struct primer_event_t *event);

/**
 * To which member, by its id. "" for a handle that is not live.
 */
const char *primer_event_member(const struct primer_event_t *event);

/**
 * That member's name; may be "".
 */
const char *primer_event_name(const struct primer_event_t *event);

/**
 * Further words; may be "".
 */
const char *primer_event_detail(const struct primer_event_t *event);

/**
 * Frees an event. NULL is nothing.
 */
void primer_event_free(struct primer_event_t *event);

/**
 * Tells everyone in the cluster who listens to `topic`, this member included: at once, best effort,
 * nothing is stored and nobody answers. The body has 64 KiB at most and is copied; it may be NULL when
 * it is empty. Never waits. Errors: 101, 104, 203 (too much at a time; the message says for how long), 501.
 */
primer_code_t primer_broadcast(const struct primer_t *primer,
                               const char *topic,
                               const void *body,
                               size_t body_len);

/**
 * Makes a reader of what is broadcast to `topic` from now on, here and elsewhere. Errors: 101.
 */
primer_code_t primer_on(const struct primer_t *primer,
                        const char *topic,
                        struct primer_topic_t **reader);

/**
 * The next broadcast, waiting for up to `wait_ms` (0: not at all, or PRIMER_FOREVER); the caller frees
 * it. PRIMER_EMPTY when none came. Errors: 101, 501 when the reader or the member is closed and all were
 * read.
 */
primer_code_t primer_topic_next(const struct primer_topic_t *topic,
                                int64_t wait_ms,
                                struct primer_broadcast_t **broadcast);

/**
 * primer_topic_next that does not wait: see primer_queue_enqueue_start.
 */
primer_code_t primer_topic_next_start(const struct primer_topic_t *topic,
                                      const struct primer_completions_t *completions,
                                      struct primer_broadcast_t **broadcast,
                                      uint64_t *ticket);

/**
 * Takes up to `capacity` broadcasts that are there: writes their handles and how many; the caller frees
 * each. PRIMER_EMPTY when there was none. Errors: 101.
 */
primer_code_t primer_topic_take(const struct primer_topic_t *topic,
                                struct primer_broadcast_t **taken,
                                size_t capacity,
                                size_t *len);

/**
 * How many broadcasts this reader was too slow for. 0 for a handle that is not live.
 */
uint64_t primer_topic_missed(const struct primer_topic_t *topic);

/**
 * A descriptor to poll for reading, as primer_subscription_fd.
 */
int primer_topic_fd(const struct primer_topic_t *topic);

/**
 * Tells `completions`, with PRIMER_COMPLETION_READY and `token`, as primer_subscription_notify.
 */
primer_code_t primer_topic_notify(const struct primer_topic_t *topic,
                                  const struct primer_completions_t *completions,
                                  uint64_t token);

/**
 * Hears nothing more: threads that wait in it answer 501 now, and everyone does once what is here was
 * read. Idempotent; the handle stays, to be freed. Errors: 101.
 */
primer_code_t primer_topic_close(const struct primer_topic_t *topic);

/**
 * Closes and frees the reader; threads that wait in it answer 501. NULL is nothing.
 */
void primer_topic_free(struct primer_topic_t *topic);

/**
 * To which topic. "" for a handle that is not live.
 */
const char *primer_broadcast_topic(const struct primer_broadcast_t *broadcast);

/**
 * By which member, by its id. "" for a handle that is not live.
 */
const char *primer_broadcast_from(const struct primer_broadcast_t *broadcast);

/**
 * What it said, good until the broadcast is freed. Nothing for a handle that is not live.
 */
struct primer_bytes_t primer_broadcast_body(const struct primer_broadcast_t *broadcast);

/**
 * Frees a broadcast. NULL is nothing.
 */
void primer_broadcast_free(struct primer_broadcast_t *broadcast);

/**
 * Writes a value under `key` for the whole cluster: here at once, elsewhere soon. Of two writes that did
 * not know of each other the later one is read, and the other can be listed. A key has 1 to 255 bytes, a
 * value 64 KiB at most; it is copied, and may be NULL when it is empty. Never waits.
 * Errors: 101, 104, 201 (100,000 keys), 203 (200 writes a second; the message says for how long), 501.
 */
primer_code_t primer_put(const struct primer_t *primer,
                         const char *key,
                         const void *value,
                         size_t value_len);

/**
 * What is under `key` as this member knows it; the caller frees it. PRIMER_EMPTY, and NULL, when there is
 * nothing. Never waits. Errors: 101, 501.
 */
primer_code_t primer_get(const struct primer_t *primer,
                         const char *key,
                         struct primer_value_t **value);

/**
 * Removes `key` for the whole cluster; one that is not there is no error. A write that did not know of
 * it wins. Never waits. Errors: 101, 203, 501.
 */
primer_code_t primer_delete(const struct primer_t *primer,
                            const char *key);

/**
 * The keys that begin with `prefix`, "" for all, ascending, with their values; there may be none. Never
 * waits. Errors: 101, 501.
 */
primer_code_t primer_list(const struct primer_t *primer,
                          const char *prefix,
                          struct primer_entries_t **entries);

/**
 * The value's bytes, good until it is freed. Nothing for a handle that is not live.
 */
struct primer_bytes_t primer_value_bytes(const struct primer_value_t *value);

/**
 * Frees a value. NULL is nothing.
 */
void primer_value_free(struct primer_value_t *value);

/**
 * How many keys. 0 for a handle that is not live.
 */
size_t primer_entries_len(const struct primer_entries_t *entries);

/**
 * Writes entry number `index`, from 0, in the order of the keys. PRIMER_EMPTY when there are no more.
 * Errors: 101.
 */
primer_code_t primer_entries_at(const struct primer_entries_t *entries,
                                size_t index,
                                struct primer_entry_t *entry);

/**
 * Writes value number `other`, from 0, of those that lost to entry `index`, newest first. PRIMER_EMPTY
 * when there are no more. Errors: 101.
 */
primer_code_t primer_entries_other(const struct primer_entries_t *entries,
                                   size_t index,
                                   size_t other,
                                   struct primer_bytes_t *value);

/**
 * Frees the list. NULL is nothing.
 */
void primer_entries_free(struct primer_entries_t *entries);

/**
 * Makes a reader of changes of the keys that begin with `prefix`, "" for all, from now on, whoever makes
 * them. Errors: 101.
 */
primer_code_t primer_watch(const struct primer_t *primer,
                           const char *prefix,
                           struct primer_watch_t **watch);

/**
 * The next change, waiting for up to `wait_ms` (0: not at all, or PRIMER_FOREVER); the caller frees it.
 * PRIMER_EMPTY when none came. Errors: 101, 501 when the reader or the member is closed and all were read.
 */
primer_code_t primer_watch_next(const struct primer_watch_t *watch,
                                int64_t wait_ms,
                                struct primer_change_t **change);

/**
 * primer_watch_next that does not wait: see primer_queue_enqueue_start.
 */
primer_code_t primer_watch_next_start(const struct primer_watch_t *watch,
                                      const struct primer_completions_t *completions,
                                      struct primer_change_t **change,
                                      uint64_t *ticket);

/**
 * Takes up to `capacity` changes that are there: writes their handles and how many; the caller frees
 * each. PRIMER_EMPTY when there was none. Errors: 101.
 */
primer_code_t primer_watch_take(const struct primer_watch_t *watch,
                                struct primer_change_t **taken,
                                size_t capacity,
                                size_t *len);

/**
 * How many changes this reader was too slow for. 0 for a handle that is not live.
 */
uint64_t primer_watch_missed(const struct primer_watch_t *watch);

/**
 * A descriptor to poll for reading, as primer_subscription_fd.
 */
int primer_watch_fd(const struct primer_watch_t *watch);

/**
 * Tells `completions`, with PRIMER_COMPLETION_READY and `token`, as primer_subscription_notify.
 */
primer_code_t primer_watch_notify(const struct primer_watch_t *watch,
                                  const struct primer_completions_t *completions,
                                  uint64_t token);

/**
 * Hears nothing more: threads that wait in it answer 501 now, and everyone does once what is here was
 * read. Idempotent; the handle stays, to be freed. Errors: 101.
 */
primer_code_t primer_watch_close(const struct primer_watch_t *watch);

/**
 * Closes and frees the reader; threads that wait in it answer 501. NULL is nothing.
 */
void primer_watch_free(struct primer_watch_t *watch);

/**
 * Which key. "" for a handle that is not live.
 */
const char *primer_change_key(const struct primer_change_t *change);

/**
 * Writes the key's value, good until the change is freed. PRIMER_EMPTY when the key was removed.
 * Errors: 101.
 */
primer_code_t primer_change_value(const struct primer_change_t *change,
                                  struct primer_bytes_t *value);

/**
 * Frees a change. NULL is nothing.
 */
void primer_change_free(struct primer_change_t *change);

/**
 * Makes a queue of late answers. Errors: 502 when the system gives no descriptor.
 */
primer_code_t primer_completions_new(struct primer_completions_t **completions);

/**
 * The descriptor to poll for reading; Primer's own, never read, write or close it. It is readable
 * from when an answer is there until a drain leaves none. -1 for a handle that is not live.
 */
int primer_completions_fd(const struct primer_completions_t *completions);

/**
 * Takes up to `capacity` answers that are there: writes their handles and how many. The caller frees
 * each. PRIMER_EMPTY when there was none. Errors: 101.
 */
primer_code_t primer_completions_drain(const struct primer_completions_t *completions,
                                       struct primer_completion_t **answers,
                                       size_t capacity,
                                       size_t *len);

/**
 * As primer_completions_drain, waiting for up to `wait_ms` (or PRIMER_FOREVER) for the first answer.
 */
primer_code_t primer_completions_wait(const struct primer_completions_t *completions,
                                      struct primer_completion_t **answers,
                                      size_t capacity,
                                      int64_t wait_ms,
                                      size_t *len);

/**
 * Stops waiting for a ticket: its answer never comes, and a message that was leased for it goes back.
 * PRIMER_EMPTY when the answer had come already and waits to be drained. Errors: 101.
 */
primer_code_t primer_completions_cancel(const struct primer_completions_t *completions,
                                        uint64_t ticket);

/**
 * Wakes every thread in primer_completions_wait, now and from now on. Errors: 101.
 */
primer_code_t primer_completions_close(const struct primer_completions_t *completions);

/**
 * Frees the queue and wakes the threads that wait in it; answers that were not drained are dropped,
 * and deliveries in them released. NULL is nothing.
 */
void primer_completions_free(struct primer_completions_t *completions);

/**
 * The ticket that the `_start` function wrote, or the token given to a notify function when the kind
 * is PRIMER_COMPLETION_READY. 0 for a handle that is not live.
 */
uint64_t primer_completion_ticket(const struct primer_completion_t *completion);

/**
 * What the answer holds: PRIMER_COMPLETION_FAILED, _DONE, _RECEIPTS, _DELIVERIES, _EVENT, _BROADCAST,
 * _CHANGE, _REPLY, _PAGE, _EXPLANATION, _REDRIVEN, _DIAGNOSIS
 * or _READY.
 */
int32_t primer_completion_kind(const struct primer_completion_t *completion);

/**
 * What the waiting function would have answered: PRIMER_OK, PRIMER_EMPTY for a receive without
 * deliveries, or the error's number, which is then this thread's last error.
 */
primer_code_t primer_completion_code(const struct primer_completion_t *completion);

/**
 * Writes up to `capacity` receipts of the answer, and how many it has. PRIMER_EMPTY when it has none.
 * Errors: 101.
 */
primer_code_t primer_completion_receipts(const struct primer_completion_t *completion,
                                         struct primer_receipt_t *receipts,
                                         size_t capacity,
                                         size_t *len);

/**
 * Takes up to `capacity` deliveries out of the answer: writes their handles and how many. The caller
 * frees each; what is not taken is released when the answer is freed. PRIMER_EMPTY when none is left.
 * Errors: 101.
 */
primer_code_t primer_completion_deliveries(const struct primer_completion_t *completion,
                                           struct primer_delivery_t **deliveries,
                                           size_t capacity,
                                           size_t *len);

/**
 * Takes the reply out of the answer; the caller frees it. PRIMER_EMPTY when there is none (any more).
 * Errors: 101.
 */
primer_code_t primer_completion_reply(const struct primer_completion_t *completion,
                                      struct primer_reply_t **reply);

/**
 * Takes the page out of the answer; the caller frees it. PRIMER_EMPTY when there is none (any more).
 * Errors: 101.
 */
primer_code_t primer_completion_page(const struct primer_completion_t *completion,
                                     struct primer_page_t **page);

/**
 * Takes the explanation out of the answer; the caller frees it. PRIMER_EMPTY when there is none (any more).
 * Errors: 101.
 */
primer_code_t primer_completion_explanation(const struct primer_completion_t *completion,
                                            struct primer_explanation_t **explanation);

/**
 * Takes what became of a redrive out of the answer; the caller frees it. PRIMER_EMPTY when there is none (any
 * more). Errors: 101.
 */
primer_code_t primer_completion_redriven(const struct primer_completion_t *completion,
                                         struct primer_redriven_t **redriven);

/**
 * Takes the event out of the answer; the caller frees it. PRIMER_EMPTY when there is none (any more).
 * Errors: 101.
 */
primer_code_t primer_completion_event(const struct primer_completion_t *completion,
                                      struct primer_event_t **event);

/**
 * Takes the broadcast out of the answer; the caller frees it. PRIMER_EMPTY when there is none (any
 * more). Errors: 101.
 */
primer_code_t primer_completion_broadcast(const struct primer_completion_t *completion,
                                          struct primer_broadcast_t **broadcast);

/**
 * Takes the change out of the answer; the caller frees it. PRIMER_EMPTY when there is none (any more).
 * Errors: 101.
 */
primer_code_t primer_completion_change(const struct primer_completion_t *completion,
                                       struct primer_change_t **change);

/**
 * Frees an answer, and releases the deliveries that were not taken out of it. NULL is nothing.
 */
void primer_completion_free(struct primer_completion_t *completion);

/**
 * primer_queue_enqueue that does not wait. PRIMER_OK: it is done, the receipt is written, no completion
 * comes (always so when this member alone holds the message). PRIMER_LATER: the answer comes through
 * `completions` under the ticket that was written. Any other code: it failed, no completion comes. All
 * `_start` functions answer so.
 */
primer_code_t primer_queue_enqueue_start(const struct primer_queue_t *queue,
                                         const void *body,
                                         size_t body_len,
                                         const struct primer_enqueue_options_t *options,
                                         const struct primer_completions_t *completions,
                                         struct primer_receipt_t *receipt,
                                         uint64_t *ticket);

/**
 * primer_queue_enqueue_many that does not wait: see primer_queue_enqueue_start.
 */
primer_code_t primer_queue_enqueue_many_start(const struct primer_queue_t *queue,
                                              const struct primer_bytes_t *bodies,
                                              size_t count,
                                              const struct primer_enqueue_options_t *options,
                                              const struct primer_completions_t *completions,
                                              struct primer_receipt_t *receipts,
                                              uint64_t *ticket);

/**
 * primer_queue_receive that does not wait: see primer_queue_enqueue_start. It answers PRIMER_EMPTY at
 * once when it is known at once that there is none.
 */
primer_code_t primer_queue_receive_start(const struct primer_queue_t *queue,
                                         const struct primer_receive_options_t *options,
                                         const struct primer_completions_t *completions,
                                         struct primer_delivery_t **deliveries,
                                         size_t capacity,
                                         size_t *len,
                                         uint64_t *ticket);

/**
 * primer_queue_nack that does not wait: see primer_queue_enqueue_start.
 */
primer_code_t primer_queue_nack_start(const struct primer_queue_t *queue,
                                      const struct primer_delivery_t *delivery,
                                      int64_t delay_ms,
                                      const struct primer_completions_t *completions,
                                      uint64_t *ticket);

/**
 * primer_queue_reject that does not wait: see primer_queue_enqueue_start.
 */
primer_code_t primer_queue_reject_start(const struct primer_queue_t *queue,
                                        const struct primer_delivery_t *delivery,
                                        const char *reason,
                                        const struct primer_completions_t *completions,
                                        uint64_t *ticket);

/**
 * primer_queue_release that does not wait: see primer_queue_enqueue_start.
 */
primer_code_t primer_queue_release_start(const struct primer_queue_t *queue,
                                         const struct primer_delivery_t *delivery,
                                         const struct primer_completions_t *completions,
                                         uint64_t *ticket);

/**
 * primer_queue_extend that does not wait: see primer_queue_enqueue_start.
 */
primer_code_t primer_queue_extend_start(const struct primer_queue_t *queue,
                                        const struct primer_delivery_t *delivery,
                                        int64_t lease_ms,
                                        const struct primer_completions_t *completions,
                                        uint64_t *ticket);

/**
 * How many handles of all types are not freed yet, in the whole process: for tests and for hunting
 * a leak.
 */
size_t primer_handles_live(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PRIMER_H */

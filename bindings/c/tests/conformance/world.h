/* Everything that a scenario has named: members, messages, what was received, subscriptions, readers. */
#ifndef WORLD_H
#define WORLD_H

#include <primer.h>

#include "scenario.h"

/* The limit of every wait for something that must come; never a measure of speed. */
#define PATIENCE_MS 20000

typedef struct member member_t;
typedef struct queue queue_t;
typedef struct message message_t;
typedef struct received received_t;
typedef struct subscribed subscribed_t;
typedef struct listener listener_t;
typedef struct call call_t;     /* calls.c */
typedef struct cursor cursor_t; /* browse.c */

struct member {
    member_t *next;
    char *name;
    primer_t *primer;
    primer_events_t *events;
};

struct queue {
    queue_t *next;
    member_t *member;
    char *name;
    primer_queue_t *queue;
};

struct message {
    message_t *next;
    char *name;
    primer_message_id_t id;
};

/* One delivery; the last one of a message stands first. */
struct received {
    received_t *next;
    member_t *member;
    message_t *message;
    primer_delivery_t *delivery;
    primer_queue_t *queue;
};

struct subscribed {
    subscribed_t *next;
    char *name;
    member_t *member;
    primer_subscription_t *subscription;
    primer_queue_t *queue;
};

/* A reader of a topic, or of changes: the other is NULL. */
struct listener {
    listener_t *next;
    char *name;
    primer_topic_t *topic;
    primer_watch_t *watch;
};

typedef struct {
    member_t *members;
    queue_t *queues;
    message_t *messages;
    received_t *received;
    subscribed_t *subscriptions;
    listener_t *listeners;
    call_t *calls;
    cursor_t *cursors;
    char told[1024]; /* how the last step differs */
} world_t;

/* Writes how a step differs; answers false, for `return differs(...)`. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
bool differs(world_t *world, const char *format, ...);

/* Each adds a name, and takes over what it is given. */
void add_member(world_t *world, const char *name, primer_t *primer, primer_events_t *events);
void add_subscription(world_t *world, const char *name, member_t *member,
                      primer_subscription_t *subscription, primer_queue_t *queue);
void add_received(world_t *world, member_t *member, message_t *message, primer_delivery_t *delivery,
                  primer_queue_t *queue);
void add_listener(world_t *world, const char *name, primer_topic_t *topic, primer_watch_t *watch);
/* Binds a new name to an id; a name that is bound must be that id. NULL when it is another. */
message_t *bind_message(world_t *world, const char *name, primer_message_id_t id);

/* Each finds a name, or says that there is none and answers NULL. */
member_t *find_member(world_t *world, const word_t *name);
subscribed_t *find_subscription(world_t *world, const word_t *name);
listener_t *find_listener(world_t *world, const word_t *name);
received_t *find_received(world_t *world, const member_t *member, const word_t *message);
/* The queue of a member, opened on first use. Answers the code of that. */
primer_code_t find_queue(world_t *world, member_t *member, const word_t *name, primer_queue_t **queue);

/* Frees the last delivery of a message. */
void drop_received(world_t *world, received_t *gone);
/* Closes every member and frees everything. */
void world_end(world_t *world);

/* The time by a clock that never goes back, in ms. */
int64_t now_ms(void);
/* The date, in ms since 1970. */
int64_t date_ms(void);
/* A pause between two questions. */
void pause_ms(int64_t ms);

/* Does one step. False when it differs; `world->told` says how. */
bool world_step(world_t *world, const step_t *step);

#endif

/* See world.h. Memory that cannot be had ends the program: this is a test. */
#define _POSIX_C_SOURCE 200809L
#include "world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "browse.h"
#include "calls.h"
#include "verbs.h"

static void *made(size_t size) {
    void *at = calloc(1, size);
    if (!at) abort();
    return at;
}

static char *copied(const char *text) {
    char *copy = strdup(text);
    if (!copy) abort();
    return copy;
}

int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int64_t date_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

void pause_ms(int64_t ms) {
    struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

bool differs(world_t *world, const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    vsnprintf(world->told, sizeof world->told, format, rest);
    va_end(rest);
    return false;
}

void add_member(world_t *world, const char *name, primer_t *primer, primer_events_t *events) {
    member_t *member = made(sizeof *member);
    *member = (member_t){world->members, copied(name), primer, events};
    world->members = member;
}

void add_subscription(world_t *world, const char *name, member_t *member,
                      primer_subscription_t *subscription, primer_queue_t *queue) {
    subscribed_t *subscribed = made(sizeof *subscribed);
    *subscribed =
        (subscribed_t){world->subscriptions, copied(name), member, subscription, queue};
    world->subscriptions = subscribed;
}

void add_received(world_t *world, member_t *member, message_t *message, primer_delivery_t *delivery,
                  primer_queue_t *queue) {
    received_t *received = made(sizeof *received);
    *received = (received_t){world->received, member, message, delivery, queue};
    world->received = received;
}

void add_listener(world_t *world, const char *name, primer_topic_t *topic, primer_watch_t *watch) {
    listener_t *listener = made(sizeof *listener);
    *listener = (listener_t){world->listeners, copied(name), topic, watch};
    world->listeners = listener;
}

static bool is_same(primer_message_id_t one, primer_message_id_t other) {
    return one.origin == other.origin && one.sequence == other.sequence;
}

message_t *bind_message(world_t *world, const char *name, primer_message_id_t id) {
    message_t *known = world->messages;
    while (known && strcmp(known->name, name)) known = known->next;
    if (known && is_same(known->id, id)) return known;
    if (known) {
        char text[PRIMER_MESSAGE_ID_TEXT_MAX];
        const message_t *got = world->messages;
        while (got && !is_same(got->id, id)) got = got->next;
        primer_message_id_text(id, text);
        differs(world, "wanted %s, got %s", name, got ? got->name : text);
        return NULL;
    }
    message_t *message = made(sizeof *message);
    *message = (message_t){world->messages, copied(name), id};
    world->messages = message;
    return message;
}

member_t *find_member(world_t *world, const word_t *name) {
    member_t *member = world->members;
    while (member && strcmp(member->name, (const char *)name->value)) member = member->next;
    if (!member) differs(world, "there is no member `%s`", (const char *)name->value);
    return member;
}

subscribed_t *find_subscription(world_t *world, const word_t *name) {
    subscribed_t *known = world->subscriptions;
    while (known && strcmp(known->name, (const char *)name->value)) known = known->next;
    if (!known) differs(world, "there is no subscription `%s`", (const char *)name->value);
    return known;
}

listener_t *find_listener(world_t *world, const word_t *name) {
    listener_t *known = world->listeners;
    while (known && strcmp(known->name, (const char *)name->value)) known = known->next;
    if (!known) differs(world, "there is no reader `%s`", (const char *)name->value);
    return known;
}

received_t *find_received(world_t *world, const member_t *member, const word_t *message) {
    const char *name = (const char *)message->value;
    received_t *known = world->received;
    while (known && (known->member != member || strcmp(known->message->name, name)))
        known = known->next;
    if (!known) differs(world, "`%s` never received `%s`", member->name, name);
    return known;
}

primer_code_t find_queue(world_t *world, member_t *member, const word_t *name,
                         primer_queue_t **queue) {
    const char *text = (const char *)name->value;
    queue_t *known = world->queues;
    while (known && (known->member != member || strcmp(known->name, text))) known = known->next;
    if (known) {
        *queue = known->queue;
        return PRIMER_OK;
    }
    primer_code_t code = primer_queue(member->primer, text, queue);
    if (code != PRIMER_OK) return code;
    queue_t *opened = made(sizeof *opened);
    *opened = (queue_t){world->queues, member, copied(text), *queue};
    world->queues = opened;
    return PRIMER_OK;
}

void drop_received(world_t *world, received_t *gone) {
    received_t **at = &world->received;
    while (*at != gone) at = &(*at)->next;
    *at = gone->next;
    primer_delivery_free(gone->delivery);
    free(gone);
}

/* Takes the first one off a list. */
#define TAKE(type, from)      \
    type *first = from;       \
    from = first->next

void world_end(world_t *world) {
    for (member_t *member = world->members; member; member = member->next)
        verb_close(member->primer);
    drop_calls(world);
    drop_cursors(world);
    while (world->received) drop_received(world, world->received);
    while (world->subscriptions) {
        TAKE(subscribed_t, world->subscriptions);
        primer_subscription_free(first->subscription);
        free(first->name);
        free(first);
    }
    while (world->listeners) {
        TAKE(listener_t, world->listeners);
        primer_topic_free(first->topic);
        primer_watch_free(first->watch);
        free(first->name);
        free(first);
    }
    while (world->queues) {
        TAKE(queue_t, world->queues);
        primer_queue_free(first->queue);
        free(first->name);
        free(first);
    }
    while (world->messages) {
        TAKE(message_t, world->messages);
        free(first->name);
        free(first);
    }
    while (world->members) {
        TAKE(member_t, world->members);
        primer_events_free(first->events);
        primer_free(first->primer);
        free(first->name);
        free(first);
    }
}

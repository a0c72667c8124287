/* The step that asks what every member knows of a message. */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "world.h"

enum { ID_MAX = 64 };

/* The id of a message by its name; a text is an id, or none. False for a name that is none. */
bool message_of(world_t *world, const word_t *word, char id[ID_MAX]);
/* Waits until just these accounts are given. */
bool explain(world_t *world, const step_t *step, member_t *member);

#endif

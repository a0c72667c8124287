/* The step that asks what every member knows of a message. */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "world.h"

/* Waits until just these accounts are given. */
bool explain(world_t *world, const step_t *step, member_t *member);

#endif

/* The step that sends dead letters back. */
#ifndef REDRIVE_H
#define REDRIVE_H

#include "world.h"

/* Sends letters back, once. */
bool redrive(world_t *world, const step_t *step, member_t *member);

#endif

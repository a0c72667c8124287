/* Steps about a queue's groups. */
#ifndef GROUPS_H
#define GROUPS_H

#include "world.h"

bool create_group(world_t *world, const step_t *step, member_t *member);
bool remove_group(world_t *world, const step_t *step, member_t *member);
/* Waits until the member knows just these. */
bool await_groups(world_t *world, const step_t *step, member_t *member);

#endif

/* Steps about what queues are told. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "world.h"

bool configure(world_t *world, const step_t *step, member_t *member);
bool pause_queue(world_t *world, const step_t *step, member_t *member);
bool resume_queue(world_t *world, const step_t *step, member_t *member);
bool purge_queue(world_t *world, const step_t *step, member_t *member);
bool set_policy(world_t *world, const step_t *step, member_t *member);
bool remove_policy(world_t *world, const step_t *step, member_t *member);
/* These wait until the member knows just those. */
bool await_configuration(world_t *world, const step_t *step, member_t *member);
bool await_policies(world_t *world, const step_t *step, member_t *member);

#endif

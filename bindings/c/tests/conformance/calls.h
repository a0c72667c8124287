/* Steps about calls: a call goes on beside the other steps until its end is asked for. */
#ifndef CALLS_H
#define CALLS_H

#include "world.h"

/* Begins a call, in a thread or, with --late, through completions of its own. */
bool begin_call(world_t *world, const step_t *step, member_t *member);
bool give_reply(world_t *world, const step_t *step, member_t *member);
/* Waits for a call's end. */
bool end_call(world_t *world, const step_t *step);
/* Ends those that are left; their members are closed. */
void drop_calls(world_t *world);

#endif

/* Steps about what everyone hears: topics, keys, and who may be a member. */
#ifndef GOSSIP_H
#define GOSSIP_H

#include "world.h"

/* True when a step is one of these, and has as many arguments as it may have. */
bool is_gossip(const step_t *step);
/* Does it. False when it differs; `world->told` says how. */
bool gossip_step(world_t *world, const step_t *step);

#endif

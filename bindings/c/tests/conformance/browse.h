/* Steps that look at messages without taking them. */
#ifndef BROWSE_H
#define BROWSE_H

#include "world.h"

/* Looks at one page. */
bool browse(world_t *world, const step_t *step, member_t *member);
/* Forgets the cursors. */
void drop_cursors(world_t *world);

#endif

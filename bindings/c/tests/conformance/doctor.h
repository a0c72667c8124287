/* The step that asks why nothing is delivered. */
#ifndef DOCTOR_H
#define DOCTOR_H

#include "world.h"

/* Waits until just these findings are given. */
bool doctor(world_t *world, const step_t *step, member_t *member);

#endif

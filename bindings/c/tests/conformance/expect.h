/* What a step gave, held against what it was to give. */
#ifndef EXPECT_H
#define EXPECT_H

#include "world.h"

/* What came of a call. */
typedef enum {
    WENT,     /* it succeeded, as it should: look at what it gave */
    SETTLED,  /* it failed, as it should: the step is done */
    DIFFERED, /* it is told how */
} came_t;

/* Holds a code against `-> error N` or its absence. */
came_t settle(world_t *world, const step_t *step, primer_code_t code);
/* A call that gave nothing: `-> ok`, or nothing written. */
bool expect_done(world_t *world, const step_t *step, primer_code_t code);
/* Binds and checks receipts. */
bool expect_receipts(world_t *world, const step_t *step, const primer_receipt_t *receipts,
                     size_t count);
/* Binds, checks and keeps deliveries; frees those that the step does not name. */
bool expect_deliveries(world_t *world, const step_t *step, member_t *member, primer_queue_t *queue,
                       primer_delivery_t **deliveries, size_t count);
/* One number each. */
bool expect_codes(world_t *world, const step_t *step, const primer_code_t *codes, size_t count);

/* The options of an enqueue; `headers` has room for 64. False for a word that there is not. */
bool options_of(const step_t *step, primer_enqueue_options_t *options, primer_header_t *headers);

/* Whether the option is there and says true. */
bool is_true(const step_t *step, const char *key);
/* The number of an option, or `otherwise`. */
int64_t number_of(const step_t *step, const char *key, int64_t otherwise);

#endif

/* What a program with a loop of its own does: it polls a descriptor, then takes what is there. A file that
 * includes this defines _POSIX_C_SOURCE before anything else. */
#ifndef LOOP_H
#define LOOP_H

#include <poll.h>

#include "check.h"

static inline int readable(int fd, int wait_ms) {
    struct pollfd poll_fd = {fd, POLLIN, 0};
    return poll(&poll_fd, 1, wait_ms) == 1 && (poll_fd.revents & POLLIN);
}

/* The one late answer that must come; the caller frees it. */
static inline primer_completion_t *one_answer(primer_completions_t *c) {
    primer_completion_t *answer = NULL;
    size_t len = 0;
    CHECK(readable(primer_completions_fd(c), PATIENCE_MS));
    CODE(PRIMER_OK, primer_completions_drain(c, &answer, 1, &len));
    CHECK(len == 1);
    return answer;
}

#endif

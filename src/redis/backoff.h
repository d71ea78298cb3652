/*
 * How long to wait before trying again: doubling from 50 ms to 5 s, half of it random ("equal jitter"), so
 * that the gateways of a Redis that comes back do not arrive together.
 */
#pragma once

#include <stdint.h>

#define BACKOFF_FIRST_MS 50
#define BACKOFF_LAST_MS 5000

/* A zeroed struct starts from the first wait. */
struct backoff {
    uint64_t wait_ms;
};

/* The next wait, in [w/2, w] for w = 50, 100, 200, … 5000 ms. */
uint64_t backoff_next_ms(struct backoff *backoff);
void backoff_reset(struct backoff *backoff);

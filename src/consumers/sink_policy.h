/* What a receiver's answer means for a delivery, and how long to wait before the next attempt. */
#pragma once

#include <stdint.h>

/* Longest wait that a receiver can ask for by Retry-After. */
#define SINK_RETRY_AFTER_MAX_MS 300000

enum sink_verdict {
    SINK_ACCEPTED, /* 2xx */
    SINK_REFUSED,  /* 4xx: it will not do better next time */
    SINK_FAILED,   /* everything else, and those of 4xx that mean "later": 408, 425, 429 */
    SINK_VERDICTS,
};

/* `status` is the HTTP status, 0 when there was no answer. */
enum sink_verdict sink_verdict_of(long status);

/*
 * The wait after so many failures in a row (at least 1): `first_ms` doubled each time up to `last_ms`, half
 * of it random ("equal jitter"); not less than the receiver asked for (0: it did not), within the bound
 * above.
 */
uint64_t sink_wait_ms(uint64_t failures, uint64_t first_ms, uint64_t last_ms, uint64_t retry_after_ms);

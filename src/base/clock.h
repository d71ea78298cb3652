/* Time. Deadlines and latencies use the monotonic clock, so a jump of the wall clock changes nothing. */
#pragma once

#include <stdint.h>

#define CLOCK_NS_PER_MS UINT64_C(1000000)
#define CLOCK_NS_PER_SECOND UINT64_C(1000000000)

/* Monotonic nanoseconds since an arbitrary start. */
uint64_t clock_now_ns(void);

/* Monotonic milliseconds since the same start. */
uint64_t clock_now_ms(void);

/* Wall clock, milliseconds since the Unix epoch: for logs and `Date`-like fields only. */
uint64_t clock_wall_ms(void);

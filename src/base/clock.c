#include "base/clock.h"

#include <time.h>

static uint64_t read_clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now); /* cannot fail: the clock exists and the pointer is ours */
    return (uint64_t)now.tv_sec * CLOCK_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t clock_now_ns(void)
{
    return read_clock_ns(CLOCK_MONOTONIC);
}

uint64_t clock_now_ms(void)
{
    return clock_now_ns() / CLOCK_NS_PER_MS;
}

uint64_t clock_wall_ms(void)
{
    return read_clock_ns(CLOCK_REALTIME) / CLOCK_NS_PER_MS;
}

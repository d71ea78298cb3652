#include "consumers/sink_policy.h"

#include "base/random.h"

enum sink_verdict sink_verdict_of(long status)
{
    if (status >= 200 && status < 300)
        return SINK_ACCEPTED;
    if (status >= 400 && status < 500 && status != 408 && status != 425 && status != 429)
        return SINK_REFUSED;
    return SINK_FAILED;
}

uint64_t sink_wait_ms(uint64_t failures, uint64_t first_ms, uint64_t last_ms, uint64_t retry_after_ms)
{
    uint64_t wait_ms = first_ms;
    while (--failures > 0 && wait_ms < last_ms)
        wait_ms *= 2;
    if (wait_ms > last_ms)
        wait_ms = last_ms;
    uint64_t jittered_ms = random_between(wait_ms / 2, wait_ms);
    if (retry_after_ms > SINK_RETRY_AFTER_MAX_MS)
        retry_after_ms = SINK_RETRY_AFTER_MAX_MS;
    /* Those who were told to wait for the same time do not come back in the same moment. */
    return retry_after_ms > wait_ms ? retry_after_ms + (wait_ms - jittered_ms) : jittered_ms;
}

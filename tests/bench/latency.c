#include "latency.h"

#include <math.h>
#include <stddef.h>

static size_t bucket_of(uint64_t value_us)
{
    if (value_us < LATENCY_STEPS)
        return (size_t)value_us;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value_us) - LATENCY_STEP_BITS;
    return (size_t)(shift * LATENCY_STEPS + (value_us >> shift));
}

static uint64_t upper_end_of(size_t bucket)
{
    if (bucket < 2 * LATENCY_STEPS)
        return bucket;
    unsigned shift = (unsigned)(bucket / LATENCY_STEPS) - 1;
    return ((bucket - shift * (uint64_t)LATENCY_STEPS + 1) << shift) - 1;
}

void latency_add(struct latency *latency, uint64_t value_us)
{
    uint64_t largest = (UINT64_C(1) << LATENCY_VALUE_BITS) - 1;
    if (value_us > largest)
        value_us = largest;
    latency->count++;
    latency->sum_us += value_us;
    if (value_us > latency->max_us)
        latency->max_us = value_us;
    latency->buckets[bucket_of(value_us)]++;
}

void latency_add_all(struct latency *latency, const struct latency *other)
{
    latency->count += other->count;
    latency->sum_us += other->sum_us;
    if (other->max_us > latency->max_us)
        latency->max_us = other->max_us;
    for (size_t bucket = 0; bucket < LATENCY_BUCKETS; bucket++)
        latency->buckets[bucket] += other->buckets[bucket];
}

uint64_t latency_percentile_us(const struct latency *latency, double fraction)
{
    if (latency->count == 0)
        return 0;
    uint64_t rank = (uint64_t)ceil(fraction * (double)latency->count);
    if (rank == 0)
        rank = 1;
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
        seen += latency->buckets[bucket];
        if (seen >= rank) {
            uint64_t end = upper_end_of(bucket);
            return end < latency->max_us ? end : latency->max_us;
        }
    }
    return latency->max_us;
}

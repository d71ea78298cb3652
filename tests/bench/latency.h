/*
 * A latency histogram in the manner of HdrHistogram: 128 linear steps per power of two, so a percentile is
 * exact to 0.8 % from 1 µs to 19 hours, at a fixed size and with nothing sampled away.
 */
#pragma once

#include <stdint.h>

#define LATENCY_STEP_BITS 7
#define LATENCY_STEPS (1u << LATENCY_STEP_BITS)
#define LATENCY_VALUE_BITS 36
#define LATENCY_BUCKETS ((LATENCY_VALUE_BITS - LATENCY_STEP_BITS + 1) * LATENCY_STEPS)

/* A zeroed struct is empty. */
struct latency {
    uint64_t count;
    uint64_t sum_us;
    uint64_t max_us;
    uint64_t buckets[LATENCY_BUCKETS];
};

/* Longer than 2^36 µs counts as that. */
void latency_add(struct latency *latency, uint64_t value_us);

/* Adds all that `other` has. */
void latency_add_all(struct latency *latency, const struct latency *other);

/* The value that `fraction` (0 to 1) of all values do not exceed, as its bucket's upper end; 0 when empty. */
uint64_t latency_percentile_us(const struct latency *latency, double fraction);

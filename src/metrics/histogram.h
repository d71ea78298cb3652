/* A histogram with fixed buckets from 100 µs to 10 s, as Prometheus wants it (cumulative `le` in seconds). */
#pragma once

#include <stdint.h>

#define HISTOGRAM_BUCKETS 16

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS + 1]; /* not cumulative; the last one is +Inf */
    uint64_t sum_ns;
    uint64_t count;
};

/* Upper bounds in seconds: 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
 * 1, 2.5, 5, 10. */
extern const double histogram_bounds[HISTOGRAM_BUCKETS];

/* Counts `times` observations of the same duration. */
void histogram_observe(struct histogram *histogram, uint64_t duration_ns, uint64_t times);

/* Estimate in seconds for a quantile in 0..1, interpolated in its bucket; 0 when empty. */
double histogram_quantile(const struct histogram *histogram, double quantile);

/* What is counted about a sink; consumers/sinks.c writes it for readers. */
#pragma once

#include <stdint.h>

#include "consumers/sink_policy.h"
#include "metrics/histogram.h"

struct sink_figures {
    uint64_t attempts[SINK_VERDICTS]; /* requests, by what became of them */
    struct histogram duration;        /* of a request */
    uint64_t delivered;
    uint64_t returned; /* given back to the group, after the retries or at the end of this process */
    uint64_t dead;     /* given up: dead letters */
    uint64_t dropped;  /* of a channel: no room in the queue, refused, or out of retries */
    uint64_t held;     /* gauge: taken and not done with */
};

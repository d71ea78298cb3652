/*
 * Publishes the items of one request: all are sent at once, in their order; one that fails for a reason that
 * passes is sent again after 1, 2 and 4 s. The job ends when every item has its receipt or its problem.
 *
 *     publish_job_start() ──▶ sent ──▶ (waits ──▶ sent again …) ──▶ done(context)
 *                              └── publish_job_abandon(): done is not called; what is under way ends unseen
 */
#pragma once

#include <event2/event.h>

#include "front/publish_body.h"
#include "front/publish_script.h"
#include "metrics/metrics.h"
#include "redis/commands.h"

struct publish_job;

struct publish_job_options {
    struct event_base *base;
    struct commands *commands;
    struct metrics *metrics;
    uint64_t idempotency_window_ms;
};

/* Called once, from the loop, never inside publish_job_start(). The job frees itself after the call. */
typedef void publish_job_done(void *context, const struct publish_body *body,
                              const struct publish_receipt *receipts);

/* Takes over *body, whatever happens. NULL when memory is short. */
struct publish_job *publish_job_start(const struct publish_job_options *options, struct publish_body *body,
                                      publish_job_done *done, void *context);

void publish_job_abandon(struct publish_job *job);

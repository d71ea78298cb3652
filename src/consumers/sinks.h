/*
 * All webhook sinks of this gateway, and their figures:
 * `sluice_webhook_attempts_total`, `…_deliveries_total`, `…_held` and `…_duration_seconds`, and `sinks` in
 * the JSON summary.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "consumers/sink_options.h"
#include "metrics/metrics.h"
#include "redis/commands.h"

struct sinks;

struct sinks_services {
    struct event_base *base;
    struct groups *groups;
    struct commands *commands;
    struct metrics *metrics;
    struct log *log;
};

/* Borrows the services, and the options with what they point at. NULL when memory is short. */
struct sinks *sinks_create(const struct sinks_services *services, const struct sink_options *options,
                           size_t count);

/* The commands link is ready. */
void sinks_redis_up(struct sinks *sinks);

/* Channels that sinks want, with repetitions: a walk that starts with *cursor = 0 and ends with NULL. */
const char *sinks_next_channel(const struct sinks *sinks, size_t *cursor);
bool sinks_want_channel(const struct sinks *sinks, const char *channel, size_t length);
void sinks_message(struct sinks *sinks, const char *channel, size_t length, const char *payload,
                   size_t payload_length);

/* Takes nothing more; what is being sent is finished. */
void sinks_drain(struct sinks *sinks);

/* Events that are not done with. */
size_t sinks_held(const struct sinks *sinks);

/* Ends all requests; before groups_stop() and the destruction of the commands. */
void sinks_stop(struct sinks *sinks);
/* When no answer of Redis can come any more. */
void sinks_destroy(struct sinks *sinks);

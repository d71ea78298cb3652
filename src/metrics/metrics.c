#include "metrics/metrics.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"

struct metrics *metrics_create(void)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (!metrics)
        return NULL;
    metrics->start_wall_ms = clock_wall_ms();
    list_init(&metrics->own_sources);
    metrics->sources = &metrics->own_sources;
    return metrics;
}

void metrics_destroy(struct metrics *metrics)
{
    free(metrics);
}

/* Everything up to here is uint64_t, alone or in arrays and histograms. */
#define SUMMED_BYTES offsetof(struct metrics, redis_up)
static_assert(SUMMED_BYTES % sizeof(uint64_t) == 0, "figures that are added up are uint64_t");

void metrics_add(struct metrics *into, const struct metrics *figures)
{
    uint64_t *sums = (uint64_t *)(void *)into;
    const uint64_t *addends = (const uint64_t *)(const void *)figures;
    bool is_first = into->sources == &into->own_sources;
    for (size_t i = 0; i < SUMMED_BYTES / sizeof(uint64_t); i++)
        sums[i] += addends[i];
    into->redis_up = figures->redis_up && (is_first || into->redis_up);
    into->feed_up = figures->feed_up && (is_first || into->feed_up);
    into->commands_up = figures->commands_up && (is_first || into->commands_up);
    into->draining |= figures->draining;
    if (is_first) {
        into->start_wall_ms = figures->start_wall_ms;
        into->sources = figures->sources;
    }
}

const char *gap_reason_name(enum gap_reason reason)
{
    static const char *const names[GAP_REASONS] = {
        [GAP_REDIS_RECONNECT] = "redis-reconnect", [GAP_TRIMMED] = "trimmed",
        [GAP_SLOW_CONSUMER] = "slow-consumer",     [GAP_RESTART] = "restart",
        [GAP_UNKNOWN_ID] = "unknown-id",
    };
    return names[reason];
}

const char *slow_action_name(enum slow_action action)
{
    static const char *const names[SLOW_ACTIONS] = {
        [SLOW_DISCONNECTED] = "disconnected",
        [SLOW_CONFLATED] = "conflated",
        [SLOW_STALLED] = "stalled",
    };
    return names[action];
}

const char *refusal_reason_name(enum refusal_reason reason)
{
    static const char *const names[REFUSAL_REASONS] = {
        [REFUSAL_NO_CREDENTIAL] = "no-credential",
        [REFUSAL_BAD_CREDENTIAL] = "bad-credential",
        [REFUSAL_EXPIRED] = "expired",
        [REFUSAL_NOT_GRANTED] = "not-granted",
        [REFUSAL_FOREIGN_ORIGIN] = "foreign-origin",
        [REFUSAL_BAD_TICKET] = "bad-ticket",
        [REFUSAL_APPLICATION] = "application",
        [REFUSAL_UNDECIDED] = "undecided",
        [REFUSAL_LIMITED] = "limited",
    };
    return names[reason];
}

const char *limit_name(enum limit limit)
{
    static const char *const names[LIMITS] = {
        [LIMIT_STREAMS] = "streams",
        [LIMIT_STREAMS_PER_ADDRESS] = "streams-per-address",
        [LIMIT_STREAMS_PER_SUBJECT] = "streams-per-subject",
        [LIMIT_STREAM_RATE] = "stream-rate",
        [LIMIT_STREAM_RATE_PER_ADDRESS] = "stream-rate-per-address",
        [LIMIT_PUBLISH_RATE_PER_ADDRESS] = "publish-rate-per-address",
        [LIMIT_PUBLISH_RATE_PER_SUBJECT] = "publish-rate-per-subject",
    };
    return names[limit];
}

const char *route_label_name(enum route_label route)
{
    static const char *const names[ROUTE_LABELS] = {
        [ROUTE_EVENTS_PUBLISH] = "/events/publish",
        [ROUTE_EVENTS_STREAM] = "/events/stream",
        [ROUTE_BATCH] = "/batches/{id}",
        [ROUTE_BATCH_STREAM] = "/batches/{id}/stream",
        [ROUTE_GROUP_EVENTS] = "/streams/{stream}/groups/{group}/events",
        [ROUTE_GROUP_ACK] = "/streams/{stream}/groups/{group}/ack",
        [ROUTE_GROUP_NACK] = "/streams/{stream}/groups/{group}/nack",
        [ROUTE_METRICS] = "/metrics",
        [ROUTE_HEALTHZ] = "/healthz",
        [ROUTE_READYZ] = "/readyz",
        [ROUTE_PAGE] = "/",
        [ROUTE_STREAMS] = "/streams",
        [ROUTE_STREAM] = "/streams/{name}",
        [ROUTE_TICKETS] = "/tickets",
        [ROUTE_SUBSCRIBERS] = "/subscribers",
        [ROUTE_OTHER] = "other",
    };
    return names[route];
}

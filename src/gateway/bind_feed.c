/*
 * Redis' two connections, bound to hub, snapshot cache and figures.
 *
 * The cache's values are exact only while both hold: the feed brings messages and invalidations, and Redis
 * sends invalidations for what the commands connection has read. So the loss of either is the same to the
 * cache: from then on values serve plain reads until their TTL, and when both are there again everything is
 * forgotten, for it may have changed unseen.
 */
#include <string.h>

#include "base/clock.h"
#include "gateway/control.h"
#include "gateway/gateway_state.h"

static void update_redis_up(struct gateway *gateway)
{
    struct metrics *metrics = gateway->metrics;
    metrics->redis_up = metrics->feed_up && metrics->commands_up;
}

/* ---- feed → hub ---- */

static enum topic_kind topic_kind_of(enum feed_kind kind)
{
    return kind == FEED_PATTERN ? TOPIC_PATTERN : TOPIC_CHANNEL;
}

static void on_feed_up(void *context, int64_t client_id)
{
    struct gateway *gateway = context;
    gateway->feed_generation++;
    gateway->metrics->feed_up = true;
    update_redis_up(gateway);
    /* The cache forgets before viewers ask it anew, and what they make it read is tracked for this
     * connection. */
    commands_track_to(gateway->commands, client_id);
    snapshot_cache_feed_up(gateway->cache);
    hub_feed_up(gateway->hub);
    gateway_sinks_feed_up(gateway);
    control_feed_up(gateway->control);
}

static void on_feed_down(void *context, const char *reason)
{
    (void)reason; /* the link has logged it */
    struct gateway *gateway = context;
    gateway->metrics->feed_up = false;
    update_redis_up(gateway);
    commands_track_to(gateway->commands, 0);
    hub_feed_down(gateway->hub);
    snapshot_cache_feed_down(gateway->cache, clock_now_ms());
}

static void on_feed_confirmed(void *context, enum feed_kind kind, const char *name, size_t length)
{
    struct gateway *gateway = context;
    if (kind == FEED_CHANNEL && control_is_own_channel(name, length)) {
        control_confirmed(gateway->control);
        return;
    }
    hub_confirmed(gateway->hub, topic_kind_of(kind), name, length);
}

static void on_feed_refused(void *context, enum feed_kind kind, const char *name, size_t length,
                            const char *problem)
{
    struct gateway *gateway = context;
    if (kind == FEED_CHANNEL && control_is_own_channel(name, length)) {
        control_refused(gateway->control, problem);
        return;
    }
    hub_refused(gateway->hub, topic_kind_of(kind), name, length, problem);
    gateway_sinks_refused(gateway, kind, name, length, problem);
}

static void on_feed_message(void *context, enum feed_kind kind, const char *topic, size_t topic_length,
                            const char *channel, size_t channel_length, const char *payload,
                            size_t payload_length)
{
    struct gateway *gateway = context;
    if (kind == FEED_CHANNEL && control_is_own_channel(topic, topic_length)) {
        control_message(gateway->control, payload, payload_length);
        return;
    }
    hub_message(gateway->hub, topic_kind_of(kind), topic, topic_length, channel, channel_length, payload,
                payload_length);
    gateway_sinks_message(gateway, kind, topic, topic_length, payload, payload_length);
}

static void on_feed_fence(void *context, uint64_t token)
{
    struct gateway *gateway = context;
    hub_fence(gateway->hub, token);
}

static void on_feed_invalidate(void *context, const char *key, size_t length)
{
    struct gateway *gateway = context;
    size_t prefix = strlen(SNAPSHOT_KEY_PREFIX);
    if (!key)
        hub_invalidated(gateway->hub, NULL, 0);
    else if (length > prefix && memcmp(key, SNAPSHOT_KEY_PREFIX, prefix) == 0)
        hub_invalidated(gateway->hub, key + prefix, length - prefix);
}

static void on_feed_turn_end(void *context)
{
    struct gateway *gateway = context;
    hub_turn_end(gateway->hub);
}

struct feed_events gateway_feed_events(struct gateway *gateway)
{
    return (struct feed_events){
        .on_up = on_feed_up,
        .on_down = on_feed_down,
        .on_confirmed = on_feed_confirmed,
        .on_refused = on_feed_refused,
        .on_message = on_feed_message,
        .on_fence = on_feed_fence,
        .on_invalidate = on_feed_invalidate,
        .on_turn_end = on_feed_turn_end,
        .context = gateway,
    };
}

/* ---- commands: up and down ---- */

static void on_commands_up(void *context)
{
    struct gateway *gateway = context;
    gateway->metrics->commands_up = true;
    update_redis_up(gateway);
    if (feed_is_up(gateway->feed))
        snapshot_cache_feed_up(gateway->cache);
    gateway_sinks_commands_up(gateway);
    control_commands_up(gateway->control);
}

static void on_commands_down(void *context, const char *reason)
{
    (void)reason;
    struct gateway *gateway = context;
    gateway->metrics->commands_up = false;
    update_redis_up(gateway);
    snapshot_cache_feed_down(gateway->cache, clock_now_ms());
}

struct commands_events gateway_commands_events(struct gateway *gateway)
{
    return (
        struct commands_events){ .on_up = on_commands_up, .on_down = on_commands_down, .context = gateway };
}

/* ---- hub → feed and tail ---- */

static enum feed_kind feed_kind_of(enum topic_kind kind)
{
    return kind == TOPIC_PATTERN ? FEED_PATTERN : FEED_CHANNEL;
}

static bool subscribe(void *context, enum topic_kind kind, const char *name, size_t length)
{
    struct gateway *gateway = context;
    if (kind == TOPIC_STREAM)
        return gateway->tail && tail_watch(gateway->tail, name, length);
    return gateway->feed && feed_subscribe(gateway->feed, feed_kind_of(kind), name, length);
}

static bool unsubscribe(void *context, enum topic_kind kind, const char *name, size_t length)
{
    struct gateway *gateway = context;
    if (kind == TOPIC_STREAM) {
        if (gateway->tail)
            tail_unwatch(gateway->tail, name, length);
        return true;
    }
    if (gateway_sinks_want(gateway, feed_kind_of(kind), name, length))
        return true;
    return gateway->feed && feed_unsubscribe(gateway->feed, feed_kind_of(kind), name, length);
}

struct hub_source gateway_hub_source(struct gateway *gateway)
{
    return (struct hub_source){ .subscribe = subscribe,
                                .unsubscribe = unsubscribe,
                                .read_history = gateway_read_history,
                                .context = gateway };
}

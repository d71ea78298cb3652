/* Redis' connections of the main thread, bound to the dispatcher and to figures. */
#include <string.h>

#include "gateway/control.h"
#include "gateway/gateway_state.h"
#include "gateway/worker.h"

void gateway_update_redis_up(struct gateway *gateway, struct metrics *metrics)
{
    bool was_up = metrics->redis_up;
    metrics->redis_up = metrics->feed_up && metrics->commands_up;
    if (metrics->redis_up && !was_up)
        atomic_fetch_add(&gateway->threads_up, 1);
    else if (!metrics->redis_up && was_up)
        atomic_fetch_sub(&gateway->threads_up, 1);
}

static void update_redis_up(struct gateway *gateway)
{
    gateway_update_redis_up(gateway, gateway->metrics);
}

/* ---- feed → dispatcher ---- */

static enum topic_kind topic_kind_of(enum feed_kind kind)
{
    return kind == FEED_PATTERN ? TOPIC_PATTERN : TOPIC_CHANNEL;
}

static void on_feed_up(void *context, int64_t client_id)
{
    struct gateway *gateway = context;
    gateway->metrics->feed_up = true;
    update_redis_up(gateway);
    dispatcher_feed_up(gateway->dispatcher, client_id);
    gateway_sinks_feed_up(gateway);
    control_feed_up(gateway->control);
}

static void on_feed_down(void *context, const char *reason)
{
    (void)reason; /* the link has logged it */
    struct gateway *gateway = context;
    gateway->metrics->feed_up = false;
    update_redis_up(gateway);
    dispatcher_feed_down(gateway->dispatcher);
}

static void on_feed_confirmed(void *context, enum feed_kind kind, const char *name, size_t length)
{
    struct gateway *gateway = context;
    if (kind == FEED_CHANNEL && control_is_own_channel(name, length)) {
        control_confirmed(gateway->control);
        return;
    }
    dispatcher_confirmed(gateway->dispatcher, topic_kind_of(kind), name, length);
}

static void on_feed_refused(void *context, enum feed_kind kind, const char *name, size_t length,
                            const char *problem)
{
    struct gateway *gateway = context;
    if (kind == FEED_CHANNEL && control_is_own_channel(name, length)) {
        control_refused(gateway->control, problem);
        return;
    }
    dispatcher_refused(gateway->dispatcher, topic_kind_of(kind), name, length, problem);
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
    dispatcher_message(gateway->dispatcher, topic_kind_of(kind), topic, topic_length, channel, channel_length,
                       payload, payload_length);
    gateway_sinks_message(gateway, kind, topic, topic_length, payload, payload_length);
}

static void on_feed_fence(void *context, uint64_t token)
{
    struct gateway *gateway = context;
    dispatcher_fence(gateway->dispatcher, (unsigned)(token >> FENCE_PORT_SHIFT),
                     token & ((UINT64_C(1) << FENCE_PORT_SHIFT) - 1));
}

static void on_feed_invalidate(void *context, const char *key, size_t length)
{
    struct gateway *gateway = context;
    size_t prefix = strlen(SNAPSHOT_KEY_PREFIX);
    if (!key)
        dispatcher_invalidated(gateway->dispatcher, NULL, 0);
    else if (length > prefix && memcmp(key, SNAPSHOT_KEY_PREFIX, prefix) == 0)
        dispatcher_invalidated(gateway->dispatcher, key + prefix, length - prefix);
}

static void on_feed_turn_end(void *context)
{
    struct gateway *gateway = context;
    dispatcher_turn_end(gateway->dispatcher);
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
    gateway_sinks_commands_up(gateway);
    control_commands_up(gateway->control);
}

static void on_commands_down(void *context, const char *reason)
{
    (void)reason;
    struct gateway *gateway = context;
    gateway->metrics->commands_up = false;
    update_redis_up(gateway);
}

struct commands_events gateway_commands_events(struct gateway *gateway)
{
    return (
        struct commands_events){ .on_up = on_commands_up, .on_down = on_commands_down, .context = gateway };
}

/* ---- dispatcher → feed and tail ---- */

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

static void unsubscribe(void *context, enum topic_kind kind, const char *name, size_t length)
{
    struct gateway *gateway = context;
    if (kind == TOPIC_STREAM && gateway->tail)
        tail_unwatch(gateway->tail, name, length);
    /* False: it is going down, and comes back without this topic. */
    if (kind != TOPIC_STREAM && gateway->feed)
        (void)feed_unsubscribe(gateway->feed, feed_kind_of(kind), name, length);
}

struct dispatcher_source gateway_dispatcher_source(struct gateway *gateway)
{
    return (
        struct dispatcher_source){ .subscribe = subscribe, .unsubscribe = unsubscribe, .context = gateway };
}

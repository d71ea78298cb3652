/* Redis Streams: the tail brings new entries to the dispatcher, and tells the groups of sinks. */
#include "gateway/gateway_state.h"
#include "wire/entry.h"

static void on_watched(void *context, const char *stream, size_t length, struct entry_id last)
{
    struct gateway *gateway = context;
    dispatcher_watched(gateway->dispatcher, stream, length, last);
    groups_stream_changed(gateway->groups, stream, length);
}

static void on_refused(void *context, const char *stream, size_t length, const char *problem)
{
    struct gateway *gateway = context;
    /* Everybody's watch ended with it. */
    groups_stream_refused(gateway->groups, stream, length);
    dispatcher_refused(gateway->dispatcher, TOPIC_STREAM, stream, length, problem);
}

static void on_entry(void *context, const char *stream, size_t length, struct entry_id id,
                     const struct entry_field *fields, size_t field_count)
{
    struct gateway *gateway = context;
    struct buffer *json = &gateway->entry_json;
    buffer_reset(json);
    entry_append_json(json, fields, field_count);
    dispatcher_entry(gateway->dispatcher, stream, length, id, json->failed ? NULL : json->data, json->size);
    groups_stream_changed(gateway->groups, stream, length);
}

static void on_broken(void *context, const char *stream, size_t length, enum tail_break reason,
                      struct entry_id last)
{
    struct gateway *gateway = context;
    dispatcher_stream_broken(gateway->dispatcher, stream, length,
                             reason == TAIL_BREAK_TRIMMED ? GAP_TRIMMED : GAP_UNKNOWN_ID, last);
    groups_stream_changed(gateway->groups, stream, length);
}

static void on_turn_end(void *context)
{
    struct gateway *gateway = context;
    dispatcher_turn_end(gateway->dispatcher);
}

struct tail_events gateway_tail_events(struct gateway *gateway)
{
    return (struct tail_events){
        .on_watched = on_watched,
        .on_refused = on_refused,
        .on_entry = on_entry,
        .on_broken = on_broken,
        .on_turn_end = on_turn_end,
        .context = gateway,
    };
}

/* --- groups of sinks --- */

static struct dispatcher_wish wish_of(const char *stream, size_t length)
{
    return (struct dispatcher_wish){
        .kind = TOPIC_STREAM, .interest = INTEREST_GROUPS, .name = stream, .length = length
    };
}

static bool watch(void *context, const char *stream, size_t length)
{
    struct gateway *gateway = context;
    const struct dispatcher_wish wish = wish_of(stream, length);
    return gateway->tail && dispatcher_want(gateway->dispatcher, gateway->port, &wish);
}

static void unwatch(void *context, const char *stream, size_t length)
{
    struct gateway *gateway = context;
    const struct dispatcher_wish wish = wish_of(stream, length);
    if (gateway->tail)
        dispatcher_leave(gateway->dispatcher, gateway->port, &wish);
}

bool gateway_build_groups(struct gateway *gateway)
{
    const struct groups_source source = { .watch = watch, .unwatch = unwatch, .context = gateway };
    gateway->groups =
        groups_create(gateway->base, gateway->commands, &source, gateway->metrics, gateway->log);
    return gateway->groups != NULL;
}

#include "hub/dispatcher.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/map.h"
#include "hub/dispatcher_state.h"
#include "hub/snapshot_cache.h"

#define FLUSH_AGAIN_MS 10 /* while memory is short, or a port's thread is behind */

/* --- ports --- */

/* Events lost for want of memory or of time: the hub starts anew once it can be told so. */
static bool tell_of_loss(struct dispatcher *dispatcher, struct dispatcher_port *port)
{
    const struct hub_event event = { .kind = HUB_LOST,
                                     .sequence = dispatcher->sequence,
                                     .generation = dispatcher->generation,
                                     .client_id = dispatcher->client_id,
                                     .feed_up = dispatcher->feed_up };
    return hub_events_append(&port->events, &event);
}

static void flush_soon(struct dispatcher *dispatcher)
{
    event_active(dispatcher->flush, 0, 0);
}

/* What could not be told: there may be no other turn that it could go out with. */
static void flush_again(struct dispatcher *dispatcher)
{
    const struct timeval wait = { .tv_usec = FLUSH_AGAIN_MS * 1000 };
    if (event_add(dispatcher->flush, &wait) != 0)
        flush_soon(dispatcher);
}

/* False: it is lost. */
static bool keep(struct dispatcher_port *port, const struct hub_event *event)
{
    bool has_room = port->events.cost < DISPATCHER_PORT_BYTES_MAX;
    return has_room && hub_events_append(&port->events, event);
}

void dispatcher_tell(struct dispatcher *dispatcher, struct dispatcher_port *port, struct hub_event event)
{
    event.sequence = dispatcher->sequence;
    event.generation = dispatcher->generation;
    if (port->deliver && !port->has_lost && keep(port, &event))
        return;
    hub_event_release_kept(event.kept, event.kept_count);
    if (!port->deliver || port->has_lost)
        return;
    port->has_lost = true;
    dispatcher->metrics->worker_losses++;
    hub_events_clear(&port->events);
    flush_soon(dispatcher);
}

static void tell_all(struct dispatcher *dispatcher, const struct hub_event *event)
{
    for (unsigned i = 0; i < dispatcher->port_count; i++)
        dispatcher_tell(dispatcher, &dispatcher->ports[i], *event);
}

void dispatcher_tell_those_who_want(struct dispatcher *dispatcher, const struct dispatcher_topic *topic,
                                    struct hub_event *event)
{
    event->topic_kind = topic->kind;
    event->name = topic->name;
    event->name_length = topic->length;
    for (unsigned i = 0; i < dispatcher->port_count; i++)
        if ((event->interests = topic->interests[i]) != 0)
            dispatcher_tell(dispatcher, &dispatcher->ports[i], *event);
}

void dispatcher_turn_end(struct dispatcher *dispatcher)
{
    bool is_told = !dispatcher_publish_is_in_part(dispatcher);
    if (is_told)
        dispatcher_end_publish(dispatcher);
    /* Before any client can be given an id of it. */
    atomic_store_explicit(&dispatcher->newest, dispatcher->sequence, memory_order_release);
    for (unsigned i = 0; i < dispatcher->port_count; i++) {
        struct dispatcher_port *port = &dispatcher->ports[i];
        if (port->has_lost && tell_of_loss(dispatcher, port))
            port->has_lost = false;
        is_told &= !port->has_lost;
        if (port->events.size > 0)
            is_told &= port->deliver(port->context, &port->events);
    }
    if (!is_told)
        flush_again(dispatcher);
}

static void on_flush(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    dispatcher_turn_end(context);
}

uint64_t dispatcher_generation(const struct dispatcher *dispatcher)
{
    return dispatcher->generation;
}

uint64_t dispatcher_newest(const struct dispatcher *dispatcher)
{
    return atomic_load_explicit(&dispatcher->newest, memory_order_acquire);
}

/* --- life --- */

struct dispatcher *dispatcher_create(struct event_base *base, const struct dispatcher_options *options,
                                     const struct dispatcher_source *source, struct metrics *metrics)
{
    struct dispatcher *dispatcher = calloc(1, sizeof *dispatcher);
    if (!dispatcher)
        return NULL;
    dispatcher->options = *options;
    dispatcher->source = *source;
    dispatcher->metrics = metrics;
    list_init(&dispatcher->publish_topics);
    dispatcher->flush = event_new(base, -1, 0, on_flush, dispatcher);
    bool is_whole = dispatcher->flush != NULL;
    for (size_t kind = 0; kind < TOPIC_KINDS; kind++)
        is_whole &= (dispatcher->topics[kind] = map_create()) != NULL;
    if (is_whole)
        return dispatcher;
    dispatcher_destroy(dispatcher);
    return NULL;
}

void dispatcher_destroy(struct dispatcher *dispatcher)
{
    if (!dispatcher)
        return;
    /* All topics before any of the maps: with each that goes those that are left are counted. */
    for (size_t kind = 0; kind < TOPIC_KINDS; kind++)
        if (dispatcher->topics[kind])
            dispatcher_forget_topics(dispatcher, (enum topic_kind)kind);
    for (size_t kind = 0; kind < TOPIC_KINDS; kind++)
        map_destroy(dispatcher->topics[kind]);
    for (unsigned i = 0; i < dispatcher->port_count; i++)
        hub_events_clear(&dispatcher->ports[i].events);
    if (dispatcher->flush)
        event_free(dispatcher->flush);
    message_release(dispatcher->publish);
    free(dispatcher);
}

void dispatcher_set_options(struct dispatcher *dispatcher, const struct dispatcher_options *options)
{
    dispatcher->options = *options;
}

struct dispatcher_port *dispatcher_add_port(struct dispatcher *dispatcher, dispatcher_deliver *deliver,
                                            void *context)
{
    if (dispatcher->port_count == DISPATCHER_PORTS_MAX)
        return NULL;
    struct dispatcher_port *port = &dispatcher->ports[dispatcher->port_count];
    *port = (struct dispatcher_port){ .number = dispatcher->port_count++,
                                      .deliver = deliver,
                                      .context = context };
    if (deliver)
        dispatcher->hubs[dispatcher->hub_count++] = port;
    return port;
}

unsigned dispatcher_port_number(const struct dispatcher_port *port)
{
    return port->number;
}

/* --- what the hubs want --- */

/* Tells a port that comes later where a topic stands. */
static void tell_state(struct dispatcher *dispatcher, struct dispatcher_port *port,
                       const struct dispatcher_topic *topic, enum dispatcher_interest interest)
{
    struct hub_event event = { .topic_kind = topic->kind,
                               .interests = (uint8_t)interest,
                               .name = topic->name,
                               .name_length = topic->length };
    if (topic->kind == TOPIC_STREAM) {
        event.kind = HUB_WATCHED;
        event.entry = topic->last_entry;
    } else {
        event.kind = HUB_CONFIRMED;
        event.floor_reason = topic->ring.floor_reason;
        event.floor = topic->ring.floor;
        event.key_floor = topic->key_floor;
        event.kept = ring_copy(&topic->ring);
        event.kept_count = event.kept ? topic->ring.count : 0;
        if (!event.kept && topic->ring.count > 0) { /* memory is short: it begins here, then */
            event.floor = dispatcher->sequence;
            event.floor_reason = GAP_TRIMMED;
        }
    }
    dispatcher_tell(dispatcher, port, event);
    flush_soon(dispatcher);
}

static bool is_out_of_date(const struct dispatcher *dispatcher, const struct dispatcher_wish *wish)
{
    return wish->kind != TOPIC_STREAM && wish->generation != dispatcher->generation;
}

bool dispatcher_want(struct dispatcher *dispatcher, struct dispatcher_port *port,
                     const struct dispatcher_wish *wish)
{
    if (is_out_of_date(dispatcher, wish))
        return true; /* it has not heard yet that the feed went, and will ask again */
    struct dispatcher_topic *topic = map_get(dispatcher->topics[wish->kind], wish->name, wish->length);
    if (!topic) {
        topic = dispatcher_add_topic(dispatcher, wish);
        if (!topic)
            return false;
    } else if (topic->is_confirmed) {
        tell_state(dispatcher, port, topic, wish->interest);
    }
    topic->again |= wish->again;
    topic->interests[port->number] |= (uint8_t)wish->interest;
    return true;
}

void dispatcher_leave(struct dispatcher *dispatcher, struct dispatcher_port *port,
                      const struct dispatcher_wish *wish)
{
    struct dispatcher_topic *topic = map_get(dispatcher->topics[wish->kind], wish->name, wish->length);
    if (!topic || is_out_of_date(dispatcher, wish))
        return;
    topic->interests[port->number] &= (uint8_t)~wish->interest;
    if (topic->is_confirmed)
        dispatcher_drop_if_unwanted(dispatcher, topic);
}

void dispatcher_refuse(struct dispatcher *dispatcher, struct dispatcher_port *port,
                       const struct dispatcher_wish *wish, const char *problem)
{
    dispatcher_tell(dispatcher, port,
                    (struct hub_event){ .kind = HUB_REFUSED,
                                        .topic_kind = wish->kind,
                                        .name = wish->name,
                                        .name_length = wish->length,
                                        .problem = problem,
                                        .problem_length = strlen(problem) + 1 });
    flush_soon(dispatcher);
}

void dispatcher_put_off(struct dispatcher *dispatcher, struct dispatcher_port *port,
                        const struct dispatcher_wish *wish)
{
    dispatcher_tell(
        dispatcher, port,
        (struct hub_event){
            .kind = HUB_PUT_OFF, .topic_kind = wish->kind, .name = wish->name, .name_length = wish->length });
    flush_soon(dispatcher);
}

void dispatcher_catch_up(struct dispatcher *dispatcher, struct dispatcher_port *port)
{
    dispatcher_tell(dispatcher, port, (struct hub_event){ .kind = HUB_CAUGHT_UP });
    flush_soon(dispatcher);
}

/* --- the feed --- */

void dispatcher_feed_up(struct dispatcher *dispatcher, int64_t client_id)
{
    dispatcher->feed_up = true;
    dispatcher->client_id = client_id;
    dispatcher->generation++;
    /* The loss takes a number, so that every older cursor is below the floors. */
    dispatcher->up_sequence = ++dispatcher->sequence;
    tell_all(dispatcher, &(struct hub_event){ .kind = HUB_FEED_UP, .client_id = client_id });
    flush_soon(dispatcher);
}

void dispatcher_feed_down(struct dispatcher *dispatcher)
{
    dispatcher->feed_up = false;
    dispatcher->generation++;
    dispatcher_end_publish(dispatcher);
    dispatcher_forget_topics(dispatcher, TOPIC_CHANNEL);
    dispatcher_forget_topics(dispatcher, TOPIC_PATTERN);
    tell_all(dispatcher, &(struct hub_event){ .kind = HUB_FEED_DOWN });
    flush_soon(dispatcher);
}

void dispatcher_confirmed(struct dispatcher *dispatcher, enum topic_kind kind, const char *name,
                          size_t length)
{
    struct dispatcher_topic *topic = map_get(dispatcher->topics[kind], name, length);
    if (!topic || topic->is_confirmed)
        return;
    dispatcher_end_publish(dispatcher);
    topic->is_confirmed = true;
    if (dispatcher_drop_if_unwanted(dispatcher, topic))
        return;
    if (topic->again) {
        ring_clear(&topic->ring, dispatcher->up_sequence, GAP_REDIS_RECONNECT);
    } else {
        /* Older cursors know nothing of what this topic missed while it was not subscribed. */
        ring_clear(&topic->ring, ++dispatcher->sequence, GAP_TRIMMED);
    }
    dispatcher_tell_those_who_want(dispatcher, topic,
                                   &(struct hub_event){ .kind = HUB_CONFIRMED,
                                                        .floor = topic->ring.floor,
                                                        .floor_reason = topic->ring.floor_reason });
}

void dispatcher_refused(struct dispatcher *dispatcher, enum topic_kind kind, const char *name, size_t length,
                        const char *problem)
{
    struct dispatcher_topic *topic = map_get(dispatcher->topics[kind], name, length);
    if (!topic)
        return;
    if (kind != TOPIC_STREAM)
        dispatcher_end_publish(dispatcher);
    dispatcher_tell_those_who_want(dispatcher, topic,
                                   &(struct hub_event){ .kind = HUB_REFUSED,
                                                        .problem = problem,
                                                        .problem_length = strlen(problem) + 1 });
    dispatcher_forget_topic(dispatcher, topic);
    flush_soon(dispatcher);
}

void dispatcher_fence(struct dispatcher *dispatcher, unsigned port_number, uint64_t token)
{
    dispatcher_end_publish(dispatcher);
    if (port_number < dispatcher->port_count)
        dispatcher_tell(dispatcher, &dispatcher->ports[port_number],
                        (struct hub_event){ .kind = HUB_FENCE, .token = token });
}

/* False when memory is short. */
static bool note_change_of(struct dispatcher *dispatcher, const char *batch_id, size_t length)
{
    struct buffer name = { 0 };
    buffer_append_text(&name, BATCH_CHANNEL_PREFIX);
    buffer_append(&name, batch_id, length);
    struct dispatcher_topic *topic =
        name.failed ? NULL : map_get(dispatcher->topics[TOPIC_CHANNEL], name.data, name.size);
    if (topic)
        topic->key_floor = dispatcher->sequence;
    buffer_free(&name);
    return !name.failed;
}

static void note_change(struct dispatcher *dispatcher, const char *batch_id, size_t length)
{
    size_t cursor = 0;
    struct dispatcher_topic *topic;
    if (batch_id && note_change_of(dispatcher, batch_id, length))
        return;
    while ((topic = map_next(dispatcher->topics[TOPIC_CHANNEL], &cursor)) != NULL)
        topic->key_floor = dispatcher->sequence;
}

void dispatcher_invalidated(struct dispatcher *dispatcher, const char *batch_id, size_t length)
{
    dispatcher_end_publish(dispatcher);
    note_change(dispatcher, batch_id, length);
    tell_all(dispatcher,
             &(struct hub_event){ .kind = HUB_INVALIDATED, .name = batch_id, .name_length = length });
}

/* --- the tail --- */

void dispatcher_watched(struct dispatcher *dispatcher, const char *stream, size_t length,
                        struct entry_id last)
{
    struct dispatcher_topic *topic = map_get(dispatcher->topics[TOPIC_STREAM], stream, length);
    if (!topic || topic->is_confirmed)
        return;
    topic->is_confirmed = true;
    topic->last_entry = last;
    if (dispatcher_drop_if_unwanted(dispatcher, topic))
        return;
    dispatcher_tell_those_who_want(dispatcher, topic,
                                   &(struct hub_event){ .kind = HUB_WATCHED, .entry = last });
    flush_soon(dispatcher);
}

void dispatcher_entry(struct dispatcher *dispatcher, const char *stream, size_t length, struct entry_id id,
                      const char *json, size_t json_length)
{
    struct dispatcher_topic *topic = map_get(dispatcher->topics[TOPIC_STREAM], stream, length);
    if (!topic || !topic->is_confirmed)
        return;
    dispatcher->metrics->stream_entries++;
    dispatcher->sequence++;
    topic->last_entry = id;
    struct message *message = json ? message_create(stream, length, json, json_length) : NULL;
    if (message) {
        message->sequence = dispatcher->sequence;
        message->received_ns = clock_now_ns();
        message->entry = id;
    }
    dispatcher_tell_those_who_want(dispatcher, topic,
                                   &(struct hub_event){ .kind = HUB_ENTRY, .message = message, .entry = id });
    message_release(message);
}

void dispatcher_stream_broken(struct dispatcher *dispatcher, const char *stream, size_t length,
                              enum gap_reason reason, struct entry_id last)
{
    struct dispatcher_topic *topic = map_get(dispatcher->topics[TOPIC_STREAM], stream, length);
    if (!topic || !topic->is_confirmed)
        return;
    topic->last_entry = last;
    dispatcher_tell_those_who_want(
        dispatcher, topic,
        &(struct hub_event){ .kind = HUB_STREAM_BROKEN, .floor_reason = reason, .entry = last });
    flush_soon(dispatcher);
}

#include "consumers/sink_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "consumers/sink_headers.h"
#include "consumers/sink_outlet.h"

#define TICK_MS 1000
#define JOIN_RETRY_MS 5000 /* after the group had refused us */
#define TOUCHES_PER_IDLE 3 /* so often is told that an entry is still being worked on */
#define HELD_PER_REQUEST 4 /* entries held for each request at a time: some wait for their next attempt */
#define IDS_PER_COMMAND 128

struct sink_stream {
    const struct sink_options *options;
    struct groups *groups; /* NULL once stopped */
    struct sink_figures *figures;
    struct log *log;
    struct log_limiter limiter;
    struct outlet *outlet;
    struct group_consumer *consumer; /* NULL: to be made again at join_at_ms */
    uint64_t join_at_ms;
    uint64_t touch_at_ms;
    struct list held;
    struct event *tick;
    bool draining;
};

enum held_state {
    HELD_POSTED,   /* the outlet has it */
    HELD_ACKING,   /* delivered; Redis has been told */
    HELD_UNACKED,  /* delivered; Redis has to be told again */
    HELD_RETURNED, /* given back; Redis has been told */
};

struct held {
    struct list node;
    struct sink_stream *sink;
    struct entry_id id;
    uint64_t deliveries;
    enum held_state state;
};

/* The name goes from the group while Redis can still be told. */
static void leave_when_empty(struct sink_stream *sink)
{
    if (!sink->draining || !sink->consumer || !list_empty(&sink->held))
        return;
    group_consumer_leave(sink->consumer);
    sink->consumer = NULL;
}

static void let_go(struct held *held)
{
    struct sink_stream *sink = held->sink;
    sink->figures->held--;
    list_remove(&held->node);
    free(held);
    leave_when_empty(sink);
}

static struct held *find_held(const struct sink_stream *sink, struct entry_id id)
{
    for (struct list *node = sink->held.next; node != &sink->held; node = node->next) {
        struct held *held = LIST_OWNER(node, struct held, node);
        if (entry_id_compare(held->id, id) == 0)
            return held;
    }
    return NULL;
}

/* ---- the group is told ---- */

static void on_acked(void *context, enum group_ids_status status, const bool *done, size_t count,
                     const char *problem)
{
    (void)done;
    (void)count;
    struct held *held = context;
    if (status == GROUP_IDS_UNAVAILABLE) {
        held->state = HELD_UNACKED;
        return;
    }
    if (status == GROUP_IDS_REFUSED)
        LOG_WARN(held->sink->log, "redis refused an acknowledgement",
                 LOG_TEXT("sink", held->sink->options->name), LOG_TEXT("problem", problem));
    let_go(held);
}

static void acknowledge(struct held *held)
{
    struct sink_stream *sink = held->sink;
    held->state = HELD_ACKING;
    bool is_asked;
    if (sink->consumer) {
        is_asked = group_consumer_ack(sink->consumer, &held->id, 1, on_acked, held);
    } else {
        const struct group_ids ids = {
            .stream = sink->options->topic,
            .stream_length = strlen(sink->options->topic),
            .group = sink->options->group,
            .group_length = strlen(sink->options->group),
            .ids = &held->id,
            .count = 1,
        };
        is_asked = groups_ack(sink->groups, &ids, on_acked, held);
    }
    if (!is_asked)
        held->state = HELD_UNACKED;
}

/* Without memory, or without a consumer, an entry stays pending and comes again after idle_ms. */
static void give_up(struct held *held, const char *reason)
{
    struct sink_stream *sink = held->sink;
    if (sink->consumer && group_consumer_bury(sink->consumer, held->id, reason ? reason : "failed"))
        sink->figures->dead++;
    let_go(held);
}

static void on_given_back(void *context, enum group_ids_status status, const bool *done, size_t count,
                          const char *problem)
{
    (void)status;
    (void)done;
    (void)count;
    (void)problem;
    let_go(context);
}

/* Held until Redis has answered: a process that ends before may have said nothing but the script's name. */
static void give_back(struct held *held)
{
    struct sink_stream *sink = held->sink;
    sink->figures->returned++;
    held->state = HELD_RETURNED;
    if (!sink->consumer || !group_consumer_nack(sink->consumer, &held->id, 1, on_given_back, held))
        let_go(held);
}

static void on_posted(void *context, enum outlet_end end, const char *reason)
{
    struct held *held = context;
    switch (end) {
    case OUTLET_DELIVERED:
        held->sink->figures->delivered++;
        acknowledge(held);
        return;
    case OUTLET_REFUSED:
        give_up(held, reason);
        return;
    case OUTLET_EXHAUSTED:
        if (held->deliveries >= held->sink->options->max_deliveries) {
            give_up(held, reason);
            return;
        }
        break;
    case OUTLET_STOPPED:
        break;
    }
    give_back(held);
}

/* ---- the group tells ---- */

/* Of the stream's name, or what a field `event` says. */
static void find_event(const struct sink_stream *sink, const struct group_entry *entry,
                       struct outlet_message *message)
{
    static const char field_name[] = "event";
    message->event = sink_event_of_topic(sink->options->topic);
    if (message->event) {
        message->event_length = strlen(message->event);
        return;
    }
    for (size_t i = 0; i < entry->field_count; i++) {
        const struct entry_field *field = &entry->fields[i];
        if (field->name_length == strlen(field_name) &&
            memcmp(field->name, field_name, field->name_length) == 0) {
            message->event = field->value;
            message->event_length = field->value_length;
            return;
        }
    }
}

static void on_entry(void *context, const struct group_entry *entry)
{
    struct sink_stream *sink = context;
    struct held *held = find_held(sink, entry->id);
    if (held) {
        held->deliveries = entry->deliveries; /* passed for abandoned, but is not */
        return;
    }
    char id[SINK_NAME_MAX + 1 + ENTRY_ID_LENGTH_MAX], entry_id[ENTRY_ID_LENGTH_MAX];
    entry_id_format(entry->id, entry_id);
    snprintf(id, sizeof(id), "%s-%s", sink->options->name, entry_id);
    struct outlet_message message = {
        .id = id,
        .body = entry->json,
        .body_length = entry->json_length,
        .failures = (entry->deliveries - 1) * (sink->options->retries + 1),
    };
    find_event(sink, entry, &message);
    held = calloc(1, sizeof(*held));
    if (!held)
        return; /* comes again after idle_ms */
    *held = (struct held){ .sink = sink, .id = entry->id, .deliveries = entry->deliveries };
    if (!outlet_post(sink->outlet, &message, on_posted, held)) {
        free(held);
        return;
    }
    list_append(&sink->held, &held->node);
    sink->figures->held++;
}

static void on_gap(void *context, const char *reason, uint64_t missing)
{
    struct sink_stream *sink = context;
    LOG_WARN(sink->log, "entries are gone from redis before a sink was done with them",
             LOG_TEXT("sink", sink->options->name), LOG_TEXT("reason", reason),
             LOG_NUMBER("missing", missing));
}

static void on_ended(void *context, enum consumer_end end, const char *problem)
{
    struct sink_stream *sink = context;
    sink->consumer = NULL;
    sink->join_at_ms = clock_now_ms() + JOIN_RETRY_MS;
    log_event_limited(
        sink->log, &sink->limiter, LOG_LEVEL_WARN,
        end == CONSUMER_END_WRONG_TYPE ? "a sink's key is no stream" : "a sink cannot read its stream",
        (const struct log_field[]){ LOG_TEXT("sink", sink->options->name),
                                    LOG_TEXT("stream", sink->options->topic), LOG_TEXT("problem", problem) },
        3);
}

static size_t prefetch_of(const struct sink_options *options)
{
    return options->concurrency == 1 ? 1 : options->concurrency * HELD_PER_REQUEST;
}

/* False when memory is short. */
static bool join(struct sink_stream *sink)
{
    const struct sink_options *options = sink->options;
    const struct consumer_request request = {
        .stream = options->topic,
        .stream_length = strlen(options->topic),
        .group = options->group,
        .group_length = strlen(options->group),
        .consumer = options->instance,
        .consumer_length = strlen(options->instance),
        .start = options->start,
        .prefetch = prefetch_of(options),
        .idle_ms = options->idle_ms,
        .max_deliveries = options->max_deliveries,
    };
    const struct consumer_events events = {
        .on_entry = on_entry, .on_gap = on_gap, .on_ended = on_ended, .context = sink
    };
    sink->consumer = groups_consume(sink->groups, &request, &events);
    if (!sink->consumer)
        return false;
    group_consumer_start(sink->consumer);
    return true;
}

/* ---- now and then ---- */

static void touch_held(struct sink_stream *sink)
{
    struct entry_id ids[IDS_PER_COMMAND];
    size_t count = 0;
    for (struct list *node = sink->held.next; node != &sink->held; node = node->next) {
        const struct held *held = LIST_OWNER(node, struct held, node);
        if (held->state != HELD_RETURNED)
            ids[count++] = held->id;
        if (count == 0 || (count < IDS_PER_COMMAND && node->next != &sink->held))
            continue;
        (void)group_consumer_touch(sink->consumer, ids, count); /* next time again */
        count = 0;
    }
}

static void on_tick(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct sink_stream *sink = context;
    uint64_t now_ms = clock_now_ms();
    if (!sink->consumer && !sink->draining && now_ms >= sink->join_at_ms && !join(sink))
        sink->join_at_ms = now_ms + JOIN_RETRY_MS;
    for (struct list *node = sink->held.next; node != &sink->held; node = node->next) {
        struct held *held = LIST_OWNER(node, struct held, node);
        if (held->state == HELD_UNACKED)
            acknowledge(held);
    }
    if (sink->consumer && now_ms >= sink->touch_at_ms) {
        touch_held(sink);
        sink->touch_at_ms = now_ms + sink->options->idle_ms / TOUCHES_PER_IDLE;
    }
}

/* ---- life ---- */

struct sink_stream *sink_stream_create(struct event_base *base, const struct sink_options *options,
                                       struct groups *groups, struct sink_figures *figures, struct log *log)
{
    struct sink_stream *sink = calloc(1, sizeof(*sink));
    if (!sink)
        return NULL;
    const struct timeval interval = { .tv_sec = TICK_MS / 1000, .tv_usec = TICK_MS % 1000 * 1000 };
    sink->options = options;
    sink->groups = groups;
    sink->figures = figures;
    sink->log = log;
    list_init(&sink->held);
    sink->outlet = outlet_create(base, options, figures, log);
    sink->tick = event_new(base, -1, EV_PERSIST, on_tick, sink);
    if (sink->outlet && sink->tick && event_add(sink->tick, &interval) == 0 && join(sink))
        return sink;
    sink_stream_stop(sink);
    sink_stream_destroy(sink);
    return NULL;
}

void sink_stream_drain(struct sink_stream *sink)
{
    sink->draining = true;
    if (sink->consumer)
        group_consumer_pause(sink->consumer);
    outlet_drain(sink->outlet);
    leave_when_empty(sink);
}

size_t sink_stream_held(const struct sink_stream *sink)
{
    return sink->figures->held;
}

void sink_stream_stop(struct sink_stream *sink)
{
    outlet_destroy(sink->outlet);
    sink->outlet = NULL;
    if (sink->tick)
        event_free(sink->tick);
    sink->tick = NULL;
    if (sink->consumer)
        group_consumer_leave(sink->consumer);
    sink->consumer = NULL;
    sink->groups = NULL;
}

void sink_stream_destroy(struct sink_stream *sink)
{
    if (!sink)
        return;
    struct list *first;
    while ((first = list_first(&sink->held)) != NULL)
        let_go(LIST_OWNER(first, struct held, node));
    free(sink);
}

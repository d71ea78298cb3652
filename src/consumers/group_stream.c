#include "consumers/group_stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "wire/sse.h"

struct group_stream {
    struct hub *hub;
    struct group_consumer *consumer; /* NULL when it has ended */
    struct subscriber *subscriber;   /* NULL until open */
    struct private_stream owner;
    bool is_attached;
    enum consumer_end end; /* why there is no consumer any more */
    group_stream_opened *opened;
    void *context;
};

/* --- to the client ------------------------------------------------------------------------------------- */

/* False when the client is about to go: it was too slow, or memory is short, and then it is better off coming
 * back than waiting for what it was not told. */
static bool send_event(struct group_stream *stream, const char *name, const char *id, size_t id_length,
                       const struct buffer *data)
{
    const struct sse_event event = { .id = id,
                                     .id_length = id_length,
                                     .name = name,
                                     .name_length = name ? strlen(name) : 0,
                                     .data = data->data,
                                     .data_length = data->size };
    struct buffer frame = { 0 };
    sse_append_event(&frame, &event);
    bool is_whole = !data->failed && !frame.failed;
    bool sent = is_whole && hub_send_private(stream->hub, stream->subscriber, frame.data, frame.size);
    buffer_free(&frame);
    if (!is_whole)
        hub_end_private(stream->hub, stream->subscriber, NULL);
    return sent;
}

static void on_entry(void *context, const struct group_entry *entry)
{
    struct group_stream *stream = context;
    char id[ENTRY_ID_LENGTH_MAX];
    size_t id_length = entry_id_format(entry->id, id);
    struct buffer data = { 0 };
    buffer_printf(&data, "{\"id\":\"%s\",\"deliveries\":%" PRIu64 ",\"data\":", id, entry->deliveries);
    buffer_append(&data, entry->json, entry->json_length);
    buffer_append_byte(&data, '}');
    bool sent = send_event(stream, NULL, id, id_length, &data);
    buffer_free(&data);
    /* A client that is about to go does not get it, others do. Without memory to say so they wait. */
    if (!sent)
        (void)group_consumer_release(stream->consumer, &entry->id, 1);
    /* One that does not keep up gets the next when it has taken this one. */
    if (!sent || hub_private_waits(stream->subscriber))
        group_consumer_pause(stream->consumer);
}

static void on_gap(void *context, const char *reason, uint64_t missing)
{
    struct group_stream *stream = context;
    if (!stream->is_attached)
        return;
    struct buffer data = { 0 };
    buffer_printf(&data, "{\"reason\":\"%s\"", reason);
    if (missing > 0)
        buffer_printf(&data, ",\"missing\":%" PRIu64, missing);
    buffer_append_byte(&data, '}');
    send_event(stream, "gap", NULL, 0, &data);
    buffer_free(&data);
}

static const char *end_reason(enum consumer_end end)
{
    switch (end) {
    case CONSUMER_END_REPLACED:
        return "replaced";
    case CONSUMER_END_WRONG_TYPE:
        return "wrong-type";
    case CONSUMER_END_REFUSED:
        break;
    }
    return "not-permitted";
}

static void end_stream(struct group_stream *stream)
{
    hub_end_private(stream->hub, stream->subscriber, end_reason(stream->end));
}

/* --- the hub's events ---------------------------------------------------------------------------------- */

static void on_attached(void *context)
{
    struct group_stream *stream = context;
    stream->is_attached = true;
    if (stream->consumer)
        group_consumer_start(stream->consumer);
    else
        end_stream(stream);
}

static void on_room(void *context)
{
    struct group_stream *stream = context;
    if (stream->consumer)
        group_consumer_start(stream->consumer);
}

static void on_gone(void *context)
{
    struct group_stream *stream = context;
    if (stream->consumer)
        group_consumer_leave(stream->consumer);
    free(stream);
}

/* --- opening ------------------------------------------------------------------------------------------- */

/* The stream is gone when this returns. */
static void fail(struct group_stream *stream, enum group_stream_status status, const char *problem)
{
    if (stream->consumer)
        group_consumer_leave(stream->consumer);
    stream->opened(stream->context, status, NULL, problem);
    free(stream);
}

static void on_ready(void *context)
{
    struct group_stream *stream = context;
    switch (hub_open_private(stream->hub, &stream->owner, &stream->subscriber)) {
    case HUB_OPEN_OK:
        stream->opened(stream->context, GROUP_STREAM_OPEN, stream->subscriber, NULL);
        break;
    case HUB_OPEN_FULL:
        fail(stream, GROUP_STREAM_FULL, NULL);
        break;
    case HUB_OPEN_DRAINING:
        fail(stream, GROUP_STREAM_DRAINING, NULL);
        break;
    case HUB_OPEN_NO_MEMORY:
        fail(stream, GROUP_STREAM_NO_MEMORY, NULL);
        break;
    }
}

static void on_ended(void *context, enum consumer_end end, const char *problem)
{
    static const enum group_stream_status statuses[] = {
        [CONSUMER_END_REPLACED] = GROUP_STREAM_REPLACED,
        [CONSUMER_END_WRONG_TYPE] = GROUP_STREAM_WRONG_TYPE,
        [CONSUMER_END_REFUSED] = GROUP_STREAM_REFUSED,
    };
    struct group_stream *stream = context;
    stream->consumer = NULL;
    stream->end = end;
    if (!stream->subscriber)
        fail(stream, statuses[end], problem);
    else if (stream->is_attached)
        end_stream(stream);
}

struct group_stream *group_stream_open(struct hub *hub, struct groups *groups,
                                       const struct consumer_request *request, group_stream_opened *opened,
                                       void *context)
{
    struct group_stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return NULL;
    stream->hub = hub;
    stream->opened = opened;
    stream->context = context;
    stream->owner = (struct private_stream){
        .on_attached = on_attached, .on_room = on_room, .on_gone = on_gone, .context = stream
    };
    const struct consumer_events events = {
        .on_ready = on_ready, .on_entry = on_entry, .on_gap = on_gap, .on_ended = on_ended, .context = stream
    };
    stream->consumer = groups_consume(groups, request, &events);
    if (stream->consumer)
        return stream;
    free(stream);
    return NULL;
}

void group_stream_cancel(struct group_stream *stream)
{
    if (stream->consumer)
        group_consumer_leave(stream->consumer);
    free(stream);
}

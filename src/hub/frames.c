#include "hub/frames.h"

#include <string.h>

#include "wire/cursor.h"
#include "wire/sse.h"

static void append_event(struct buffer *out, const struct cursor *cursor, const char *name,
                         size_t name_length, const char *data, size_t data_length)
{
    char id[CURSOR_LENGTH_MAX];
    struct sse_event event = {
        .id = id,
        .id_length = cursor_format(cursor, id),
        .name = name,
        .name_length = name_length,
        .data = data,
        .data_length = data_length,
    };
    sse_append_event(out, &event);
}

static void append_envelope(struct buffer *out, const struct cursor *cursor, const struct message *message)
{
    struct buffer data = { 0 };
    payload_append_envelope(&data, message_channel(message), message->channel_length,
                            message_payload(message), message->payload_length);
    if (data.failed)
        out->failed = true;
    else
        append_event(out, cursor, NULL, 0, data.data, data.size);
    buffer_free(&data);
}

void frames_append_message(struct buffer *out, enum stream_format format, uint64_t epoch,
                           const struct message *message)
{
    struct cursor cursor = { .epoch = epoch, .sequence = message->sequence };
    const char *payload = message_payload(message);
    switch (format) {
    case STREAM_RAW:
        append_event(out, &cursor, NULL, 0, payload, message->payload_length);
        break;
    case STREAM_ENVELOPE:
        append_envelope(out, &cursor, message);
        break;
    case STREAM_NAMED:
        append_event(out, &cursor, message_channel(message), message->channel_length, payload,
                     message->payload_length);
        break;
    case STREAM_BATCH:
        frames_append_progress(out, epoch, message->sequence, payload, message->payload_length,
                               message->kind);
        break;
    case STREAM_FORMATS:
        break;
    }
}

void frames_append_progress(struct buffer *out, uint64_t epoch, uint64_t sequence, const char *payload,
                            size_t length, enum payload_kind kind)
{
    struct cursor cursor = { .epoch = epoch, .sequence = sequence };
    append_event(out, &cursor, "progress", strlen("progress"), payload, length);
    if (kind == PAYLOAD_TERMINAL)
        frames_append_complete(out, epoch, sequence, payload, length);
}

void frames_append_complete(struct buffer *out, uint64_t epoch, uint64_t sequence, const char *payload,
                            size_t length)
{
    struct cursor cursor = { .epoch = epoch, .sequence = sequence, .complete = true };
    append_event(out, &cursor, "complete", strlen("complete"), payload, length);
}

void frames_append_gap(struct buffer *out, uint64_t epoch, uint64_t sequence, enum gap_reason reason)
{
    struct cursor cursor = { .epoch = epoch, .sequence = sequence };
    struct buffer data = { 0 };
    buffer_printf(&data, "{\"reason\":\"%s\"}", gap_reason_name(reason));
    if (data.failed)
        out->failed = true;
    else
        append_event(out, &cursor, "gap", strlen("gap"), data.data, data.size);
    buffer_free(&data);
}

void frames_append_refused(struct buffer *out, const char *reason)
{
    struct buffer data = { 0 };
    buffer_append_text(&data, "{\"reason\":");
    buffer_append_json_string(&data, reason, strlen(reason));
    buffer_append_byte(&data, '}');
    struct sse_event event = {
        .name = "refused", .name_length = strlen("refused"), .data = data.data, .data_length = data.size
    };
    if (data.failed)
        out->failed = true;
    else
        sse_append_event(out, &event);
    buffer_free(&data);
}

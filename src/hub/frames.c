#include "hub/frames.h"

#include <inttypes.h>
#include <string.h>

#include "wire/cursor.h"
#include "wire/sse.h"

static void append_event(struct buffer *out, const char *id, size_t id_length, const char *name,
                         size_t name_length, const char *data, size_t data_length)
{
    struct sse_event event = {
        .id = id,
        .id_length = id_length,
        .name = name,
        .name_length = name_length,
        .data = data,
        .data_length = data_length,
    };
    sse_append_event(out, &event);
}

/* An entry's envelope needs no look at the payload: it was made by us (wire/entry.h). */
static void append_entry_envelope(struct buffer *out, const struct message *message)
{
    char id[ENTRY_ID_LENGTH_MAX];
    buffer_append_text(out, "{\"stream\":");
    buffer_append_json_string(out, message_channel(message), message->channel_length);
    buffer_append_text(out, ",\"id\":\"");
    buffer_append(out, id, entry_id_format(message->entry, id));
    buffer_append_text(out, "\",\"data\":");
    buffer_append(out, message_payload(message), message->payload_length);
    buffer_append_byte(out, '}');
}

static void append_envelope(struct buffer *out, const char *id, size_t id_length,
                            const struct message *message)
{
    struct buffer data = { 0 };
    if (message_is_entry(message))
        append_entry_envelope(&data, message);
    else
        payload_append_envelope(&data, message_channel(message), message->channel_length,
                                message_payload(message), message->payload_length);
    if (data.failed)
        out->failed = true;
    else
        append_event(out, id, id_length, NULL, 0, data.data, data.size);
    buffer_free(&data);
}

void frames_append_message(struct buffer *out, unsigned variant, uint64_t epoch,
                           const struct message *message)
{
    _Static_assert(ENTRY_ID_LENGTH_MAX <= CURSOR_LENGTH_MAX, "one buffer does for both kinds of id");
    char text[CURSOR_LENGTH_MAX];
    const char *id = NULL;
    size_t id_length = 0;
    if (variant < STREAM_FORMATS) {
        struct cursor cursor = { .epoch = epoch, .sequence = message->sequence };
        id = text;
        id_length =
            message_is_entry(message) ? entry_id_format(message->entry, text) : cursor_format(&cursor, text);
    }
    const char *payload = message_payload(message);
    switch ((enum stream_format)(variant % STREAM_FORMATS)) {
    case STREAM_RAW:
        append_event(out, id, id_length, NULL, 0, payload, message->payload_length);
        break;
    case STREAM_ENVELOPE:
        append_envelope(out, id, id_length, message);
        break;
    case STREAM_NAMED:
        append_event(out, id, id_length, message_channel(message), message->channel_length, payload,
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

static void append_batch_event(struct buffer *out, const struct cursor *cursor, const char *name,
                               const char *payload, size_t length)
{
    char id[CURSOR_LENGTH_MAX];
    append_event(out, id, cursor_format(cursor, id), name, strlen(name), payload, length);
}

void frames_append_progress(struct buffer *out, uint64_t epoch, uint64_t sequence, const char *payload,
                            size_t length, enum payload_kind kind)
{
    struct cursor cursor = { .epoch = epoch, .sequence = sequence };
    append_batch_event(out, &cursor, "progress", payload, length);
    if (kind == PAYLOAD_TERMINAL)
        frames_append_complete(out, epoch, sequence, payload, length);
}

void frames_append_complete(struct buffer *out, uint64_t epoch, uint64_t sequence, const char *payload,
                            size_t length)
{
    struct cursor cursor = { .epoch = epoch, .sequence = sequence, .complete = true };
    append_batch_event(out, &cursor, "complete", payload, length);
}

void frames_append_gap(struct buffer *out, const char *id, size_t id_length, enum gap_reason reason,
                       const struct stream_gap *stream)
{
    struct buffer data = { 0 };
    buffer_printf(&data, "{\"reason\":\"%s\"", gap_reason_name(reason));
    if (stream) {
        buffer_append_text(&data, ",\"stream\":");
        buffer_append_json_string(&data, stream->stream, stream->length);
        char first[ENTRY_ID_LENGTH_MAX];
        entry_id_format(stream->first, first);
        if (stream->first.ms || stream->first.sequence)
            buffer_printf(&data, ",\"first\":\"%s\"", first);
        if (stream->missing > 0)
            buffer_printf(&data, ",\"missing\":%" PRIu64, stream->missing);
    }
    buffer_append_byte(&data, '}');
    if (data.failed)
        out->failed = true;
    else
        append_event(out, id, id_length, "gap", strlen("gap"), data.data, data.size);
    buffer_free(&data);
}

static void append_reason(struct buffer *out, const char *name, const char *reason)
{
    struct buffer data = { 0 };
    buffer_append_text(&data, "{\"reason\":");
    buffer_append_json_string(&data, reason, strlen(reason));
    buffer_append_byte(&data, '}');
    if (data.failed)
        out->failed = true;
    else
        append_event(out, NULL, 0, name, strlen(name), data.data, data.size);
    buffer_free(&data);
}

void frames_append_refused(struct buffer *out, const char *reason)
{
    append_reason(out, "refused", reason);
}

void frames_append_expired(struct buffer *out, const char *reason)
{
    append_reason(out, "expired", reason);
}

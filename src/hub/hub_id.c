#include "hub/hub_state.h"
#include "wire/composite_cursor.h"

static void append_composite(const struct hub *hub, struct subscriber *subscriber, uint64_t sequence,
                             struct buffer *out)
{
    struct cursor channels = { .epoch = hub->epoch, .sequence = sequence };
    composite_cursor_begin(out, subscriber->has_channels ? &channels : NULL, subscriber->streams_tag);
    for (size_t i = 0; i < subscriber->topic_count; i++) {
        const struct membership *membership = subscriber_membership(subscriber, i);
        if (membership->topic->kind == TOPIC_STREAM)
            composite_cursor_add(out, membership->position);
    }
}

/* Where the subscriber stands when it has everything up to `sequence`: the id of the event that takes it
 * there. */
void hub_append_id(const struct hub *hub, struct subscriber *subscriber, uint64_t sequence,
                   struct buffer *out)
{
    if (subscriber->composite) {
        append_composite(hub, subscriber, sequence, out);
    } else if (subscriber->streams_tag != 0) {
        char id[ENTRY_ID_LENGTH_MAX];
        buffer_append(out, id, entry_id_format(subscriber->first.position, id));
    } else {
        struct cursor cursor = { .epoch = hub->epoch, .sequence = sequence };
        char id[CURSOR_LENGTH_MAX];
        buffer_append(out, id, cursor_format(&cursor, id));
    }
}

void hub_append_id_line(const struct hub *hub, struct subscriber *subscriber, uint64_t sequence,
                        struct buffer *out)
{
    buffer_append_text(out, "id: ");
    hub_append_id(hub, subscriber, sequence, out);
    buffer_append_byte(out, '\n');
}

void hub_append_gap(struct hub *hub, struct subscriber *subscriber, uint64_t sequence, enum gap_reason reason,
                    const struct stream_gap *stream, struct buffer *out)
{
    hub->metrics->gaps[reason]++;
    struct buffer id = { 0 };
    hub_append_id(hub, subscriber, sequence, &id);
    if (id.failed)
        out->failed = true;
    else
        frames_append_gap(out, id.data, id.size, reason, stream);
    buffer_free(&id);
}

#include "consumers/sink_headers.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

static void append_encoded(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        if (*text > ' ' && *text <= '~' && *text != '%')
            buffer_append_byte(out, *text);
        else
            buffer_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
}

static void end_line(struct sink_headers *headers)
{
    buffer_append_byte(&headers->text, '\0');
    headers->count++;
}

static void add_encoded(struct sink_headers *headers, const char *name, const char *value)
{
    buffer_printf(&headers->text, "%s: ", name);
    append_encoded(&headers->text, value);
    end_line(headers);
}

static void add_number(struct sink_headers *headers, const char *name, uint64_t value)
{
    buffer_printf(&headers->text, "%s: %" PRIu64, name, value);
    end_line(headers);
}

/* Returns whether a Content-Type is among them. */
static bool add_from_settings(struct sink_headers *headers, const char *lines)
{
    static const char content_type[] = "content-type:";
    bool has_content_type = false;
    for (size_t count = 0; *lines && count < SINK_HEADERS_MAX; count++) {
        size_t length = strcspn(lines, "\n");
        has_content_type |= strncasecmp(lines, content_type, strlen(content_type)) == 0;
        buffer_append(&headers->text, lines, length);
        end_line(headers);
        lines += length + (lines[length] == '\n');
    }
    return has_content_type;
}

bool sink_headers_build(struct sink_headers *headers, const struct sink_options *options,
                        const struct sink_request *request)
{
    *headers = (struct sink_headers){ 0 };
    struct buffer *text = &headers->text;
    if (!add_from_settings(headers, options->headers)) {
        buffer_append_text(text, "Content-Type: application/json");
        end_line(headers);
    }
    add_encoded(headers, "webhook-id", request->id);
    add_number(headers, "webhook-timestamp", request->timestamp_s);
    if (options->keys) {
        buffer_append_text(text, "webhook-signature: ");
        sink_keys_sign(options->keys, request->id, request->timestamp_s, request->body, request->body_length,
                       text);
        end_line(headers);
    }
    add_encoded(headers, "sluice-sink", options->name);
    add_encoded(headers, options->kind == SINK_STREAM ? "sluice-stream" : "sluice-channel", options->topic);
    if (*request->event)
        add_encoded(headers, "sluice-event", request->event);
    add_number(headers, "sluice-attempt", request->attempt);
    if (text->failed) {
        sink_headers_free(headers);
        return false;
    }
    const char *line = text->data;
    for (size_t i = 0; i < headers->count; i++, line += strlen(line) + 1)
        headers->lines[i] = line;
    return true;
}

void sink_headers_free(struct sink_headers *headers)
{
    buffer_free(&headers->text);
    headers->count = 0;
}

const char *sink_event_of_topic(const char *topic)
{
    static const char *const prefixes[] = { "events:", "live:" };
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(topic, prefixes[i], strlen(prefixes[i])) == 0)
            return topic + strlen(prefixes[i]);
    return NULL;
}

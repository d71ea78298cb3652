#include "wire/payload.h"

#include <jansson.h>
#include <string.h>

/* Numbers of any size and strings with \u0000 are JSON too, so they must not make a payload opaque. */
#define DECODE_FLAGS (JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL)

static json_t *decode(const char *bytes, size_t length)
{
    return length > 0 ? json_loadb(bytes, length, DECODE_FLAGS, NULL) : NULL;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* Spares the parser what cannot be an object. */
static bool starts_object(const char *bytes, size_t length)
{
    size_t i = 0;
    while (i < length && is_space(bytes[i]))
        i++;
    return i < length && bytes[i] == '{';
}

static bool is_final_status(const json_t *status)
{
    static const char *const final[] = { "COMPLETED", "PARTIAL", "FAILED" };
    const char *text = json_string_value(status);
    if (!text)
        return false;
    for (size_t i = 0; i < sizeof(final) / sizeof(final[0]); i++) {
        size_t length = strlen(final[i]);
        if (json_string_length(status) == length && memcmp(text, final[i], length) == 0)
            return true;
    }
    return false;
}

enum payload_kind payload_classify(const char *bytes, size_t length)
{
    if (!starts_object(bytes, length))
        return PAYLOAD_OPAQUE;
    json_t *value = decode(bytes, length);
    enum payload_kind kind = PAYLOAD_OPAQUE;
    if (json_is_object(value))
        kind = is_final_status(json_object_get(value, "status")) ? PAYLOAD_TERMINAL : PAYLOAD_OBJECT;
    json_decref(value);
    return kind;
}

bool payload_is_json(const char *bytes, size_t length)
{
    json_t *value = decode(bytes, length);
    bool is_json = value != NULL;
    json_decref(value);
    return is_json;
}

void payload_append_envelope(struct buffer *out, const char *channel, size_t channel_length,
                             const char *bytes, size_t length)
{
    buffer_append_text(out, "{\"channel\":");
    buffer_append_json_string(out, channel, channel_length);
    buffer_append_text(out, ",\"data\":");
    if (payload_is_json(bytes, length))
        buffer_append(out, bytes, length);
    else
        buffer_append_json_string(out, bytes, length);
    buffer_append_byte(out, '}');
}

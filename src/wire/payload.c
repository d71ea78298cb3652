#include "wire/payload.h"

#include "wire/json_scan.h"

static bool is_final_status(struct json_span status)
{
    return json_span_is(status, "COMPLETED") || json_span_is(status, "PARTIAL") ||
           json_span_is(status, "FAILED");
}

enum payload_kind payload_classify(const char *bytes, size_t length)
{
    bool is_object;
    struct json_span status;
    if (!json_scan(bytes, length, "status", &is_object, &status) || !is_object)
        return PAYLOAD_OPAQUE;
    return is_final_status(status) ? PAYLOAD_TERMINAL : PAYLOAD_OBJECT;
}

bool payload_is_json(const char *bytes, size_t length)
{
    bool is_object;
    struct json_span status;
    return json_scan(bytes, length, "status", &is_object, &status);
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

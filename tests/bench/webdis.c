#include "webdis.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGE_HEAD "{\"SUBSCRIBE\":[\"message\",\""
#define MESSAGE_END "}\"]}" /* with the last byte of the payload */
#define CONFIRMED_HEAD "{\"SUBSCRIBE\":[\"subscribe\",\""

static bool starts_with(const char *bytes, const char *end, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(end - bytes) >= length && memcmp(bytes, text, length) == 0;
}

/* Where the object that begins here is over; NULL: not here yet. */
static const char *object_end(const char *object, const char *end, bool is_message)
{
    const char *mark = is_message ? MESSAGE_END : "]}";
    const char *found = memmem(object, (size_t)(end - object), mark, strlen(mark));
    return found ? found + strlen(mark) : NULL;
}

static void take_message(const char *payload, const char *payload_end, const struct sse_sink *sink)
{
    char *text = malloc((size_t)(payload_end - payload));
    if (!text)
        abort(); /* a measurement that drops data is worth nothing */
    size_t length = 0;
    while (payload < payload_end) {
        const char *escape = memchr(payload, '\\', (size_t)(payload_end - payload));
        size_t plain = (size_t)((escape ? escape : payload_end) - payload);
        memcpy(text + length, payload, plain);
        length += plain;
        payload += plain + (escape != NULL);
        if (escape && payload < payload_end)
            text[length++] = *payload++;
    }
    sink->event(sink->context, (struct sse_slice){ 0 }, (struct sse_slice){ text, length }, 1);
    free(text);
}

const char *webdis_take(const char *bytes, const char *end, const struct sse_sink *sink)
{
    for (;;) {
        bool is_message = starts_with(bytes, end, MESSAGE_HEAD);
        const char *over = object_end(bytes, end, is_message);
        if (!over)
            return bytes;
        if (is_message) {
            const char *channel = bytes + strlen(MESSAGE_HEAD);
            const char *channel_end = memmem(channel, (size_t)(over - channel), "\",\"", 3);
            if (channel_end)
                take_message(channel_end + 3, over - strlen("\"]}"), sink);
        } else if (starts_with(bytes, end, CONFIRMED_HEAD)) {
            sink->retry(sink->context);
        }
        bytes = over;
    }
}

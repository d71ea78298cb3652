/* Whatever goes into an event, a conforming parser reads it back. Input: length of id and name, id, name,
 * data. */
#include <stdbool.h>
#include <string.h>

#include "event_source.h"
#include "fuzz.h"
#include "wire/sse.h"

struct expectation {
    struct buffer type, data, id;
};

static bool is_text(const struct buffer *expected, const char *bytes, size_t length)
{
    return expected->size == length && (length == 0 || memcmp(expected->data, bytes, length) == 0);
}

static void check_event(void *context, const struct received_event *event)
{
    const struct expectation *expectation = context;
    REQUIRE(is_text(&expectation->data, event->data, event->data_length));
    REQUIRE(is_text(&expectation->type, event->type, event->type_length));
    REQUIRE(is_text(&expectation->id, event->id, event->id_length));
}

static void check_boundaries(const struct buffer *out)
{
    size_t half = out->size / 2; /* two times the same event */
    for (size_t offset = 0; offset <= out->size; offset += 1 + offset / 8) {
        size_t boundary = offset == 0 ? 0 : offset <= half ? half : out->size;
        REQUIRE(sse_event_boundary(out->data, out->size, offset) == boundary);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    uint8_t id_length = input_take_byte(&input);
    uint8_t name_length = input_take_byte(&input);
    struct input id = input_take(&input, id_length & 0x7F);
    struct input name = input_take(&input, name_length & 0x7F);
    struct sse_event event = {
        .id = id_length & 0x80 ? NULL : id.bytes,
        .id_length = id_length & 0x80 ? 0 : id.length,
        .name = name_length & 0x80 ? NULL : name.bytes,
        .name_length = name_length & 0x80 ? 0 : name.length,
        .data = input.bytes,
        .data_length = input.length,
    };
    struct buffer out = { 0 };
    struct expectation expectation = { 0 };
    sse_append_event(&out, &event);
    sse_append_event(&out, &event);
    expect_data(&expectation.data, event.data, event.data_length);
    expect_field(&expectation.id, event.id, event.id_length);
    expect_field(&expectation.type, event.name, event.name_length);
    if (expectation.type.size == 0)
        buffer_append_text(&expectation.type, "message");

    struct event_source_summary summary = event_source_parse(out.data, out.size, check_event, &expectation);
    REQUIRE(summary.events == 2);
    REQUIRE(summary.comments == 0 && summary.unfinished_bytes == 0 && !summary.has_retry);
    REQUIRE(summary.is_valid_utf8);
    check_boundaries(&out);
    buffer_free(&expectation.data);
    buffer_free(&expectation.type);
    buffer_free(&expectation.id);
    buffer_free(&out);
    return 0;
}

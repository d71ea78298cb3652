/*
 * Our scanner takes what jansson takes and sees the same in it, and an envelope is JSON whatever is put in.
 * Input: length of the channel, channel, payload.
 */
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "wire/json_scan.h"
#include "wire/payload.h"

#define JANSSON_FLAGS (JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL)

static bool nests_deeply(struct input payload)
{
    size_t opened = 0;
    for (size_t i = 0; i < payload.length; i++)
        opened += payload.bytes[i] == '[' || payload.bytes[i] == '{';
    return opened >= JSON_DEPTH_MAX - 1;
}

/* jansson 2.14 overlooks a NUL behind a number. */
static json_t *load_unless_nul(struct input payload)
{
    if (payload.length == 0 || memchr(payload.bytes, '\0', payload.length))
        return NULL;
    return json_loadb(payload.bytes, payload.length, JANSSON_FLAGS, NULL);
}

static enum payload_kind expected_kind(const json_t *value)
{
    static const char *const final[] = { "COMPLETED", "PARTIAL", "FAILED" };
    if (!json_is_object(value))
        return PAYLOAD_OPAQUE;
    const json_t *status = json_object_get(value, "status");
    for (size_t i = 0; i < sizeof(final) / sizeof(final[0]); i++) {
        if (json_is_string(status) && json_string_length(status) == strlen(final[i]) &&
            memcmp(json_string_value(status), final[i], strlen(final[i])) == 0)
            return PAYLOAD_TERMINAL;
    }
    return PAYLOAD_OBJECT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    struct input channel = input_take(&input, input_take_byte(&input));
    if (nests_deeply(input))
        return 0;

    bool is_json = payload_is_json(input.bytes, input.length);
    enum payload_kind kind = payload_classify(input.bytes, input.length);
    json_t *value = load_unless_nul(input);
    /* The other way round it need not hold: jansson refuses 1e999, a NUL in a key and lone surrogates. */
    if (value) {
        REQUIRE(is_json);
        REQUIRE(kind == expected_kind(value));
    }
    REQUIRE(is_json || kind == PAYLOAD_OPAQUE);
    json_decref(value);

    struct buffer out = { 0 };
    payload_append_envelope(&out, channel.bytes, channel.length, input.bytes, input.length);
    REQUIRE(payload_classify(out.data, out.size) == PAYLOAD_OBJECT);
    buffer_free(&out);
    return 0;
}

/* A payload loses its white space and nothing else, and walks find what jansson finds. Input: a payload. */
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "front/json_text.h"
#include "fuzz.h"
#include "wire/json_scan.h"
#include "wire/payload.h"

#define JANSSON_FLAGS (JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL)

static bool nests_deeply(struct text text)
{
    size_t opened = 0;
    for (size_t i = 0; i < text.length; i++)
        opened += text.bytes[i] == '[' || text.bytes[i] == '{';
    return opened >= JSON_DEPTH_MAX - 1;
}

static void check_string(struct text value)
{
    struct buffer decoded = { 0 };
    json_t *expected = json_loadb(value.bytes, value.length, JANSSON_FLAGS, NULL);
    /* jansson refuses lone surrogates; what becomes of them is nobody's business but ours. */
    if (json_text_append_decoded(&decoded, value) && expected) {
        REQUIRE(json_is_string(expected) && json_string_length(expected) == decoded.size);
        REQUIRE(decoded.size == 0 || memcmp(json_string_value(expected), decoded.data, decoded.size) == 0);
    }
    REQUIRE(!decoded.failed);
    json_decref(expected);
    buffer_free(&decoded);
}

static size_t walk(struct text value, bool is_json)
{
    struct json_walk walk = json_walk_start(value);
    struct text name, part;
    size_t count = 0;
    if (json_text_kind(value) == JSON_KIND_STRING)
        check_string(value);
    if (json_text_kind(value) == JSON_KIND_OBJECT) {
        for (; json_walk_member(&walk, &name, &part); count++) {
            REQUIRE(!is_json || json_text_kind(name) == JSON_KIND_STRING);
            REQUIRE(!is_json || payload_is_json(part.bytes, part.length));
        }
    } else if (json_text_kind(value) == JSON_KIND_ARRAY) {
        for (; json_walk_element(&walk, &part); count++)
            REQUIRE(!is_json || payload_is_json(part.bytes, part.length));
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text text = text_of((const char *)data, size);
    struct problem problem = { 0 };
    bool is_json = json_text_check(text, &problem);
    REQUIRE(is_json == payload_is_json(text.bytes, text.length));
    if (!is_json) {
        REQUIRE(problem.status == 400);
        struct buffer decoded = { 0 };
        (void)walk(text, false);
        (void)json_text_append_decoded(&decoded, text);
        buffer_free(&decoded);
        return 0;
    }
    struct buffer compact = { 0 }, again = { 0 };
    json_text_append_compact(&compact, text);
    REQUIRE(!compact.failed && payload_is_json(compact.data, compact.size));
    json_text_append_compact(&again, text_of(compact.data, compact.size));
    REQUIRE(again.size == compact.size && memcmp(again.data, compact.data, compact.size) == 0);

    if (!nests_deeply(text)) {
        size_t count = walk(text_of(compact.data, compact.size), true);
        json_t *before = json_loadb(text.bytes, text.length, JANSSON_FLAGS, NULL);
        json_t *after = json_loadb(compact.data, compact.size, JANSSON_FLAGS, NULL);
        REQUIRE((before == NULL) == (after == NULL));
        if (before)
            REQUIRE(json_equal(before, after));
        if (json_is_array(before))
            REQUIRE(json_array_size(before) == count);
        if (json_is_object(before))
            REQUIRE(json_object_size(before) <= count); /* of one name several times it keeps the last */
        json_decref(before);
        json_decref(after);
    }
    buffer_free(&compact);
    buffer_free(&again);
    return 0;
}

/* An entry of anything becomes one JSON object that holds all of it. Input: fields, each as length of the
 * name, length of the value, name, value. */
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"
#include "fuzz.h"
#include "wire/entry.h"
#include "wire/payload.h"

#define FIELDS_MAX 64

static bool is_plain(const char *bytes, size_t length)
{
    return utf8_valid_prefix(bytes, length) == length && (length == 0 || !memchr(bytes, '\0', length));
}

static size_t count_name(const struct entry_field *fields, size_t count, const struct entry_field *field)
{
    size_t same = 0;
    for (size_t i = 0; i < count; i++)
        same += fields[i].name_length == field->name_length &&
                memcmp(fields[i].name, field->name, field->name_length) == 0;
    return same;
}

static void check_field(const json_t *object, const struct entry_field *field, size_t same)
{
    char name[256];
    memcpy(name, field->name, field->name_length);
    name[field->name_length] = '\0';
    const json_t *value = json_object_get(object, name);
    REQUIRE(value);
    if (same > 1) {
        REQUIRE(json_is_array(value) && json_array_size(value) == same);
        return;
    }
    bool is_text = utf8_valid_prefix(field->value, field->value_length) == field->value_length;
    if (json_is_string(value)) {
        REQUIRE(is_text && json_string_length(value) == field->value_length);
        REQUIRE(memcmp(json_string_value(value), field->value, field->value_length) == 0);
    } else if (is_text) {
        REQUIRE(payload_is_json(field->value, field->value_length));
    } else {
        const json_t *encoded = json_object_get(value, "base64");
        REQUIRE(json_string_length(encoded) == (field->value_length + 2) / 3 * 4);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    struct entry_field fields[FIELDS_MAX];
    size_t count = 0;
    bool names_are_plain = true;
    while (input.length > 0 && count < FIELDS_MAX) {
        size_t name_length = input_take_byte(&input), value_length = input_take_byte(&input);
        struct input name = input_take(&input, name_length);
        struct input value = input_take(&input, value_length);
        fields[count++] = (struct entry_field){
            .name = name.bytes, .name_length = name.length, .value = value.bytes, .value_length = value.length
        };
        names_are_plain = names_are_plain && is_plain(name.bytes, name.length);
    }
    struct buffer out = { 0 };
    entry_append_json(&out, fields, count);
    REQUIRE(!out.failed && payload_classify(out.data, out.size) != PAYLOAD_OPAQUE);
    json_t *object = json_loadb(out.data, out.size, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    /* jansson refuses some of JSON (1e999, lone surrogates), which values may have in them. */
    for (size_t i = 0; object && names_are_plain && i < count; i++)
        check_field(object, &fields[i], count_name(fields, count, &fields[i]));
    json_decref(object);
    buffer_free(&out);
    return 0;
}

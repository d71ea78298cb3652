/* What a publish body asks for is bounded, and its payloads are JSON. Input: JSON or form, length of the key,
 * key, body. */
#include <stdbool.h>

#include "front/publish_body.h"
#include "fuzz.h"
#include "wire/payload.h"

static void check_item(const struct publish_item *item)
{
    if (item->problem.status != 0)
        return;
    REQUIRE(item->channel.size > 0 || item->stream.size > 0 || item->event.size > 0);
    REQUIRE(item->channel.size <= PUBLISH_NAME_MAX && item->stream.size <= PUBLISH_NAME_MAX);
    REQUIRE(item->event.size <= PUBLISH_NAME_MAX);
    REQUIRE(payload_is_json(item->payload.data, item->payload.size));
    REQUIRE(item->field_count <= PUBLISH_FIELDS_MAX);
    for (size_t i = 0; i < item->field_count; i++) {
        const struct publish_field *field = &item->fields[i];
        REQUIRE(field->name_at + field->name_length <= item->entry.size);
        REQUIRE(field->value_at + field->value_length <= item->entry.size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    enum publish_body_kind kind = input_take_byte(&input) % 2 ? PUBLISH_BODY_FORM : PUBLISH_BODY_JSON;
    struct input key = input_take(&input, input_take_byte(&input) % 16);
    struct publish_limits limits = { .items_max = 16, .maxlen_default = 10000 };
    struct publish_body body = { 0 };
    struct problem problem = { 0 };
    bool is_taken =
        publish_body_parse(kind, text_of(input.bytes, input.length),
                           text_of(key.length > 0 ? key.bytes : NULL, key.length), &limits, &body, &problem);
    if (is_taken) {
        REQUIRE(body.count <= limits.items_max);
        for (size_t i = 0; i < body.count; i++)
            check_item(&body.items[i]);
    } else {
        REQUIRE(problem.status >= 400 && problem.status < 600);
    }
    publish_body_clear(&body);
    return 0;
}

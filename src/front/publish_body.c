#include "front/publish_body.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/parse.h"
#include "base/utf8.h"
#include "front/json_text.h"
#include "front/percent.h"
#include "front/reserved.h"

#define NO_MEMORY(ret_problem) problem_set((ret_problem), 503, "Memory is short. Try again later.")

enum field {
    FIELD_CHANNEL,
    FIELD_STREAM,
    FIELD_EVENT,
    FIELD_CRITICAL,
    FIELD_NOMKSTREAM,
    FIELD_PAYLOAD,
    FIELD_ID,
    FIELD_MAXLEN,
    FIELDS
};

static const struct {
    const char *name;
    enum field field;
} field_names[] = {
    { "channel", FIELD_CHANNEL },       { "stream", FIELD_STREAM },
    { "event", FIELD_EVENT },           { "critical", FIELD_CRITICAL },
    { "nomkstream", FIELD_NOMKSTREAM }, { "payload", FIELD_PAYLOAD },
    { "data", FIELD_PAYLOAD },          { "id", FIELD_ID },
    { "maxlen", FIELD_MAXLEN },
};

static bool find_field(struct text name, enum field *ret_field, struct problem *ret_problem)
{
    for (size_t i = 0; i < sizeof(field_names) / sizeof(field_names[0]); i++) {
        if (!text_is(name, field_names[i].name))
            continue;
        *ret_field = field_names[i].field;
        return true;
    }
    size_t shown = utf8_valid_prefix(name.bytes, name.length < 64 ? name.length : 64);
    return problem_set(ret_problem, 400,
                       "The field `%.*s` is unknown; known are channel, stream, event, critical, payload, "
                       "id, maxlen, nomkstream.",
                       (int)shown, name.bytes);
}

/* --- the fields' values, the same whether they came as JSON or in a form
 * ------------------------------------------ */

static bool set_name(struct buffer *target, const char *field, struct text value, size_t length_max,
                     struct problem *ret_problem)
{
    if (value.length == 0)
        return problem_set(ret_problem, 400, "The field `%s` is empty.", field);
    if (value.length > length_max)
        return problem_set(ret_problem, 400, "The field `%s` is longer than %zu bytes.", field, length_max);
    buffer_append(target, value.bytes, value.length);
    return !target->failed || NO_MEMORY(ret_problem);
}

static bool set_topic(struct buffer *target, const char *field, struct text value,
                      struct problem *ret_problem)
{
    if (topic_is_reserved(value))
        return problem_set(ret_problem, 422, "The field `%s` has a name that is reserved for the gateway.",
                           field);
    return set_name(target, field, value, PUBLISH_NAME_MAX, ret_problem);
}

static bool set_text_field(struct publish_item *item, enum field field, struct text value,
                           struct problem *ret_problem)
{
    switch (field) {
    case FIELD_CHANNEL:
        return set_topic(&item->channel, "channel", value, ret_problem);
    case FIELD_STREAM:
        return set_topic(&item->stream, "stream", value, ret_problem);
    case FIELD_EVENT:
        return set_name(&item->event, "event", value, PUBLISH_NAME_MAX, ret_problem);
    case FIELD_ID:
        return set_name(&item->id, "id", value, PUBLISH_ID_MAX, ret_problem);
    case FIELD_CRITICAL:
    case FIELD_NOMKSTREAM:
    case FIELD_PAYLOAD:
    case FIELD_MAXLEN:
    case FIELDS:
        break;
    }
    return problem_set(ret_problem, 500, "A field was taken for a text.");
}

static bool decode_string(struct buffer *out, struct text quoted, struct problem *ret_problem)
{
    if (json_text_append_decoded(out, quoted))
        return true;
    return out->failed ? NO_MEMORY(ret_problem)
                       : problem_set(ret_problem, 400, "A string has half of a surrogate pair in it.");
}

static bool set_maxlen(struct publish_item *item, struct text digits, struct problem *ret_problem)
{
    if (!parse_unsigned(digits.bytes, digits.length, &item->maxlen) || item->maxlen == 0)
        return problem_set(ret_problem, 400, "The field `maxlen` is not a whole number above 0.");
    return true;
}

static bool *switch_of(struct publish_item *item, enum field field)
{
    return field == FIELD_CRITICAL ? &item->critical : &item->nomkstream;
}

static bool set_json_field(struct publish_item *item, enum field field, const char *name, struct text value,
                           struct problem *ret_problem)
{
    enum json_kind kind = json_text_kind(value);
    if (field == FIELD_PAYLOAD) {
        json_text_append_compact(&item->payload, value);
        return !item->payload.failed || NO_MEMORY(ret_problem);
    }
    if (kind == JSON_KIND_NULL)
        return true; /* as if it were not there */
    if (field == FIELD_CRITICAL || field == FIELD_NOMKSTREAM) {
        *switch_of(item, field) = text_is(value, "true");
        return kind == JSON_KIND_BOOLEAN ||
               problem_set(ret_problem, 400, "The field `%s` is not true or false.", name);
    }
    if (field == FIELD_MAXLEN)
        return set_maxlen(item, value, ret_problem);
    if (kind != JSON_KIND_STRING)
        return problem_set(ret_problem, 400, "The field `%s` is not a string.", name);

    struct buffer decoded = { 0 };
    bool valid = decode_string(&decoded, value, ret_problem) &&
                 set_text_field(item, field, text_of(decoded.data, decoded.size), ret_problem);
    buffer_free(&decoded);
    return valid;
}

static bool set_form_field(struct publish_item *item, enum field field, struct text value,
                           struct problem *ret_problem)
{
    struct problem not_json;
    switch (field) {
    case FIELD_PAYLOAD:
        if (json_text_check(value, &not_json))
            json_text_append_compact(&item->payload, value);
        else
            buffer_append_json_string(&item->payload, value.bytes, value.length);
        return !item->payload.failed || NO_MEMORY(ret_problem);
    case FIELD_CRITICAL:
    case FIELD_NOMKSTREAM:
        return parse_switch(value.bytes, value.length, switch_of(item, field)) ||
               problem_set(ret_problem, 400, "The field `%s` is not true or false.",
                           field == FIELD_CRITICAL ? "critical" : "nomkstream");
    case FIELD_MAXLEN:
        return set_maxlen(item, value, ret_problem);
    case FIELD_CHANNEL:
    case FIELD_STREAM:
    case FIELD_EVENT:
    case FIELD_ID:
    case FIELDS:
        break;
    }
    return set_text_field(item, field, value, ret_problem);
}

/* --- the payload as a stream entry
 * ------------------------------------------------------------------------------- */

/* Strings as they are, objects and arrays as JSON text, the rest as it is written. */
static bool append_entry_value(struct buffer *entry, struct text value, struct problem *ret_problem)
{
    if (json_text_kind(value) == JSON_KIND_STRING)
        return decode_string(entry, value, ret_problem);
    json_text_append_compact(entry, value);
    return !entry->failed || NO_MEMORY(ret_problem);
}

static bool make_entry(struct publish_item *item, struct problem *ret_problem)
{
    struct text payload = text_of(item->payload.data, item->payload.size);
    if (json_text_kind(payload) != JSON_KIND_OBJECT)
        return problem_set(ret_problem, 422,
                           "The payload becomes the fields of a stream entry, so it must be an object.");

    struct text name, value;
    size_t count = 0;
    for (struct json_walk walk = json_walk_start(payload); json_walk_member(&walk, &name, &value);)
        count++;
    if (count == 0 || count > PUBLISH_FIELDS_MAX)
        return problem_set(ret_problem, 422, "The payload of a stream entry has between 1 and %d fields.",
                           PUBLISH_FIELDS_MAX);

    item->fields = calloc(count, sizeof(*item->fields));
    if (!item->fields)
        return NO_MEMORY(ret_problem);
    struct json_walk walk = json_walk_start(payload);
    while (item->field_count < count && json_walk_member(&walk, &name, &value)) {
        struct publish_field *field = &item->fields[item->field_count++];
        field->name_at = item->entry.size;
        if (!decode_string(&item->entry, name, ret_problem))
            return false;
        field->name_length = item->entry.size - field->name_at;
        field->value_at = item->entry.size;
        if (!append_entry_value(&item->entry, value, ret_problem))
            return false;
        field->value_length = item->entry.size - field->value_at;
    }
    return true;
}

/* Of the stream that the entry goes to: the named one, or the event's. */
static uint64_t configured_maxlen(const struct publish_item *item, const struct publish_limits *limits)
{
    struct buffer name = { 0 };
    if (!limits->maxlen_of || !publish_item_is_durable(item))
        return 0;
    if (item->stream.size == 0)
        buffer_append_text(&name, "events:");
    const struct buffer *source = item->stream.size ? &item->stream : &item->event;
    buffer_append(&name, source->data, source->size);
    uint64_t maxlen = name.failed ? 0 : limits->maxlen_of(limits->context, name.data, name.size);
    buffer_free(&name);
    return maxlen;
}

/* What can only be said once all fields are known. */
static bool finish_item(struct publish_item *item, const struct publish_limits *limits,
                        struct problem *ret_problem)
{
    if (!item->channel.size && !item->stream.size && !item->event.size)
        return problem_set(ret_problem, 400, "One of the fields `channel`, `stream` and `event` is needed.");
    if (!item->payload.size)
        return problem_set(ret_problem, 400, "The field `payload` is missing.");
    if (item->critical && !item->event.size)
        return problem_set(ret_problem, 422, "The field `critical` goes with `event`.");
    if (item->nomkstream && !publish_item_is_durable(item))
        return problem_set(ret_problem, 422,
                           "The field `nomkstream` goes with `stream`, or with a critical event.");
    if (item->maxlen && !publish_item_is_durable(item))
        return problem_set(ret_problem, 422,
                           "The field `maxlen` goes with `stream`, or with a critical event.");
    if (!item->maxlen)
        item->maxlen = configured_maxlen(item, limits);
    if (!item->maxlen)
        item->maxlen = limits->maxlen_default;
    return !publish_item_is_durable(item) || make_entry(item, ret_problem);
}

/* --- bodies
 * ------------------------------------------------------------------------------------------------------ */

static bool parse_object(struct publish_item *item, struct text object, const struct publish_limits *limits,
                         struct problem *ret_problem)
{
    if (json_text_kind(object) != JSON_KIND_OBJECT)
        return problem_set(ret_problem, 400, "An event is a JSON object.");

    bool seen[FIELDS] = { false };
    struct text quoted, value;
    for (struct json_walk walk = json_walk_start(object); json_walk_member(&walk, &quoted, &value);) {
        struct buffer name = { 0 };
        enum field field;
        bool valid = decode_string(&name, quoted, ret_problem);
        valid = valid && find_field(text_of(name.data, name.size), &field, ret_problem);
        if (valid && seen[field])
            valid =
                problem_set(ret_problem, 400, "The field `%.*s` is given twice.", (int)name.size, name.data);
        if (valid) {
            char shown[16] = { 0 }; /* known names are short */
            memcpy(shown, name.data, name.size < sizeof(shown) ? name.size : sizeof(shown) - 1);
            seen[field] = true;
            valid = set_json_field(item, field, shown, value, ret_problem);
        }
        buffer_free(&name);
        if (!valid)
            return false;
    }
    return finish_item(item, limits, ret_problem);
}

static bool parse_form(struct publish_item *item, struct text form, const struct publish_limits *limits,
                       struct problem *ret_problem)
{
    char *decoded = malloc(form.length + 1);
    if (!decoded)
        return NO_MEMORY(ret_problem);

    bool seen[FIELDS] = { false };
    bool valid = true;
    struct text rest = form;
    struct text pair;
    while (valid && text_split(&rest, '&', &pair)) {
        if (pair.length == 0)
            continue;
        struct text value = pair;
        struct text name;
        enum field field;
        size_t name_length = 0, value_length = 0;
        text_split(&value, '=', &name);
        if (!percent_decode(name, PERCENT_QUERY, decoded, &name_length) ||
            (value.bytes && !percent_decode(value, PERCENT_QUERY, decoded + name_length, &value_length))) {
            valid =
                problem_set(ret_problem, 400, "The form has a %% that is not followed by two hex digits.");
            break;
        }
        valid = find_field(text_of(decoded, name_length), &field, ret_problem);
        if (valid && seen[field])
            valid =
                problem_set(ret_problem, 400, "The field `%.*s` is given twice.", (int)name_length, decoded);
        if (valid) {
            seen[field] = true;
            valid = set_form_field(item, field, text_of(decoded + name_length, value_length), ret_problem);
        }
    }
    free(decoded);
    return valid && finish_item(item, limits, ret_problem);
}

static bool default_id(struct publish_item *item, struct text key, bool is_array, size_t index,
                       struct problem *ret_problem)
{
    if (item->id.size || !key.bytes)
        return true;
    if (!set_name(&item->id, "Idempotency-Key", key, PUBLISH_ID_MAX, ret_problem))
        return false;
    if (is_array)
        buffer_printf(&item->id, ":%zu", index);
    return !item->id.failed || NO_MEMORY(ret_problem);
}

static bool parse_array(struct text array, struct text key, const struct publish_limits *limits,
                        struct publish_body *body, struct problem *ret_problem)
{
    struct text element;
    size_t count = 0;
    for (struct json_walk walk = json_walk_start(array); json_walk_element(&walk, &element);)
        count++;
    if (count > limits->items_max)
        return problem_set(ret_problem, 422, "The array has %zu events; at most %zu go in one request.",
                           count, limits->items_max);

    body->is_array = true;
    body->items = calloc(count ? count : 1, sizeof(*body->items));
    if (!body->items)
        return NO_MEMORY(ret_problem);
    struct json_walk walk = json_walk_start(array);
    while (body->count < count && json_walk_element(&walk, &element)) {
        struct publish_item *item = &body->items[body->count];
        if (parse_object(item, element, limits, &item->problem))
            default_id(item, key, true, body->count, &item->problem);
        body->count++;
    }
    return true;
}

bool publish_body_parse(enum publish_body_kind kind, struct text bytes, struct text idempotency_key,
                        const struct publish_limits *limits, struct publish_body *ret_body,
                        struct problem *ret_problem)
{
    *ret_body = (struct publish_body){ 0 };
    if (kind == PUBLISH_BODY_JSON) {
        if (!json_text_check(bytes, ret_problem))
            return false;
        while (bytes.length && memchr(" \t\r\n", bytes.bytes[0], 4))
            bytes = text_of(bytes.bytes + 1, bytes.length - 1);
        if (json_text_kind(bytes) == JSON_KIND_ARRAY)
            return parse_array(bytes, idempotency_key, limits, ret_body, ret_problem);
    }

    ret_body->items = calloc(1, sizeof(*ret_body->items));
    if (!ret_body->items)
        return NO_MEMORY(ret_problem);
    ret_body->count = 1;
    struct publish_item *item = &ret_body->items[0];
    bool valid = kind == PUBLISH_BODY_JSON ? parse_object(item, bytes, limits, ret_problem)
                                           : parse_form(item, bytes, limits, ret_problem);
    if (valid && default_id(item, idempotency_key, false, 0, ret_problem))
        return true;
    publish_body_clear(ret_body);
    return false;
}

void publish_body_clear(struct publish_body *body)
{
    for (size_t i = 0; i < body->count; i++) {
        struct publish_item *item = &body->items[i];
        buffer_free(&item->channel);
        buffer_free(&item->stream);
        buffer_free(&item->event);
        buffer_free(&item->id);
        buffer_free(&item->payload);
        buffer_free(&item->entry);
        free(item->fields);
    }
    free(body->items);
    *body = (struct publish_body){ 0 };
}

#include "front/group_ids_body.h"

#include <stdlib.h>

#include "consumers/group.h"
#include "front/json_text.h"

static bool is_listed(const struct group_ids_body *body, struct entry_id id)
{
    for (size_t i = 0; i < body->count; i++)
        if (entry_id_compare(body->ids[i], id) == 0)
            return true;
    return false;
}

static bool add_id(struct group_ids_body *body, struct text quoted, size_t index, struct problem *ret_problem)
{
    struct buffer text = { 0 };
    struct entry_id id;
    bool is_id = json_text_kind(quoted) == JSON_KIND_STRING && json_text_append_decoded(&text, quoted) &&
                 entry_id_parse(text.data, text.size, &id);
    bool failed = text.failed;
    buffer_free(&text);
    if (failed)
        return problem_set(ret_problem, 503, "Memory is short. Try again later.");
    if (!is_id)
        return problem_set(ret_problem, 400,
                           "`ids`[%zu] is no id of a stream entry: \"1517574547834-0\" is one.", index);
    if (is_listed(body, id))
        return true;
    if (body->count == GROUP_IDS_MAX)
        return problem_set(ret_problem, 422, "At most %d ids at a time.", GROUP_IDS_MAX);
    body->ids[body->count++] = id;
    return true;
}

static bool read_ids(struct group_ids_body *body, struct text value, struct problem *ret_problem)
{
    if (json_text_kind(value) != JSON_KIND_ARRAY)
        return problem_set(ret_problem, 400, "`ids` is an array of the ids of stream entries.");
    struct json_walk walk = json_walk_start(value);
    struct text element;
    for (size_t index = 0; json_walk_element(&walk, &element); index++)
        if (!add_id(body, element, index, ret_problem))
            return false;
    return true;
}

static bool read_consumer(struct group_ids_body *body, struct text value, struct problem *ret_problem)
{
    buffer_free(&body->consumer);
    if (json_text_kind(value) == JSON_KIND_NULL)
        return true;
    if (json_text_kind(value) != JSON_KIND_STRING || !json_text_append_decoded(&body->consumer, value))
        return problem_set(ret_problem, 400, "`consumer` is the name of a consumer of the group.");
    if (body->consumer.size == 0 || body->consumer.size > GROUP_NAME_MAX)
        return problem_set(ret_problem, 400, "`consumer` has between 1 and %d bytes.", GROUP_NAME_MAX);
    return true;
}

static bool read_members(struct group_ids_body *body, struct text bytes, struct problem *ret_problem)
{
    struct json_walk walk = json_walk_start(bytes);
    struct text name, value;
    while (json_walk_member(&walk, &name, &value)) {
        if (text_is(name, "\"ids\"")) {
            body->count = 0;
            if (!read_ids(body, value, ret_problem))
                return false;
        } else if (text_is(name, "\"consumer\"")) {
            if (!read_consumer(body, value, ret_problem))
                return false;
        }
    }
    if (body->count == 0)
        return problem_set(ret_problem, 400, "`ids` is missing or empty: {\"ids\":[\"1517574547834-0\"]}.");
    return true;
}

bool group_ids_body_parse(struct text bytes, struct group_ids_body *ret_body, struct problem *ret_problem)
{
    *ret_body = (struct group_ids_body){ .count = 0 };
    if (!json_text_check(bytes, ret_problem))
        return false;
    for (; bytes.length > 0 && memchr(" \t\r\n", bytes.bytes[0], 4); bytes.length--)
        bytes.bytes++;
    if (json_text_kind(bytes) != JSON_KIND_OBJECT)
        return problem_set(ret_problem, 400, "The body is an object: {\"ids\":[\"1517574547834-0\"]}.");
    ret_body->ids = calloc(GROUP_IDS_MAX, sizeof(*ret_body->ids));
    if (!ret_body->ids)
        return problem_set(ret_problem, 503, "Memory is short. Try again later.");
    if (read_members(ret_body, bytes, ret_problem))
        return true;
    group_ids_body_clear(ret_body);
    return false;
}

void group_ids_body_clear(struct group_ids_body *body)
{
    free(body->ids);
    buffer_free(&body->consumer);
    *body = (struct group_ids_body){ .count = 0 };
}

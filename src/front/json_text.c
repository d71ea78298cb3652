#include "front/json_text.h"

#include <jansson.h>

#include "wire/payload.h"

bool json_text_check(struct text text, struct problem *ret_problem)
{
    if (text.length == 0)
        return problem_set(ret_problem, 400, "The body is empty; it should be JSON.");
    if (payload_is_json(text.bytes, text.length))
        return true;

    /* jansson builds what it reads, so it is only asked where the mistake is. Numbers may lose digits here.
     */
    json_error_t error;
    json_t *value = json_loadb(text.bytes, text.length,
                               JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);
    if (value) {
        json_decref(value);
        return problem_set(ret_problem, 400, "The body is JSON, but nested too deeply.");
    }
    return problem_set(ret_problem, 400, "The body is not JSON: line %d, column %d: %s.", error.line,
                       error.column, error.text);
}

enum json_kind json_text_kind(struct text value)
{
    switch (value.length ? value.bytes[0] : 'n') {
    case '{':
        return JSON_KIND_OBJECT;
    case '[':
        return JSON_KIND_ARRAY;
    case '"':
        return JSON_KIND_STRING;
    case 't':
    case 'f':
        return JSON_KIND_BOOLEAN;
    case 'n':
        return JSON_KIND_NULL;
    default:
        return JSON_KIND_NUMBER;
    }
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static void skip(struct text *text, size_t count)
{
    text->bytes += count;
    text->length -= count;
}

static void skip_space(struct text *text)
{
    while (text->length && is_space(text->bytes[0]))
        skip(text, 1);
}

/* Length of the quoted string at the start, both quotes included. */
static size_t string_length(struct text text)
{
    for (size_t at = 1; at < text.length; at++) {
        if (text.bytes[at] == '\\')
            at++;
        else if (text.bytes[at] == '"')
            return at + 1;
    }
    return text.length;
}

/* Length of the value at the start. Depth is counted, not recursed into, so nesting costs nothing. */
static size_t value_length(struct text text)
{
    size_t depth = 0;
    size_t at = 0;
    while (at < text.length) {
        char byte = text.bytes[at];
        if (byte == '"') {
            at += string_length(text_of(text.bytes + at, text.length - at));
            if (depth == 0)
                return at;
            continue;
        }
        if (byte == '{' || byte == '[') {
            depth++;
        } else if (byte == '}' || byte == ']') {
            if (depth == 0)
                return at; /* the end of what surrounds a number or a word */
            if (--depth == 0)
                return at + 1;
        } else if (depth == 0 && (byte == ',' || is_space(byte))) {
            return at;
        }
        at++;
    }
    return at;
}

struct json_walk json_walk_start(struct text value)
{
    skip_space(&value);
    if (value.length)
        skip(&value, 1);
    return (struct json_walk){ .rest = value };
}

/* Steps over space and one comma; false at the closing bracket or the end. */
static bool walk_next(struct json_walk *walk)
{
    skip_space(&walk->rest);
    if (walk->rest.length && walk->rest.bytes[0] == ',') {
        skip(&walk->rest, 1);
        skip_space(&walk->rest);
    }
    return walk->rest.length && walk->rest.bytes[0] != ']' && walk->rest.bytes[0] != '}';
}

bool json_walk_element(struct json_walk *walk, struct text *ret_value)
{
    if (!walk_next(walk))
        return false;
    size_t length = value_length(walk->rest);
    if (length == 0)
        return false;
    *ret_value = text_of(walk->rest.bytes, length);
    skip(&walk->rest, length);
    return true;
}

bool json_walk_member(struct json_walk *walk, struct text *ret_name, struct text *ret_value)
{
    if (!walk_next(walk) || walk->rest.bytes[0] != '"')
        return false;
    size_t length = string_length(walk->rest);
    *ret_name = text_of(walk->rest.bytes, length);
    skip(&walk->rest, length);

    skip_space(&walk->rest);
    if (!walk->rest.length || walk->rest.bytes[0] != ':')
        return false;
    skip(&walk->rest, 1);
    skip_space(&walk->rest);

    length = value_length(walk->rest);
    if (length == 0)
        return false;
    *ret_value = text_of(walk->rest.bytes, length);
    skip(&walk->rest, length);
    return true;
}

void json_text_append_compact(struct buffer *out, struct text value)
{
    size_t at = 0;
    while (at < value.length) {
        if (is_space(value.bytes[at])) {
            at++;
            continue;
        }
        size_t start = at;
        while (at < value.length && !is_space(value.bytes[at])) {
            if (value.bytes[at] == '"')
                at += string_length(text_of(value.bytes + at, value.length - at));
            else
                at++;
        }
        buffer_append(out, value.bytes + start, at - start);
    }
}

bool json_text_append_decoded(struct buffer *out, struct text quoted)
{
    /* Without escapes, a string is what stands between its quotes. */
    if (quoted.length >= 2 && !memchr(quoted.bytes, '\\', quoted.length)) {
        buffer_append(out, quoted.bytes + 1, quoted.length - 2);
        return !out->failed;
    }
    json_t *value = json_loadb(quoted.bytes, quoted.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!json_is_string(value)) {
        json_decref(value);
        return false;
    }
    buffer_append(out, json_string_value(value), json_string_length(value));
    json_decref(value);
    return !out->failed;
}

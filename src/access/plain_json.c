#include "access/plain_json.h"

#define DIGITS_MAX 15 /* exact as a double, as other parsers have them */

struct plain_json plain_json_of(const char *bytes, size_t length)
{
    return (struct plain_json){ .at = bytes, .end = bytes + length };
}

static bool broken(struct plain_json *json)
{
    json->is_broken = true;
    return false;
}

char plain_json_peek(struct plain_json *json)
{
    while (json->at < json->end &&
           (*json->at == ' ' || *json->at == '\n' || *json->at == '\t' || *json->at == '\r'))
        json->at++;
    if (json->at == json->end || json->is_broken)
        return '\0';
    return *json->at;
}

/* A NUL in the text is nothing that could be asked for. */
static bool take(struct plain_json *json, char byte)
{
    if (plain_json_peek(json) != byte)
        return broken(json);
    json->at++;
    return true;
}

bool plain_json_enter(struct plain_json *json, char open)
{
    json->is_first = true;
    return take(json, open);
}

bool plain_json_next(struct plain_json *json, char close)
{
    bool is_first = json->is_first;
    json->is_first = false;
    if (plain_json_peek(json) == close) {
        json->at++;
        return false;
    }
    return is_first ? !json->is_broken : take(json, ',');
}

bool plain_json_name(struct plain_json *json, struct text *ret_name)
{
    return plain_json_string(json, ret_name) && take(json, ':');
}

bool plain_json_string(struct plain_json *json, struct text *ret_string)
{
    if (!take(json, '"'))
        return false;
    const char *start = json->at;
    const char *at = start;
    while (at < json->end && *at >= ' ' && *at <= '~' && *at != '"' && *at != '\\')
        at++;
    json->at = at;
    *ret_string = text_of(start, (size_t)(at - start));
    return at < json->end && *at == '"' ? (json->at++, true) : broken(json);
}

bool plain_json_number(struct plain_json *json, uint64_t *ret_number)
{
    uint64_t number = 0;
    plain_json_peek(json);
    const char *start = json->at;
    while (json->at < json->end && *json->at >= '0' && *json->at <= '9' && json->at - start <= DIGITS_MAX)
        number = number * 10 + (uint64_t)(*json->at++ - '0');
    size_t digits = (size_t)(json->at - start);
    *ret_number = number;
    bool has_more = json->at < json->end && (*json->at == '.' || *json->at == 'e' || *json->at == 'E');
    bool is_whole = digits > 0 && digits <= DIGITS_MAX && (*start != '0' || digits == 1) && !has_more;
    return is_whole && !json->is_broken ? true : broken(json);
}

static bool take_word(struct plain_json *json, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(json->end - json->at) < length || memcmp(json->at, word, length) != 0)
        return broken(json);
    json->at += length;
    return true;
}

bool plain_json_boolean(struct plain_json *json, bool *ret_value)
{
    *ret_value = plain_json_peek(json) == 't';
    return take_word(json, *ret_value ? "true" : "false") && !json->is_broken;
}

static bool skip_value(struct plain_json *json, unsigned depth);

static bool skip_object(struct plain_json *json, unsigned depth)
{
    struct plain_names names = { .count = 0 };
    struct text name;
    for (bool more = plain_json_enter(json, '{'); more && plain_json_next(json, '}');) {
        more = plain_json_name(json, &name) && skip_value(json, depth + 1);
        if (more && !plain_names_add(&names, name))
            return broken(json);
    }
    return !json->is_broken;
}

static bool skip_value(struct plain_json *json, unsigned depth)
{
    struct text string;
    uint64_t number;
    if (depth > PLAIN_JSON_DEPTH_MAX)
        return broken(json);
    switch (plain_json_peek(json)) {
    case '"':
        return plain_json_string(json, &string);
    case '{':
        return skip_object(json, depth);
    case '[':
        for (bool more = plain_json_enter(json, '['); more && plain_json_next(json, ']');)
            more = skip_value(json, depth + 1);
        return !json->is_broken;
    case 't':
        return take_word(json, "true");
    case 'f':
        return take_word(json, "false");
    case 'n':
        return take_word(json, "null");
    default:
        return plain_json_number(json, &number);
    }
}

bool plain_json_skip(struct plain_json *json)
{
    return skip_value(json, 1);
}

bool plain_json_is_read(struct plain_json *json)
{
    return plain_json_peek(json) == '\0' && json->at == json->end && !json->is_broken;
}

bool plain_names_add(struct plain_names *names, struct text name)
{
    for (unsigned i = 0; i < names->count; i++)
        if (names->names[i].length == name.length &&
            memcmp(names->names[i].bytes, name.bytes, name.length) == 0)
            return false;
    if (names->count == PLAIN_JSON_NAMES_MAX)
        return false;
    names->names[names->count++] = name;
    return true;
}

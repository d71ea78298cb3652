#include "wire/json_scan.h"

#include <stdint.h>
#include <string.h>

#include "base/parse.h"
#include "base/utf8.h"

/*
 *                 '{' '[' then key or value                     after_value() at depth 0
 *   json_scan ──▶ enter_value() ◀────────────── ',' ─── after_value() ───────────────────▶ done
 *                     └── scalar, or '}' ']' at once ───────▲
 */
enum step { STEP_INVALID, STEP_ENTER, STEP_AFTER, STEP_DONE };

struct scanner {
    const char *at;
    const char *end;
    size_t depth;
    uint8_t is_object[JSON_DEPTH_MAX / 8]; /* a bit for each open container */

    const char *name; /* the member looked for, in the outermost object */
    bool name_matches;
    const char *value_start;
    struct json_span member;
};

static void skip_space(struct scanner *scanner)
{
    while (scanner->at < scanner->end &&
           (*scanner->at == ' ' || *scanner->at == '\n' || *scanner->at == '\t' || *scanner->at == '\r'))
        scanner->at++;
}

static bool take(struct scanner *scanner, char byte)
{
    if (scanner->at == scanner->end || *scanner->at != byte)
        return false;
    scanner->at++;
    return true;
}

static bool take_escape(struct scanner *scanner)
{
    if (scanner->at == scanner->end)
        return false;
    char kind = *scanner->at++;
    if (kind != 'u')
        return kind != '\0' && strchr("\"\\/bfnrt", kind);
    for (int i = 0; i < 4; i++) {
        if (scanner->at == scanner->end || parse_hex_digit(*scanner->at) < 0)
            return false;
        scanner->at++;
    }
    return true;
}

static bool take_string(struct scanner *scanner)
{
    if (!take(scanner, '"'))
        return false;
    while (scanner->at < scanner->end) {
        unsigned char byte = (unsigned char)*scanner->at++;
        if (byte == '"')
            return true;
        if (byte < 0x20 || (byte == '\\' && !take_escape(scanner)))
            return false;
    }
    return false;
}

static bool take_digits(struct scanner *scanner)
{
    const char *start = scanner->at;
    while (scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9')
        scanner->at++;
    return scanner->at > start;
}

static bool take_number(struct scanner *scanner)
{
    take(scanner, '-');
    if (!take(scanner, '0') && !take_digits(scanner))
        return false;
    if (take(scanner, '.') && !take_digits(scanner))
        return false;
    if (take(scanner, 'e') || take(scanner, 'E')) {
        if (!take(scanner, '+'))
            take(scanner, '-');
        return take_digits(scanner);
    }
    return true;
}

static bool take_word(struct scanner *scanner, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(scanner->end - scanner->at) < length || memcmp(scanner->at, word, length) != 0)
        return false;
    scanner->at += length;
    return true;
}

static bool in_object(const struct scanner *scanner)
{
    size_t level = scanner->depth - 1;
    return scanner->is_object[level / 8] >> level % 8 & 1;
}

static bool open_container(struct scanner *scanner, bool is_object)
{
    if (scanner->depth == JSON_DEPTH_MAX)
        return false;
    size_t level = scanner->depth++;
    uint8_t bit = (uint8_t)(1u << level % 8);
    if (is_object)
        scanner->is_object[level / 8] |= bit;
    else
        scanner->is_object[level / 8] &= (uint8_t)~bit;
    scanner->at++;
    skip_space(scanner);
    return true;
}

static bool take_key(struct scanner *scanner)
{
    const char *start = scanner->at;
    if (!take_string(scanner))
        return false;
    if (scanner->depth == 1) {
        struct json_span key = { start, (size_t)(scanner->at - start) };
        scanner->name_matches = json_span_is(key, scanner->name);
    }
    skip_space(scanner);
    return take(scanner, ':');
}

static enum step close_container(struct scanner *scanner)
{
    scanner->at++;
    scanner->depth--;
    return STEP_AFTER;
}

static enum step enter_value(struct scanner *scanner)
{
    bool taken = false;
    skip_space(scanner);
    if (scanner->at == scanner->end)
        return STEP_INVALID;
    if (scanner->depth == 1)
        scanner->value_start = scanner->at;
    switch (*scanner->at) {
    case '{':
        if (!open_container(scanner, true))
            return STEP_INVALID;
        if (scanner->at < scanner->end && *scanner->at == '}')
            return close_container(scanner);
        return take_key(scanner) ? STEP_ENTER : STEP_INVALID;
    case '[':
        if (!open_container(scanner, false))
            return STEP_INVALID;
        if (scanner->at < scanner->end && *scanner->at == ']')
            return close_container(scanner);
        return STEP_ENTER;
    case '"':
        taken = take_string(scanner);
        break;
    case 't':
        taken = take_word(scanner, "true");
        break;
    case 'f':
        taken = take_word(scanner, "false");
        break;
    case 'n':
        taken = take_word(scanner, "null");
        break;
    default:
        taken = take_number(scanner);
        break;
    }
    return taken ? STEP_AFTER : STEP_INVALID;
}

static enum step after_value(struct scanner *scanner)
{
    if (scanner->depth == 1 && scanner->name_matches) {
        scanner->member =
            (struct json_span){ scanner->value_start, (size_t)(scanner->at - scanner->value_start) };
        scanner->name_matches = false;
    }
    skip_space(scanner);
    if (scanner->depth == 0)
        return scanner->at == scanner->end ? STEP_DONE : STEP_INVALID;
    if (scanner->at == scanner->end)
        return STEP_INVALID;
    if (*scanner->at == (in_object(scanner) ? '}' : ']'))
        return close_container(scanner);
    if (!take(scanner, ','))
        return STEP_INVALID;
    if (!in_object(scanner))
        return STEP_ENTER;
    skip_space(scanner);
    return take_key(scanner) ? STEP_ENTER : STEP_INVALID;
}

bool json_scan(const char *bytes, size_t length, const char *name, bool *ret_is_object,
               struct json_span *ret_member)
{
    if (length == 0 || utf8_valid_prefix(bytes, length) != length)
        return false;
    struct scanner scanner = { .at = bytes, .end = bytes + length, .name = name };
    skip_space(&scanner);
    bool is_object = scanner.at < scanner.end && *scanner.at == '{';

    enum step step = STEP_ENTER;
    while (step == STEP_ENTER || step == STEP_AFTER)
        step = step == STEP_ENTER ? enter_value(&scanner) : after_value(&scanner);
    if (step == STEP_INVALID)
        return false;
    *ret_is_object = is_object;
    *ret_member = scanner.member;
    return true;
}

/* The code unit that starts at `*at` in a string already known to be valid; moves `*at` behind it. */
static unsigned next_unit(const char **at)
{
    const char *bytes = *at;
    if (bytes[0] != '\\') {
        *at += 1;
        return (unsigned char)bytes[0];
    }
    if (bytes[1] != 'u') {
        *at += 2;
        const char *found = strchr("\"\"\\\\//b\bf\fn\nr\rt\t", bytes[1]);
        return found ? (unsigned char)found[1] : (unsigned char)bytes[1];
    }
    *at += 6;
    unsigned unit = 0;
    for (int i = 2; i < 6; i++)
        unit = unit << 4 | (unsigned)parse_hex_digit(bytes[i]);
    return unit;
}

bool json_span_is(struct json_span span, const char *text)
{
    if (!span.bytes || span.bytes[0] != '"')
        return false;
    const char *at = span.bytes + 1;
    const char *end = span.bytes + span.length - 1;
    while (*text != '\0' && at < end) {
        if (next_unit(&at) != (unsigned char)*text++)
            return false;
    }
    return *text == '\0' && at == end;
}

/*
 * What is granted does not widen. If a pattern covers a glob, it covers every channel that the glob matches;
 * a pattern covers no stream and channel of one name but `*`; and what it covers begins with what it says.
 * Input: a pattern, a glob and a channel's name, a line each.
 */
#include <string.h>

#include "access/pattern.h"
#include "fuzz.h"

/* A class, `at` behind its `[`. What Redis makes of it (util.c, stringmatchlen), written anew. */
static bool class_matches(struct text glob, size_t *at, unsigned char byte)
{
    bool negated = *at < glob.length && glob.bytes[*at] == '^';
    bool found = false;
    *at += negated;
    while (*at < glob.length && glob.bytes[*at] != ']') {
        const unsigned char *bytes = (const unsigned char *)glob.bytes + *at;
        size_t left = glob.length - *at;
        if (bytes[0] == '\\' && left >= 2) {
            found |= bytes[1] == byte;
            *at += 2;
        } else if (left >= 3 && bytes[1] == '-') {
            unsigned char low = bytes[0] < bytes[2] ? bytes[0] : bytes[2];
            unsigned char high = bytes[0] < bytes[2] ? bytes[2] : bytes[0];
            found |= byte >= low && byte <= high;
            *at += 3;
        } else {
            found |= bytes[0] == byte;
            *at += 1;
        }
    }
    *at += *at < glob.length;
    return found != negated;
}

static bool one_matches(struct text glob, size_t *at, unsigned char byte)
{
    char first = glob.bytes[(*at)++];
    if (first == '?')
        return true;
    if (first == '[')
        return class_matches(glob, at, byte);
    if (first == '\\' && *at < glob.length)
        first = glob.bytes[(*at)++];
    return (unsigned char)first == byte;
}

static bool glob_matches(struct text glob, struct text name)
{
    size_t at = 0, name_at = 0;
    size_t star = SIZE_MAX, star_name = 0; /* where to go on when the last `*` takes one more */
    while (name_at < name.length) {
        if (at < glob.length && glob.bytes[at] == '*') {
            star = ++at;
            star_name = name_at;
            continue;
        }
        if (at < glob.length && one_matches(glob, &at, (unsigned char)name.bytes[name_at])) {
            name_at++;
            continue;
        }
        if (star == SIZE_MAX)
            return false;
        at = star;
        name_at = ++star_name;
    }
    while (at < glob.length && glob.bytes[at] == '*')
        at++;
    return at == glob.length;
}

static bool covers(const struct pattern *pattern, enum access_topic_kind kind, struct text name)
{
    const struct access_topic topic = { .kind = kind, .name = name };
    return pattern_covers(pattern, &topic);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text rest = text_of((const char *)data, size);
    struct text line = { 0 }, glob = { 0 }, name = { 0 };
    struct pattern pattern;
    const char *why = NULL;
    text_split(&rest, '\n', &line);
    text_split(&rest, '\n', &glob);
    name = rest;
    if (!pattern_parse(line, &pattern, &why)) {
        REQUIRE(why != NULL);
        return 0;
    }
    if (covers(&pattern, ACCESS_GLOB, glob) && glob_matches(glob, name))
        REQUIRE(covers(&pattern, ACCESS_CHANNEL, name));
    bool channel = covers(&pattern, ACCESS_CHANNEL, name);
    bool stream = covers(&pattern, ACCESS_STREAM, name);
    REQUIRE(text_is(line, "*") ? channel && stream : !(channel && stream));
    if (text_is(line, "*"))
        return 0;
    struct text said = line;
    if (stream)
        said = text_of(line.bytes + strlen("stream:"), line.length - strlen("stream:"));
    if (channel || stream) {
        bool is_prefix = said.bytes[said.length - 1] == '*';
        size_t length = said.length - is_prefix;
        REQUIRE(name.length >= length && (length == 0 || memcmp(name.bytes, said.bytes, length) == 0));
        REQUIRE(is_prefix || name.length == length);
    }
    return 0;
}

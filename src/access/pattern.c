#include "access/pattern.h"

#define STREAM_PREFIX "stream:"

static bool begins_with(struct text text, struct text beginning)
{
    return text.length >= beginning.length &&
           (beginning.length == 0 || memcmp(text.bytes, beginning.bytes, beginning.length) == 0);
}

static bool is_wrong(const char **ret_problem, const char *problem)
{
    *ret_problem = problem;
    return false;
}

bool pattern_parse(struct text text, struct pattern *ret_pattern, const char **ret_problem)
{
    struct text prefix = text_of(STREAM_PREFIX, strlen(STREAM_PREFIX));
    *ret_pattern = (struct pattern){ .everything = text_is(text, "*"), .text = text };
    if (text.length == 0)
        return is_wrong(ret_problem, "is empty");
    if (text.length > PATTERN_BYTES_MAX)
        return is_wrong(ret_problem, "is longer than 512 bytes");
    if (memchr(text.bytes, '\0', text.length))
        return is_wrong(ret_problem, "has a NUL in it");
    if (ret_pattern->everything)
        return true;
    if (begins_with(text, prefix)) {
        ret_pattern->is_stream = true;
        text = text_of(text.bytes + prefix.length, text.length - prefix.length);
        if (text.length == 0)
            return is_wrong(ret_problem, "names no stream");
    }
    if (text.bytes[text.length - 1] == '*') {
        ret_pattern->is_prefix = true;
        text.length--;
    }
    if (text.length && memchr(text.bytes, '*', text.length))
        return is_wrong(ret_problem, "has a * that is not at its end");
    ret_pattern->text = text;
    return true;
}

/* What every channel that the glob matches begins with. An escape could be followed further; to stop there
 * covers less, never more. */
static struct text literal_beginning(struct text glob)
{
    size_t length = 0;
    while (length < glob.length && !strchr("*?[\\", glob.bytes[length]))
        length++;
    return text_of(glob.bytes, length);
}

static bool names(const struct pattern *pattern, struct text name)
{
    return pattern->is_prefix ? begins_with(name, pattern->text)
                              : name.length == pattern->text.length && begins_with(name, pattern->text);
}

bool pattern_covers(const struct pattern *pattern, const struct access_topic *topic)
{
    if (pattern->everything)
        return true;
    if (pattern->is_stream != (topic->kind == ACCESS_STREAM))
        return false;
    if (topic->kind != ACCESS_GLOB)
        return names(pattern, topic->name);
    struct text beginning = literal_beginning(topic->name);
    /* A glob without anything special in it is one channel's name. */
    if (beginning.length == topic->name.length)
        return names(pattern, topic->name);
    return pattern->is_prefix && begins_with(beginning, pattern->text);
}

bool pattern_within(const struct pattern *inner, const struct pattern *outer)
{
    if (outer->everything || inner->everything)
        return outer->everything;
    if (inner->is_stream != outer->is_stream)
        return false;
    return inner->is_prefix ? outer->is_prefix && begins_with(inner->text, outer->text)
                            : names(outer, inner->text);
}

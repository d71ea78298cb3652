#include "base/glob.h"

/* Whether the class that *pattern is in takes the byte; *pattern stands behind it then. As in Redis one that
 * is not closed ends with the pattern. */
static bool class_takes(const char **pattern, const char *end, char byte)
{
    const char *at = *pattern;
    bool is_inverted = at < end && *at == '^', is_in = false;
    for (at += is_inverted; at < end && *at != ']'; at++) {
        if (*at == '\\' && end - at >= 2) {
            is_in |= *++at == byte;
        } else if (end - at >= 3 && at[1] == '-') {
            char first = at[0], last = at[2];
            is_in |= first <= last ? byte >= first && byte <= last : byte >= last && byte <= first;
            at += 2;
        } else {
            is_in |= *at == byte;
        }
    }
    *pattern = at < end ? at + 1 : end;
    return is_in != is_inverted;
}

/* The same for whatever stands at *pattern, which is no `*`. */
static bool takes(const char **pattern, const char *end, char byte)
{
    char what = *(*pattern)++;
    if (what == '?')
        return true;
    if (what == '[')
        return class_takes(pattern, end, byte);
    if (what == '\\' && *pattern < end)
        what = *(*pattern)++;
    return what == byte;
}

bool glob_matches(const char *pattern, size_t pattern_length, const char *text, size_t text_length)
{
    const char *end = pattern + pattern_length, *text_end = text + text_length;
    const char *behind_star = NULL, *retry = NULL;
    while (text < text_end) {
        if (pattern < end && *pattern == '*') {
            behind_star = ++pattern;
            retry = text;
        } else if (pattern < end && takes(&pattern, end, *text)) {
            text++;
        } else if (behind_star) { /* the last star takes one byte more */
            pattern = behind_star;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}

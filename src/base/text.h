/* A borrowed run of bytes, as parsers hand them around. `bytes` is NULL where there is none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text {
    const char *bytes;
    size_t length;
};

static inline struct text text_of(const char *bytes, size_t length)
{
    return (struct text){ .bytes = bytes, .length = length };
}

static inline bool text_is(struct text text, const char *word)
{
    return text.bytes && text.length == strlen(word) && memcmp(text.bytes, word, text.length) == 0;
}

/* Without regard to the case of ASCII letters. */
bool text_is_caseless(struct text text, const char *word);

/* Without the spaces and tabs at both ends. */
struct text text_trim(struct text text);

/*
 * Takes the part before the next `separator` off the front of *rest. False when nothing is left. *rest is
 * without bytes once the last part has been taken, so an empty text has one empty part.
 */
bool text_split(struct text *rest, char separator, struct text *ret_part);

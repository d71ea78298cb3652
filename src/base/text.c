#include "base/text.h"

#include <strings.h>

bool text_is_caseless(struct text text, const char *word)
{
    return text.bytes && text.length == strlen(word) && strncasecmp(text.bytes, word, text.length) == 0;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

struct text text_trim(struct text text)
{
    while (text.length && is_blank(text.bytes[0])) {
        text.bytes++;
        text.length--;
    }
    while (text.length && is_blank(text.bytes[text.length - 1]))
        text.length--;
    return text;
}

bool text_split(struct text *rest, char separator, struct text *ret_part)
{
    if (!rest->bytes)
        return false;

    const char *end = rest->length ? memchr(rest->bytes, separator, rest->length) : NULL;
    if (!end) {
        *ret_part = *rest;
        *rest = (struct text){ 0 };
        return true;
    }
    size_t taken = (size_t)(end - rest->bytes);
    *ret_part = text_of(rest->bytes, taken);
    *rest = text_of(end + 1, rest->length - taken - 1);
    return true;
}

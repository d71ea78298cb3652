#include "access/credentials.h"

#include <strings.h>

#define SCHEME "bearer"

struct text credentials_bearer(struct text authorization)
{
    size_t length = strlen(SCHEME);
    if (authorization.length <= length || strncasecmp(authorization.bytes, SCHEME, length) != 0 ||
        authorization.bytes[length] != ' ')
        return (struct text){ 0 };
    return text_trim(text_of(authorization.bytes + length, authorization.length - length));
}

static struct text without_quotes(struct text value)
{
    if (value.length >= 2 && value.bytes[0] == '"' && value.bytes[value.length - 1] == '"')
        return text_of(value.bytes + 1, value.length - 2);
    return value;
}

struct text credentials_cookie(struct text cookies, const char *name, bool *ret_twice)
{
    struct text found = { 0 };
    struct text pair;
    *ret_twice = false;
    while (text_split(&cookies, ';', &pair)) {
        struct text value = text_trim(pair);
        struct text key;
        if (!text_split(&value, '=', &key) || !value.bytes || !text_is(key, name))
            continue;
        *ret_twice |= found.bytes != NULL;
        found = without_quotes(value);
    }
    return found;
}

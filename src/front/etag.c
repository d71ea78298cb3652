#include "front/etag.h"

#include <inttypes.h>
#include <stdio.h>

void etag_format(uint64_t hash, char ret_etag[static ETAG_LENGTH_MAX])
{
    snprintf(ret_etag, ETAG_LENGTH_MAX, "\"%016" PRIx64 "\"", hash);
}

/* Takes one entity-tag off the front, `W/` left out. A tag may hold a comma, so the list cannot be split at
 * them. */
static bool take_tag(struct text *rest, struct text *ret_tag)
{
    while (rest->length && (rest->bytes[0] == ' ' || rest->bytes[0] == '\t' || rest->bytes[0] == ',')) {
        rest->bytes++;
        rest->length--;
    }
    if (rest->length >= 2 && rest->bytes[0] == 'W' && rest->bytes[1] == '/') {
        rest->bytes += 2;
        rest->length -= 2;
    }
    if (rest->length < 2 || rest->bytes[0] != '"')
        return false;
    const char *end = memchr(rest->bytes + 1, '"', rest->length - 1);
    if (!end)
        return false;
    size_t taken = (size_t)(end + 1 - rest->bytes);
    *ret_tag = text_of(rest->bytes, taken);
    *rest = text_of(rest->bytes + taken, rest->length - taken);
    return true;
}

bool etag_matches(struct text if_none_match, const char *etag)
{
    if (!if_none_match.bytes)
        return false;
    struct text rest = text_trim(if_none_match);
    if (text_is(rest, "*"))
        return true;
    struct text tag;
    while (take_tag(&rest, &tag))
        if (text_is(tag, etag))
            return true;
    return false;
}

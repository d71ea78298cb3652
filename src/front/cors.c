#include "front/cors.h"

#include <strings.h>

enum cors_verdict cors_judge(const char *origins, struct text origin)
{
    struct text rest = text_of(origins, origins ? strlen(origins) : 0);
    if (!origin.bytes || !rest.bytes || text_trim(rest).length == 0)
        return CORS_NONE;

    struct text entry;
    while (text_split(&rest, ',', &entry)) {
        entry = text_trim(entry);
        if (text_is(entry, "*"))
            return CORS_ANY;
        if (entry.length && entry.length == origin.length &&
            memcmp(entry.bytes, origin.bytes, entry.length) == 0)
            return CORS_ECHO;
    }
    return CORS_DENIED;
}

bool cors_is_same_origin(struct text origin, struct text host)
{
    if (!origin.bytes)
        return true;
    for (size_t at = 0; at + 3 <= origin.length; at++) {
        if (memcmp(origin.bytes + at, "://", 3) != 0)
            continue;
        struct text authority = text_of(origin.bytes + at + 3, origin.length - at - 3);
        return host.bytes && authority.length == host.length &&
               strncasecmp(authority.bytes, host.bytes, host.length) == 0;
    }
    return false;
}

#include "front/reserved.h"

bool topic_is_reserved(struct text name)
{
    static const char *const prefixes[] = { "sluice:", "__redis__:" };
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        size_t length = strlen(prefixes[i]);
        if (name.length >= length && memcmp(name.bytes, prefixes[i], length) == 0)
            return true;
    }
    return false;
}

/* An id is taken only if it is written again byte for byte. Input: an id. */
#include <string.h>

#include "fuzz.h"
#include "wire/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor cursor;
    char text[CURSOR_LENGTH_MAX];
    if (!cursor_parse((const char *)data, size, &cursor))
        return 0;
    REQUIRE(cursor_format(&cursor, text) == size);
    REQUIRE(memcmp(text, data, size) == 0);
    return 0;
}

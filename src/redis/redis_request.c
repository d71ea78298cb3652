#include "redis/redis_request.h"

#include <string.h>

void redis_request_append(struct buffer *out, int count, const char *const *arguments, const size_t *lengths)
{
    buffer_append_byte(out, '*');
    buffer_append_unsigned(out, (uint64_t)count);
    buffer_append(out, "\r\n", 2);
    for (int i = 0; i < count; i++) {
        size_t length = lengths ? lengths[i] : strlen(arguments[i]);
        buffer_append_byte(out, '$');
        buffer_append_unsigned(out, length);
        buffer_append(out, "\r\n", 2);
        buffer_append(out, arguments[i], length);
        buffer_append(out, "\r\n", 2);
    }
}

#include "redis/redis_request.h"

#include <criterion/criterion.h>
#include <string.h>

Test(redis_request, is_an_array_of_bulk_strings_with_any_bytes)
{
    struct buffer out = { 0 };
    const char *const arguments[] = { "SET", "k\0\r\n", "" };
    const size_t lengths[] = { 3, 4, 0 };
    redis_request_append(&out, 3, arguments, lengths);
    static const char expected[] = "*3\r\n$3\r\nSET\r\n$4\r\nk\0\r\n\r\n$0\r\n\r\n";
    cr_assert_eq(out.size, sizeof(expected) - 1);
    cr_assert_eq(memcmp(out.data, expected, out.size), 0);

    const char *const words[] = { "PING" };
    redis_request_append(&out, 1, words, NULL);
    cr_assert_eq(memcmp(out.data + sizeof(expected) - 1, "*1\r\n$4\r\nPING\r\n", 14), 0);
    buffer_free(&out);
}

#include "base/utf8.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void expect(const char *bytes, size_t length, size_t valid, size_t skip)
{
    /* A copy of the exact size lets the address sanitizer see a read past the end. */
    char *copy = malloc(length ? length : 1);
    memcpy(copy, bytes, length);
    cr_assert_eq(utf8_valid_prefix(copy, length), valid, "valid prefix %zu", utf8_valid_prefix(copy, length));
    if (valid < length)
        cr_assert_eq(utf8_invalid_length(copy + valid, length - valid), skip, "skips %zu",
                     utf8_invalid_length(copy + valid, length - valid));
    free(copy);
}

Test(utf8, valid)
{
    expect("", 0, 0, 0);
    expect("0123456789abcdef!", 17, 17, 0);
    expect("a\0b", 3, 3, 0);
    expect("\xC2\x80\xDF\xBF", 4, 4, 0);
    expect("\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF", 12, 12, 0);
    expect("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", 8, 8, 0);
    expect("seven77\xE2\x82\xAC", 10, 10, 0); /* a character across the eight-byte steps */
}

Test(utf8, invalid)
{
    expect("12345678\x80", 9, 8, 1);     /* continuation alone */
    expect("\xC0\xAF", 2, 0, 1);         /* overlong */
    expect("\xC1\xBF", 2, 0, 1);         /* overlong */
    expect("\xE0\x9F\x80", 3, 0, 1);     /* overlong */
    expect("\xF0\x8F\xBF\xBF", 4, 0, 1); /* overlong */
    expect("\xED\xA0\x80", 3, 0, 1);     /* surrogate */
    expect("\xF4\x90\x80\x80", 4, 0, 1); /* above U+10FFFF */
    expect("\xF5\x80\x80\x80", 4, 0, 1);
    expect("\xFF", 1, 0, 1);
}

Test(utf8, maximal_subparts)
{
    /* The Unicode standard's example, table 3-8: 61 F1 80 80 E1 80 C2 62 80 63 80 BF 64 */
    expect("\xF1\x80\x80\xE1\x80\xC2"
           "b",
           7, 0, 3);
    expect("\xE1\x80\xC2"
           "b",
           4, 0, 2);
    expect("\xC2"
           "b",
           2, 0, 1);
    expect("\xE2\x82", 2, 0, 2); /* cut off at the end */
    expect("\xF0\x9F\x98", 3, 0, 3);
    expect("\xC3", 1, 0, 1);
}

Test(utf8, every_code_point)
{
    for (uint32_t code = 0; code <= 0x110000; code++) {
        char bytes[4];
        size_t length;
        if (code < 0x80) {
            bytes[0] = (char)code;
            length = 1;
        } else if (code < 0x800) {
            bytes[0] = (char)(0xC0 | code >> 6);
            bytes[1] = (char)(0x80 | (code & 0x3F));
            length = 2;
        } else if (code < 0x10000) {
            bytes[0] = (char)(0xE0 | code >> 12);
            bytes[1] = (char)(0x80 | (code >> 6 & 0x3F));
            bytes[2] = (char)(0x80 | (code & 0x3F));
            length = 3;
        } else {
            bytes[0] = (char)(0xF0 | code >> 18);
            bytes[1] = (char)(0x80 | (code >> 12 & 0x3F));
            bytes[2] = (char)(0x80 | (code >> 6 & 0x3F));
            bytes[3] = (char)(0x80 | (code & 0x3F));
            length = 4;
        }
        bool is_character = code < 0x110000 && (code < 0xD800 || code > 0xDFFF);
        if ((utf8_valid_prefix(bytes, length) == length) != is_character)
            cr_assert_fail("U+%04X", code);
    }
}

/* Literals as `struct text`, NUL bytes inside included. */
#pragma once

#include "base/text.h"

#define TEXT(literal) text_of((literal), sizeof(literal) - 1)

#define CHECK_TEXT(actual, expected)                                                                         \
    do {                                                                                                     \
        struct text checked = (actual);                                                                      \
        cr_assert_eq(checked.length, sizeof(expected) - 1, "\"%.*s\" instead of \"%s\"",                     \
                     (int)checked.length, checked.bytes, (expected));                                        \
        cr_assert(checked.length == 0 || memcmp(checked.bytes, (expected), checked.length) == 0,             \
                  "\"%.*s\" instead of \"%s\"", (int)checked.length, checked.bytes, (expected));             \
    } while (0)

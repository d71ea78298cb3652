#include "wire/cursor.h"

#include <criterion/criterion.h>
#include <string.h>

static void check_round_trip(uint64_t epoch, uint64_t sequence, bool complete, const char *expected)
{
    struct cursor cursor = { .epoch = epoch, .sequence = sequence, .complete = complete };
    char text[CURSOR_LENGTH_MAX];
    size_t length = cursor_format(&cursor, text);
    cr_assert_eq(length, strlen(expected));
    cr_assert_arr_eq(text, expected, length);

    struct cursor parsed;
    cr_assert(cursor_parse(text, length, &parsed));
    cr_assert_eq(parsed.epoch, epoch);
    cr_assert_eq(parsed.sequence, sequence);
    cr_assert_eq(parsed.complete, complete);
}

Test(cursor, round_trips)
{
    check_round_trip(UINT64_C(0x5f3a9c2e81b04d17), 1284, false, "5f3a9c2e81b04d17-1284");
    check_round_trip(UINT64_C(0x5f3a9c2e81b04d17), 1284, true, "5f3a9c2e81b04d17-1284-c");
    check_round_trip(0, 0, false, "0000000000000000-0");
    check_round_trip(0, 0, true, "0000000000000000-0-c");
    check_round_trip(UINT64_MAX, UINT64_MAX, true, "ffffffffffffffff-18446744073709551615-c");
}

Test(cursor, needs_no_preflight)
{
    struct cursor cursor = { .epoch = UINT64_MAX, .sequence = UINT64_MAX, .complete = true };
    char text[CURSOR_LENGTH_MAX];
    size_t length = cursor_format(&cursor, text);
    for (size_t i = 0; i < length; i++)
        cr_assert(!memchr("\"():<>?@[\\]{}\x7f", text[i], 14) && text[i] >= 0x20);
}

Test(cursor, refuses_what_it_would_not_write)
{
    static const char *const hostile[] = {
        "",
        "-",
        "-c",
        "0",
        "5f3a9c2e81b04d17",
        "5f3a9c2e81b04d17-",
        "5f3a9c2e81b04d17--c",
        "5f3a9c2e81b04d17-c",
        "5f3a9c2e81b04d17-1-",
        "5f3a9c2e81b04d17-1-d",
        "5f3a9c2e81b04d17-1-C",
        "5f3a9c2e81b04d17-1-c-c",
        "5f3a9c2e81b04d17-1-cc",
        "5f3a9c2e81b04d17-01",
        "5f3a9c2e81b04d17-00",
        "5f3a9c2e81b04d17-01-c",
        "5f3a9c2e81b04d17-+1",
        "5f3a9c2e81b04d17--1",
        "5f3a9c2e81b04d17- 1",
        "5f3a9c2e81b04d17-1 ",
        " 5f3a9c2e81b04d17-1",
        "5f3a9c2e81b04d17-0x1",
        "5f3a9c2e81b04d17-1.0",
        "5f3a9c2e81b04d17-18446744073709551616",
        "5f3a9c2e81b04d17-99999999999999999999",
        "5f3a9c2e81b04d17-111111111111111111111111111111",
        "5F3A9C2E81B04D17-1",
        "5f3a9c2e81b04d1-1",
        "5f3a9c2e81b04d170-1",
        "5f3a9c2e81b04d1g-1",
        "5f3a9c2e81b04d17_1",
        "5f3a9c2e81b04d17:1",
        "0x3a9c2e81b04d17-1",
        "1517574547834-0",
        "$",
        "5f3a9c2e81b04d17-1\n",
        "\xEF\xBB\xBF"
        "5f3a9c2e81b04d17-1",
        "5f3a9c2e81b04d17-\xD9\xA1",
        "5f3a9c2e81b04d17-000000000000000000000000000000000000000000000000000000000000000000000001",
    };
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        struct cursor cursor;
        cr_assert(!cursor_parse(hostile[i], strlen(hostile[i]), &cursor), "took %s", hostile[i]);
    }
}

Test(cursor, reads_no_further_than_the_length)
{
    struct cursor cursor;
    cr_assert(cursor_parse("5f3a9c2e81b04d17-1284-cX", 23, &cursor));
    cr_assert(cursor.complete);
    cr_assert(cursor_parse("5f3a9c2e81b04d17-1284-cX", 21, &cursor));
    cr_assert(!cursor.complete);
    cr_assert(!cursor_parse("5f3a9c2e81b04d17-1284", 17, &cursor));
    cr_assert(!cursor_parse("5f3a9c2e81b04d17-1\0", 19, &cursor));
    cr_assert(!cursor_parse("5f3a9c2e81b04d1\0-12", 19, &cursor)); /* NUL is no hex digit */
    cr_assert(!cursor_parse(NULL, 0, &cursor));
}

Test(cursor, every_changed_byte_is_refused_or_written_back)
{
    static const char good[] = "5f3a9c2e81b04d17-1284-c";
    size_t length = sizeof(good) - 1;
    for (size_t i = 0; i < length; i++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            char text[sizeof(good)];
            memcpy(text, good, sizeof(good));
            text[i] = (char)byte;
            struct cursor cursor;
            if (!cursor_parse(text, length, &cursor))
                continue;
            char written[CURSOR_LENGTH_MAX];
            cr_assert_eq(cursor_format(&cursor, written), length);
            cr_assert_arr_eq(written, text, length);
        }
    }
}

#include "wire/entry_id.h"

#include <criterion/criterion.h>
#include <string.h>

static void check_round_trip(uint64_t ms, uint64_t sequence, const char *expected)
{
    struct entry_id id = { .ms = ms, .sequence = sequence };
    char text[ENTRY_ID_LENGTH_MAX];
    cr_assert_eq(entry_id_format(id, text), strlen(expected));
    cr_assert_str_eq(text, expected);

    struct entry_id parsed;
    cr_assert(entry_id_parse(text, strlen(text), &parsed));
    cr_assert_eq(entry_id_compare(parsed, id), 0);
}

Test(entry_id, round_trips)
{
    check_round_trip(0, 0, "0-0");
    check_round_trip(0, 1, "0-1");
    check_round_trip(1517574547834, 0, "1517574547834-0");
    check_round_trip(10, 100, "10-100");
    check_round_trip(UINT64_MAX, UINT64_MAX, "18446744073709551615-18446744073709551615");
}

Test(entry_id, milliseconds_alone_are_the_first_of_them)
{
    struct entry_id id = { 1, 1 };
    cr_assert(entry_id_parse("1517574547834", 13, &id));
    cr_assert_eq(id.ms, 1517574547834);
    cr_assert_eq(id.sequence, 0);
    cr_assert(entry_id_parse("0", 1, &id));
    cr_assert_eq(id.ms, 0);
}

Test(entry_id, refuses_what_is_none)
{
    static const char *const hostile[] = {
        "",
        "-",
        "-0",
        "1-",
        "--",
        "1--1",
        "1-1-1",
        "+1-1",
        "1-+1",
        " 1-1",
        "1-1 ",
        "1 -1",
        "$",
        ">",
        "*",
        "1-*",
        "(1-1",
        "0x1-1",
        "1.0-1",
        "1e3-1",
        "a-b",
        "1-1\n",
        "18446744073709551616-0",
        "0-18446744073709551616",
        "000000000000000000000000000000000000000001",
        "1517574547834-00000000000000000000000000000000000000000001",
    };
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        struct entry_id id;
        cr_assert(!entry_id_parse(hostile[i], strlen(hostile[i]), &id), "took %s", hostile[i]);
    }
    struct entry_id id;
    cr_assert(!entry_id_parse(NULL, 0, &id));
    cr_assert(!entry_id_parse("1-1\0", 4, &id));
}

Test(entry_id, reads_no_further_than_the_length)
{
    struct entry_id id;
    cr_assert(entry_id_parse("12-345", 5, &id));
    cr_assert_eq(id.sequence, 34);
    cr_assert(entry_id_parse("12-345", 2, &id));
    cr_assert_eq(id.ms, 12);
    cr_assert(!entry_id_parse("12-345", 3, &id));
}

Test(entry_id, compares_as_numbers)
{
    static const struct entry_id ordered[] = {
        { 0, 0 }, { 0, 1 }, { 0, UINT64_MAX }, { 1, 0 }, { 9, 10 }, { 10, 9 }, { UINT64_MAX, 0 },
    };
    size_t count = sizeof(ordered) / sizeof(ordered[0]);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            int order = entry_id_compare(ordered[i], ordered[j]);
            cr_assert_eq((order > 0) - (order < 0), (i > j) - (i < j), "%zu %zu", i, j);
        }
}

Test(entry_id, the_one_before)
{
    struct entry_id before = entry_id_before((struct entry_id){ 5, 3 });
    cr_assert_eq(entry_id_compare(before, (struct entry_id){ 5, 2 }), 0);
    before = entry_id_before((struct entry_id){ 5, 0 });
    cr_assert_eq(entry_id_compare(before, (struct entry_id){ 4, UINT64_MAX }), 0);
    before = entry_id_before((struct entry_id){ 0, 0 });
    cr_assert_eq(entry_id_compare(before, (struct entry_id){ 0, 0 }), 0);
}

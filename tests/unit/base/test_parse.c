#include "base/parse.h"

#include <criterion/criterion.h>
#include <string.h>

struct number_case {
    const char *text;
    bool good;
    uint64_t value;
};

static void check(bool (*parse)(const char *, size_t, uint64_t *), const struct number_case *cases,
                  size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 77;
        bool good = parse(cases[i].text, strlen(cases[i].text), &value);
        cr_assert_eq(good, cases[i].good, "'%s'", cases[i].text);
        cr_assert_eq(value, cases[i].good ? cases[i].value : 77, "'%s' gave %lu", cases[i].text, value);
    }
}

#define CHECK(parse, cases) check((parse), (cases), sizeof(cases) / sizeof(cases)[0])

Test(parse, unsigned_numbers)
{
    static const struct number_case cases[] = {
        { "0", true, 0 },
        { "007", true, 7 },
        { "18446744073709551615", true, UINT64_MAX },
        { "18446744073709551616", false, 0 },
        { "99999999999999999999999", false, 0 },
        { "", false, 0 },
        { "-1", false, 0 },
        { "+1", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "0x10", false, 0 },
        { "1e3", false, 0 },
    };
    CHECK(parse_unsigned, cases);
}

Test(parse, length_counts_not_the_terminator)
{
    uint64_t value;
    cr_assert(parse_unsigned("12345", 3, &value));
    cr_assert_eq(value, 123);
    cr_assert_not(parse_unsigned("12\0", 3, &value));
    cr_assert_not(parse_unsigned(NULL, 0, &value));
}

Test(parse, durations)
{
    static const struct number_case cases[] = {
        { "250ms", true, 250 },  { "15s", true, 15000 },  { "15", true, 15000 },
        { "10m", true, 600000 }, { "1h", true, 3600000 }, { "0", true, 0 },
        { "2H", true, 7200000 }, { "1d", false, 0 },      { "s", false, 0 },
        { "", false, 0 },        { "1.5s", false, 0 },    { "1s ", false, 0 },
        { "1 s", false, 0 },     { "-1s", false, 0 },     { "18446744073709551615h", false, 0 },
    };
    CHECK(parse_duration_ms, cases);
}

Test(parse, sizes)
{
    static const struct number_case cases[] = {
        { "65536", true, 65536 },
        { "64KiB", true, 65536 },
        { "64KB", true, 65536 },
        { "64kb", true, 65536 },
        { "1MiB", true, 1048576 },
        { "2MB", true, 2097152 },
        { "1GiB", true, 1073741824 },
        { "1K", false, 0 },
        { "KiB", false, 0 },
        { "1KiBx", false, 0 },
        { "17179869184GiB", false, 0 },
        { "", false, 0 },
    };
    CHECK(parse_size_bytes, cases);
}

Test(parse, switches)
{
    static const char *const on[] = { "on", "true", "yes", "1", "ON", "True" };
    static const char *const off[] = { "off", "false", "no", "0", "OFF", "No" };
    static const char *const neither[] = { "", "o", "onn", "2", "enabled", " on" };
    bool value;
    for (size_t i = 0; i < 6; i++) {
        value = false;
        cr_assert(parse_switch(on[i], strlen(on[i]), &value));
        cr_assert(value, "%s", on[i]);
        cr_assert(parse_switch(off[i], strlen(off[i]), &value));
        cr_assert_not(value, "%s", off[i]);
        cr_assert_not(parse_switch(neither[i], strlen(neither[i]), &value), "%s", neither[i]);
    }
}

static void expect_time(const char *text, uint64_t expected)
{
    uint64_t ms = 0;
    cr_assert(parse_time_ms(text, strlen(text), &ms), "%s", text);
    cr_expect_eq(ms, expected, "%s is %llu", text, (unsigned long long)ms);
}

Test(parse, times)
{
    expect_time("1970-01-01", 0);
    expect_time("2026-11-21T10:00:00Z", UINT64_C(1795255200000));
    expect_time("2026-11-21T10:00:00", UINT64_C(1795255200000));
    expect_time("2026-11-21 10:00:00.5", UINT64_C(1795255200500));
    expect_time("2026-11-21T10:00:00.1239Z", UINT64_C(1795255200123));
    expect_time("2026-11-21T11:30:00+01:30", UINT64_C(1795255200000));
    expect_time("2026-11-21T08:00:00-02:00", UINT64_C(1795255200000));
    expect_time("2024-02-29", UINT64_C(1709164800000));
    static const char *const bad[] = { "",
                                       "2026",
                                       "2026-11",
                                       "2026-13-01",
                                       "2026-02-30",
                                       "2026-11-21T10",
                                       "2026-11-21T10:00",
                                       "2026-11-21T10:00:00.",
                                       "2026-11-21T10:00:00X",
                                       "2026-11-21T10:00:00Zx",
                                       "2026-11-21T10:00:00+1",
                                       "-026-11-21",
                                       "1970-01-01T00:00:00+01:00" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t ms;
        cr_expect_not(parse_time_ms(bad[i], strlen(bad[i]), &ms), "%s", bad[i]);
    }
}

Test(parse, hex_digits)
{
    static const char digits[] = "0123456789abcdef", capitals[] = "0123456789ABCDEF";
    for (int value = 0; value < 16; value++) {
        cr_assert_eq(parse_hex_digit(digits[value]), value);
        cr_assert_eq(parse_hex_digit(capitals[value]), value);
    }
    for (int byte = 0; byte < 256; byte++)
        if (!byte || !strchr("0123456789abcdefABCDEF", byte))
            cr_assert_eq(parse_hex_digit((char)byte), -1, "%d", byte);
}

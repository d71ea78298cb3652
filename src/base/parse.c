#include "base/parse.h"

#include <string.h>
#include <strings.h>
#include <time.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* The digits at the start as a number; their count, or 0 if there is none or the number is too large. */
static size_t leading_digits(const char *text, size_t length, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t count = 0;
    while (count < length && text[count] >= '0' && text[count] <= '9') {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[count] - '0'), &value))
            return 0;
        count++;
    }
    *ret_value = value;
    return count;
}

static bool same_word(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

/* A number and one of `units`, whatever its case; "" stands for no unit. */
static bool parse_with_unit(const char *text, size_t length, const struct unit *units, size_t unit_count,
                            uint64_t *ret_value)
{
    uint64_t number;
    size_t digits = leading_digits(text, length, &number);
    if (digits == 0)
        return false;
    for (size_t i = 0; i < unit_count; i++) {
        uint64_t value;
        if (!same_word(text + digits, length - digits, units[i].name))
            continue;
        if (__builtin_mul_overflow(number, units[i].factor, &value))
            return false;
        *ret_value = value;
        return true;
    }
    return false;
}

bool parse_unsigned(const char *text, size_t length, uint64_t *ret_value)
{
    uint64_t value;
    size_t digits = leading_digits(text, length, &value);
    if (digits == 0 || digits != length)
        return false;
    *ret_value = value;
    return true;
}

bool parse_duration_ms(const char *text, size_t length, uint64_t *ret_ms)
{
    static const struct unit units[] = {
        { "ms", 1 },
        { "s", 1000 },
        { "", 1000 },
        { "m", UINT64_C(60) * 1000 },
        { "h", UINT64_C(60) * 60 * 1000 },
    };
    return parse_with_unit(text, length, units, sizeof units / sizeof units[0], ret_ms);
}

bool parse_size_bytes(const char *text, size_t length, uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        { "", 1 },          { "KiB", 1U << 10 }, { "KB", 1U << 10 }, { "MiB", 1U << 20 },
        { "MB", 1U << 20 }, { "GiB", 1U << 30 }, { "GB", 1U << 30 },
    };
    return parse_with_unit(text, length, units, sizeof units / sizeof units[0], ret_bytes);
}

bool parse_switch(const char *text, size_t length, bool *ret_on)
{
    static const char *const on[] = { "on", "true", "yes", "1" };
    static const char *const off[] = { "off", "false", "no", "0" };
    for (size_t i = 0; i < sizeof on / sizeof on[0]; i++) {
        bool is_on = same_word(text, length, on[i]);
        if (is_on || same_word(text, length, off[i])) {
            *ret_on = is_on;
            return true;
        }
    }
    return false;
}

/* --- times --- */

struct scanner {
    const char *at;
    const char *end;
};

static bool scan_number(struct scanner *scanner, size_t digits, unsigned low, unsigned high,
                        unsigned *ret_value)
{
    uint64_t value;
    if ((size_t)(scanner->end - scanner->at) < digits || !parse_unsigned(scanner->at, digits, &value) ||
        value < low || value > high)
        return false;
    scanner->at += digits;
    *ret_value = (unsigned)value;
    return true;
}

static bool scan_byte(struct scanner *scanner, const char *choices)
{
    if (scanner->at == scanner->end || !*scanner->at || !strchr(choices, *scanner->at))
        return false;
    scanner->at++;
    return true;
}

/* `.1` to `.123456…`: milliseconds, the rest cut off. */
static bool scan_fraction(struct scanner *scanner, unsigned *ret_ms)
{
    static const unsigned weights[] = { 100, 10, 1 };
    *ret_ms = 0;
    if (!scan_byte(scanner, "."))
        return true;
    size_t digits = 0;
    for (; scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9'; scanner->at++, digits++)
        if (digits < sizeof(weights) / sizeof(weights[0]))
            *ret_ms += (unsigned)(*scanner->at - '0') * weights[digits];
    return digits > 0;
}

static bool scan_offset(struct scanner *scanner, int64_t *ret_seconds)
{
    unsigned hours, minutes;
    *ret_seconds = 0;
    if (scanner->at == scanner->end || scan_byte(scanner, "Zz"))
        return true;
    char sign = *scanner->at;
    if (!scan_byte(scanner, "+-") || !scan_number(scanner, 2, 0, 23, &hours) || !scan_byte(scanner, ":") ||
        !scan_number(scanner, 2, 0, 59, &minutes))
        return false;
    int64_t seconds = (int64_t)hours * 3600 + (int64_t)minutes * 60;
    *ret_seconds = sign == '-' ? -seconds : seconds;
    return true;
}

bool parse_time_ms(const char *text, size_t length, uint64_t *ret_ms)
{
    struct scanner scanner = { text, text + length };
    unsigned year, month, day, hour = 0, minute = 0, second = 0, ms = 0;
    int64_t offset = 0;
    if (!scan_number(&scanner, 4, 1970, 9999, &year) || !scan_byte(&scanner, "-") ||
        !scan_number(&scanner, 2, 1, 12, &month) || !scan_byte(&scanner, "-") ||
        !scan_number(&scanner, 2, 1, 31, &day))
        return false;
    if (scan_byte(&scanner, "Tt ") &&
        (!scan_number(&scanner, 2, 0, 23, &hour) || !scan_byte(&scanner, ":") ||
         !scan_number(&scanner, 2, 0, 59, &minute) || !scan_byte(&scanner, ":") ||
         !scan_number(&scanner, 2, 0, 60, &second) || !scan_fraction(&scanner, &ms) ||
         !scan_offset(&scanner, &offset)))
        return false;
    struct tm broken_down = { .tm_year = (int)year - 1900,
                              .tm_mon = (int)month - 1,
                              .tm_mday = (int)day,
                              .tm_hour = (int)hour,
                              .tm_min = (int)minute,
                              .tm_sec = (int)second };
    int64_t seconds = (int64_t)timegm(&broken_down) - offset;
    if (scanner.at != scanner.end || seconds < 0 || broken_down.tm_mday != (int)day)
        return false;
    *ret_ms = (uint64_t)seconds * 1000 + ms;
    return true;
}

int parse_hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

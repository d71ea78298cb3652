#include "base/parse.h"

#include <string.h>
#include <strings.h>

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

#include "wire/cursor.h"

#include <string.h>

#include "base/parse.h"

#define EPOCH_DIGITS 16
#define SEQUENCE_DIGITS_MAX 20
#define COMPLETE_SUFFIX "-c"
#define COMPLETE_SUFFIX_LENGTH 2

static const char hex_digits[] = "0123456789abcdef";

size_t cursor_format(const struct cursor *cursor, char ret_text[static CURSOR_LENGTH_MAX])
{
    size_t length = 0;
    for (int shift = 4 * (EPOCH_DIGITS - 1); shift >= 0; shift -= 4)
        ret_text[length++] = hex_digits[cursor->epoch >> shift & 0xF];
    ret_text[length++] = '-';

    char reversed[SEQUENCE_DIGITS_MAX];
    size_t digits = 0;
    uint64_t rest = cursor->sequence;
    do {
        reversed[digits++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    while (digits > 0)
        ret_text[length++] = reversed[--digits];

    if (cursor->complete) {
        memcpy(ret_text + length, COMPLETE_SUFFIX, COMPLETE_SUFFIX_LENGTH);
        length += COMPLETE_SUFFIX_LENGTH;
    }
    return length;
}

static bool parse_epoch(const char *text, uint64_t *ret_epoch)
{
    uint64_t epoch = 0;
    for (size_t i = 0; i < EPOCH_DIGITS; i++) {
        const char *digit = memchr(hex_digits, text[i], EPOCH_DIGITS);
        if (!digit)
            return false;
        epoch = epoch << 4 | (uint64_t)(digit - hex_digits);
    }
    *ret_epoch = epoch;
    return true;
}

bool cursor_parse(const char *text, size_t length, struct cursor *ret_cursor)
{
    struct cursor cursor = { 0 };
    if (length < EPOCH_DIGITS + 2 || length > CURSOR_LENGTH_MAX)
        return false;
    if (!parse_epoch(text, &cursor.epoch) || text[EPOCH_DIGITS] != '-')
        return false;
    text += EPOCH_DIGITS + 1;
    length -= EPOCH_DIGITS + 1;

    if (length > COMPLETE_SUFFIX_LENGTH &&
        memcmp(text + length - COMPLETE_SUFFIX_LENGTH, COMPLETE_SUFFIX, COMPLETE_SUFFIX_LENGTH) == 0) {
        cursor.complete = true;
        length -= COMPLETE_SUFFIX_LENGTH;
    }
    /* Leading zeros would give one position two ids. */
    if (length > 1 && text[0] == '0')
        return false;
    if (!parse_unsigned(text, length, &cursor.sequence))
        return false;
    *ret_cursor = cursor;
    return true;
}

#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/*
 * Looks at the character at the start. True if it is well formed; *ret_length is then its length, else the
 * length of the longest prefix that could still have become a character, at least 1 (Unicode, section 3.9,
 * "maximal subpart").
 */
static bool decode(const unsigned char *bytes, size_t length, size_t *ret_length)
{
    unsigned char lead = bytes[0];
    size_t expected;
    /* The second byte's range shuts out overlong forms, surrogates and what lies above U+10FFFF. */
    unsigned char second_low = 0x80;
    unsigned char second_high = 0xBF;

    *ret_length = 1;
    if (lead < 0x80)
        return true;
    if (lead < 0xC2 || lead > 0xF4)
        return false;
    if (lead < 0xE0) {
        expected = 2;
    } else if (lead < 0xF0) {
        expected = 3;
        if (lead == 0xE0)
            second_low = 0xA0;
        else if (lead == 0xED)
            second_high = 0x9F;
    } else {
        expected = 4;
        if (lead == 0xF0)
            second_low = 0x90;
        else if (lead == 0xF4)
            second_high = 0x8F;
    }

    if (length < 2 || bytes[1] < second_low || bytes[1] > second_high)
        return false;
    size_t good = 2;
    while (good < expected && good < length && (bytes[good] & 0xC0) == 0x80)
        good++;
    *ret_length = good;
    return good == expected;
}

size_t utf8_valid_prefix(const char *bytes, size_t length)
{
    const unsigned char *input = (const unsigned char *)bytes;
    size_t at = 0;
    while (at < length) {
        /* Most payloads are plain ASCII: eight bytes a step. */
        uint64_t word;
        if (length - at >= sizeof word) {
            memcpy(&word, input + at, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof word;
                continue;
            }
        }
        size_t step;
        if (!decode(input + at, length - at, &step))
            return at;
        at += step;
    }
    return length;
}

size_t utf8_invalid_length(const char *bytes, size_t length)
{
    size_t invalid;
    decode((const unsigned char *)bytes, length, &invalid);
    return invalid;
}

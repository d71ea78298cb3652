#include "access/base64url.h"

#include <stdint.h>

static const char letters[64] = {
    'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P',
    'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b', 'c', 'd', 'e', 'f',
    'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v',
    'w', 'x', 'y', 'z', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '-', '_',
};

/* The value of a letter, and NONE of any other byte. */
#define NONE 0x80

static const uint8_t values[256] = {
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 62,   NONE, NONE,
    52,   53,   54,   55,   56,   57,   58,   59,   60,   61,   NONE, NONE, NONE, NONE, NONE, NONE,
    NONE, 0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,
    15,   16,   17,   18,   19,   20,   21,   22,   23,   24,   25,   NONE, NONE, NONE, NONE, 63,
    NONE, 26,   27,   28,   29,   30,   31,   32,   33,   34,   35,   36,   37,   38,   39,   40,
    41,   42,   43,   44,   45,   46,   47,   48,   49,   50,   51,   NONE, NONE, NONE, NONE, NONE,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
};

static uint8_t value_of(char letter)
{
    return values[(unsigned char)letter];
}

bool base64url_is_text(struct text text)
{
    uint8_t all = 0;
    for (size_t at = 0; at < text.length; at++)
        all |= value_of(text.bytes[at]);
    return !(all & NONE);
}

bool base64url_decode(struct text text, char *ret_bytes, size_t *ret_length)
{
    const char *from = text.bytes;
    char *to = ret_bytes;
    size_t tail = text.length % 4;
    uint8_t all = 0;
    for (size_t left = text.length / 4; left > 0; left--, from += 4, to += 3) {
        uint8_t first = value_of(from[0]), second = value_of(from[1]);
        uint8_t third = value_of(from[2]), fourth = value_of(from[3]);
        all |= first | second | third | fourth;
        to[0] = (char)(first << 2 | second >> 4);
        to[1] = (char)(second << 4 | third >> 2);
        to[2] = (char)(third << 6 | fourth);
    }
    uint8_t rest = 0; /* bits that belong to no byte, and must be 0 */
    if (tail >= 2) {
        uint8_t first = value_of(from[0]), second = value_of(from[1]);
        uint8_t third = tail == 3 ? value_of(from[2]) : 0;
        all |= first | second | third;
        *to++ = (char)(first << 2 | second >> 4);
        if (tail == 3)
            *to++ = (char)(second << 4 | third >> 2);
        rest = tail == 3 ? third & 3 : second & 15;
    }
    *ret_length = (size_t)(to - ret_bytes);
    return tail != 1 && !(all & NONE) && rest == 0;
}

void base64url_encode(const void *bytes, size_t length, char *ret_text)
{
    const unsigned char *from = bytes;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    for (size_t at = 0; at < length; at++) {
        bits = bits << 8 | from[at];
        for (bit_count += 8; bit_count >= 6; bit_count -= 6)
            *ret_text++ = letters[bits >> (bit_count - 6) & 63];
    }
    if (bit_count > 0)
        *ret_text++ = letters[bits << (6 - bit_count) & 63];
    *ret_text = '\0';
}

#include "access/base64url.h"

#include <stdint.h>

static const char letters[64] = {
    'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P',
    'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b', 'c', 'd', 'e', 'f',
    'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v',
    'w', 'x', 'y', 'z', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '-', '_',
};

/* -1 for what is no letter. */
static int value_of(char letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52;
    return letter == '-' ? 62 : letter == '_' ? 63 : -1;
}

bool base64url_decode(struct text text, char *ret_bytes, size_t *ret_length)
{
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t length = 0;
    for (size_t at = 0; at < text.length; at++) {
        int value = value_of(text.bytes[at]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count < 8)
            continue;
        bit_count -= 8;
        ret_bytes[length++] = (char)(bits >> bit_count & 0xff);
    }
    *ret_length = length;
    return bit_count < 6 && (bits & ((1u << bit_count) - 1)) == 0;
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

#include "front/percent.h"

#include "base/parse.h"
#include "base/utf8.h"

bool percent_decode(struct text text, enum percent_mode mode, char *ret_bytes, size_t *ret_length)
{
    size_t length = 0;
    for (size_t at = 0; at < text.length; at++) {
        char byte = text.bytes[at];
        if (byte == '%') {
            if (text.length - at < 3)
                return false;
            int high = parse_hex_digit(text.bytes[at + 1]);
            int low = parse_hex_digit(text.bytes[at + 2]);
            if (high < 0 || low < 0)
                return false;
            byte = (char)(high * 16 + low);
            at += 2;
        } else if (byte == '+' && mode == PERCENT_QUERY) {
            byte = ' ';
        }
        ret_bytes[length++] = byte;
    }
    *ret_length = length;
    return true;
}

bool percent_is_clean(struct text text)
{
    for (size_t at = 0; at < text.length; at++) {
        unsigned char byte = (unsigned char)text.bytes[at];
        if (byte < 0x20 || byte == 0x7f)
            return false;
    }
    return utf8_valid_prefix(text.bytes, text.length) == text.length;
}

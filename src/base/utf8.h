/* UTF-8 (RFC 3629), validated the way the WHATWG Encoding standard decodes it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define UTF8_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* How many bytes from the start are valid UTF-8; `length` when all are. */
size_t utf8_valid_prefix(const char *bytes, size_t length);

/* Bytes to skip as one U+FFFD at an invalid position: the maximal subpart, 1 to 3. `length > 0`. */
size_t utf8_invalid_length(const char *bytes, size_t length);

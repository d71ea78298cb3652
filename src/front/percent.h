/* Strict percent-decoding (RFC 3986, section 2.1): what is not exactly `%` and two hex digits is an error,
 * not a guess. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

enum percent_mode {
    PERCENT_PATH,  /* + stays + */
    PERCENT_QUERY, /* + is a space, as in application/x-www-form-urlencoded */
};

/*
 * Decodes into `ret_bytes`, which has room for text.length bytes. False for malformed escapes; NUL and
 * invalid UTF-8 in the result are the caller's to refuse (percent_is_clean).
 */
bool percent_decode(struct text text, enum percent_mode mode, char *ret_bytes, size_t *ret_length);

/* No NUL or other control character, and valid UTF-8. */
bool percent_is_clean(struct text text);

/* base64url without padding (RFC 4648, section 5; RFC 7515, appendix C). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

#define BASE64URL_DECODED_MAX(length) ((length) / 4 * 3 + 2)
#define BASE64URL_ENCODED_MAX(length) (((length) + 2) / 3 * 4 + 1)

/* `ret_bytes` has room for BASE64URL_DECODED_MAX. False for what no encoder writes: another letter, padding,
 * a length that cannot be, bits that are left over and not zero. */
bool base64url_decode(struct text text, char *ret_bytes, size_t *ret_length);

/* Whether all of it are letters of base64url. */
bool base64url_is_text(struct text text);

/* `ret_text` has room for BASE64URL_ENCODED_MAX, with a NUL. */
void base64url_encode(const void *bytes, size_t length, char *ret_text);

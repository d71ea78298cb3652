/* SHA-256 and base64url (RFC 4648, section 5, without padding), for what is kept under a hash of itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

#define DIGEST_BYTES 32
#define DIGEST_TEXT_LENGTH 43 /* in base64url */

/* Characters for so many bytes. */
#define BASE64URL_LENGTH(bytes) (((bytes)*4 + 2) / 3)

/* The digest of all parts, each with its length before it, so that no two lists of parts have the same. False
 * when OpenSSL has no memory. */
bool digest_of(const struct text *parts, size_t part_count, unsigned char ret_digest[static DIGEST_BYTES]);

/* Writes BASE64URL_LENGTH(length) characters and a NUL. */
void base64url_write(const unsigned char *bytes, size_t length, char *ret_text);

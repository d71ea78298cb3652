/* SHA-256, for what is kept under a hash of itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

#define DIGEST_BYTES 32
#define DIGEST_TEXT_LENGTH 43 /* in base64url */

/* The digest of all parts, each with its length before it, so that no two lists of parts have the same. False
 * when OpenSSL has no memory. */
bool digest_of(const struct text *parts, size_t part_count, unsigned char ret_digest[static DIGEST_BYTES]);

/* Entity tags (RFC 9110, section 8.8.3). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

#define ETAG_LENGTH_MAX 20

/* `"<16 hex digits>"`, NUL-terminated. */
void etag_format(uint64_t hash, char ret_etag[static ETAG_LENGTH_MAX]);

/*
 * Whether an If-None-Match header names `etag` (with its quotes): a list of tags, weak or strong, or `*`. The
 * comparison is the weak one, as RFC 9110, section 13.1.2 wants it. What is malformed matches nothing.
 */
bool etag_matches(struct text if_none_match, const char *etag);

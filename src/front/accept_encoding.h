/* Which content codings a client takes (RFC 9110, section 12.5.3 "Accept-Encoding"). */
#pragma once

#include <stdbool.h>

#include "base/text.h"

/* Whether gzip is to be used: the client takes it, and does not want the bytes as they are any better.
 * `value` is without bytes where there is no such header. */
bool accept_encoding_wants_gzip(struct text value);

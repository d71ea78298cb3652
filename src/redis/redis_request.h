/* Commands in the form Redis takes them: a RESP array of bulk strings. */
#pragma once

#include <stddef.h>

#include "base/buffer.h"

/* `lengths` NULL: the arguments are NUL-terminated. A failure is sticky in `out`. */
void redis_request_append(struct buffer *out, int count, const char *const *arguments, const size_t *lengths);

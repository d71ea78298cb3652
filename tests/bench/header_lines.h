/* Header lines out of a file, one each for the clients in turn: as many callers with a token of their own. */
#pragma once

#include <stddef.h>

#include "base/text.h"

struct header_lines;

/* NULL with errno when it cannot be read, has no line, or memory is short. */
struct header_lines *header_lines_read(const char *path);
void header_lines_destroy(struct header_lines *lines);

/* Of the client of that number; the first line follows the last. */
struct text header_lines_of(const struct header_lines *lines, size_t client);

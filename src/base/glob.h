/* The globs of Redis (PSUBSCRIBE): `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before what is meant as it is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether Redis would deliver to the pattern what is published to the channel `text`. */
bool glob_matches(const char *pattern, size_t pattern_length, const char *text, size_t text_length);

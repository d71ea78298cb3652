/*
 * Event ids. An id names a position in everything this process has read from Redis, so one id is enough
 * however many topics a client listens to:
 *
 *     5f3a9c2e81b04d17-1284      epoch (16 hex digits, drawn when the process starts) - sequence
 *     5f3a9c2e81b04d17-1284-c    the same, of a `complete` event: its reader has seen the end of the batch
 *
 * Only characters that need no CORS preflight in a Last-Event-ID header (Fetch, "CORS-safelisted
 * request-header").
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

#define CURSOR_LENGTH_MAX 48

struct cursor {
    uint64_t epoch;
    uint64_t sequence;
    bool complete;
};

/* Writes the id without a NUL and returns its length. */
size_t cursor_format(const struct cursor *cursor, char ret_text[static CURSOR_LENGTH_MAX]);

/* False for anything cursor_format() would not write. */
bool cursor_parse(const char *text, size_t length, struct cursor *ret_cursor);

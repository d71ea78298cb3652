/*
 * How much to ask for in one XREAD, so that its reply is large but stays far below what a reply may be. COUNT
 * is per stream: what comes depends on how many of them have something, which the last reply says best.
 *
 * A reply that was too large all the same cost the connection, and each costs a longer wait. So reading
 * begins again with a single entry of a single stream, and doubles as far as the size of what comes allows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct read_size {
    size_t count;  /* COUNT, at least 1 */
    size_t window; /* streams in one read; SIZE_MAX: all */
    size_t entry_bytes;
    size_t reply_bytes_max;
};

void read_size_init(struct read_size *size, size_t reply_bytes_max);

/* After a connection was lost all of the streams may have a backlog. */
void read_size_start(struct read_size *size, size_t stream_count);

/* A reply had so many entries of so many streams. */
void read_size_took(struct read_size *size, size_t stream_count, size_t entry_count, size_t bytes);

/* The reply was too large. False: it was the smallest one possible, a single entry of the first stream. */
bool read_size_too_large(struct read_size *size, size_t stream_count);

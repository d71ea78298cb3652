/*
 * Streams in gzip (RFC 1952) whose parts are made once and serve any number of clients.
 *
 *     each client:   head · part · part · part · … · end
 *
 * A part is deflate blocks (RFC 1951) that begin and end on a byte and refer to nothing before them, so it
 * may stand at any place of any client's stream. A client's own is only the check at the end, CRC-32 and
 * length of all that it was sent: a part brings it forward in some nanoseconds, whatever the part's size.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "metrics/metrics.h"

/* What a client has been sent, uncompressed; zeroed at its beginning. */
struct gzip_check {
    uint32_t crc;
    uint32_t length; /* modulo 2^32 */
};

/* What a part stands for. */
struct gzip_part {
    uint32_t crc;
    uint32_t length;
    uint32_t step; /* what its length does to the CRC of what comes before it */
};

struct gzip;

/* Deflates what has `deflate_bytes_min` bytes or more; what is smaller, or does not shrink, travels as it is,
 * in stored blocks. Borrows metrics. NULL when memory is short. */
struct gzip *gzip_create(size_t deflate_bytes_min, struct metrics *metrics);
void gzip_destroy(struct gzip *gzip);
void gzip_set_deflate_bytes_min(struct gzip *gzip, size_t deflate_bytes_min);

void gzip_append_head(struct buffer *out);
void gzip_append_end(struct buffer *out, const struct gzip_check *check);

/* A part for many clients. */
struct gzip_part gzip_append_shared(struct gzip *gzip, struct buffer *out, const char *bytes, size_t length);

/* A part that only one client gets: never deflated, which would cost more than it saves. */
struct gzip_part gzip_append_stored(struct buffer *out, const char *bytes, size_t length);

/*
 * The same for up to 65,535 bytes that are appended in between, without a copy:
 *
 *     size_t begin = gzip_open_stored(out);
 *     buffer_append…(out, …);
 *     part = gzip_close_stored(out, begin);
 */
size_t gzip_open_stored(struct buffer *out);
struct gzip_part gzip_close_stored(struct buffer *out, size_t begin);

void gzip_check_add(struct gzip_check *check, const struct gzip_part *part);

/* Takes the part back that was added last. */
void gzip_check_remove(struct gzip_check *check, const struct gzip_part *part);

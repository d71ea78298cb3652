/* Reads gzip as it comes, by zlib's own reader. */
#pragma once

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>
#include <zlib.h>

#include "base/buffer.h"

struct gzip_reader {
    z_stream stream;
    struct buffer text;
    bool ended;
};

static inline void gzip_reader_open(struct gzip_reader *reader)
{
    *reader = (struct gzip_reader){ .ended = false };
    cr_assert_eq(inflateInit2(&reader->stream, 16 + MAX_WBITS), Z_OK);
}

/* What has come must be readable up to its last byte, without waiting for more. */
static inline void gzip_reader_push(struct gzip_reader *reader, const char *bytes, size_t length)
{
    char piece[4096];
    reader->stream.next_in = (Bytef *)(uintptr_t)bytes;
    reader->stream.avail_in = (uInt)length;
    do {
        cr_assert(!reader->ended || reader->stream.avail_in == 0, "bytes behind the end");
        reader->stream.next_out = (Bytef *)piece;
        reader->stream.avail_out = sizeof(piece);
        int status = inflate(&reader->stream, Z_SYNC_FLUSH);
        cr_assert(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR, "%d: %s", status,
                  reader->stream.msg ? reader->stream.msg : "");
        buffer_append(&reader->text, piece, sizeof(piece) - reader->stream.avail_out);
        reader->ended = status == Z_STREAM_END; /* only with the right CRC and length */
    } while (reader->stream.avail_in > 0 || reader->stream.avail_out == 0);
}

static inline void gzip_reader_close(struct gzip_reader *reader)
{
    inflateEnd(&reader->stream);
    buffer_free(&reader->text);
}

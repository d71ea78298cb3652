#include "wire/gzip.h"

#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>

/* Higher levels gain some percent and cost a multiple. */
#define DEFLATE_LEVEL 3
#define RAW_WINDOW_BITS (-15) /* without zlib's own header */
#define DEFLATE_MEMORY_LEVEL 8

/* Deflating holds up everybody else for 8 ms a megabyte. */
#define DEFLATE_BYTES_MAX (4u << 20)

/* The buffer for what comes out is kept up to this size. */
#define SCRATCH_BYTES_KEPT (128u << 10)

#define STORED_HEAD_BYTES 5
#define STORED_BYTES_MAX 65535u

/* A stored block's first byte is three bits, "not the last" and "stored", and five of padding. */
#define STORED_BLOCK 0

struct gzip {
    size_t deflate_bytes_min;
    struct metrics *metrics;
    bool is_ready;
    z_stream deflater; /* made ready when it is first needed: it is 270 KB */
    struct buffer scratch;
};

struct gzip *gzip_create(size_t deflate_bytes_min, struct metrics *metrics)
{
    struct gzip *gzip = calloc(1, sizeof(*gzip));
    if (!gzip)
        return NULL;
    gzip->deflate_bytes_min = deflate_bytes_min;
    gzip->metrics = metrics;
    return gzip;
}

void gzip_destroy(struct gzip *gzip)
{
    if (!gzip)
        return;
    if (gzip->is_ready)
        deflateEnd(&gzip->deflater);
    buffer_free(&gzip->scratch);
    free(gzip);
}

void gzip_set_deflate_bytes_min(struct gzip *gzip, size_t deflate_bytes_min)
{
    gzip->deflate_bytes_min = deflate_bytes_min;
}

/* --- head and end --- */

void gzip_append_head(struct buffer *out)
{
    /* Magic, deflate, no flags, no time, nothing about the compressor, made on Unix. */
    static const unsigned char head[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3 };
    buffer_append(out, head, sizeof(head));
}

static void append_little_endian(struct buffer *out, uint32_t number)
{
    for (int shift = 0; shift < 32; shift += 8)
        buffer_append_byte(out, (char)(number >> shift & 0xff));
}

void gzip_append_end(struct buffer *out, const struct gzip_check *check)
{
    /* The last block: fixed codes, and nothing but its end. */
    static const unsigned char last_block[] = { 3, 0 };
    buffer_append(out, last_block, sizeof(last_block));
    append_little_endian(out, check->crc);
    append_little_endian(out, check->length);
}

/* --- parts --- */

static struct gzip_part measure(const char *bytes, size_t length)
{
    return (struct gzip_part){
        .crc = (uint32_t)crc32_z(0, (const Bytef *)bytes, length),
        .length = (uint32_t)length,
        .step = (uint32_t)crc32_combine_gen((z_off_t)length),
    };
}

static void set_stored_head(char *head, size_t length)
{
    head[0] = STORED_BLOCK;
    head[1] = (char)(length & 0xff);
    head[2] = (char)(length >> 8);
    head[3] = (char)~head[1];
    head[4] = (char)~head[2];
}

size_t gzip_open_stored(struct buffer *out)
{
    static const char room[STORED_HEAD_BYTES];
    size_t begin = out->size;
    buffer_append(out, room, sizeof(room));
    return begin;
}

struct gzip_part gzip_close_stored(struct buffer *out, size_t begin)
{
    if (!out->failed && out->size - begin - STORED_HEAD_BYTES > STORED_BYTES_MAX) {
        buffer_free(out);
        out->failed = true;
    }
    if (out->failed)
        return (struct gzip_part){ 0 };
    const char *bytes = out->data + begin + STORED_HEAD_BYTES;
    size_t length = out->size - begin - STORED_HEAD_BYTES;
    set_stored_head(out->data + begin, length);
    return measure(bytes, length);
}

static size_t stored_size(size_t length)
{
    return length + (length + STORED_BYTES_MAX - 1) / STORED_BYTES_MAX * STORED_HEAD_BYTES;
}

static void append_stored(struct buffer *out, const char *bytes, size_t length)
{
    buffer_reserve(out, stored_size(length));
    while (length > 0) {
        char head[STORED_HEAD_BYTES];
        size_t piece = length < STORED_BYTES_MAX ? length : STORED_BYTES_MAX;
        set_stored_head(head, piece);
        buffer_append(out, head, sizeof(head));
        buffer_append(out, bytes, piece);
        bytes += piece;
        length -= piece;
    }
}

struct gzip_part gzip_append_stored(struct buffer *out, const char *bytes, size_t length)
{
    append_stored(out, bytes, length);
    return measure(bytes, length);
}

static bool make_ready(struct gzip *gzip)
{
    if (gzip->is_ready)
        return deflateReset(&gzip->deflater) == Z_OK;
    gzip->is_ready = deflateInit2(&gzip->deflater, DEFLATE_LEVEL, Z_DEFLATED, RAW_WINDOW_BITS,
                                  DEFLATE_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK;
    return gzip->is_ready;
}

/* The size of what is in gzip->scratch then; 0: it did not get smaller, or memory is short. */
static size_t deflate_to_scratch(struct gzip *gzip, const char *bytes, size_t length)
{
    size_t room = stored_size(length);
    buffer_reset(&gzip->scratch);
    if (!buffer_reserve(&gzip->scratch, room) || !make_ready(gzip))
        return 0;
    z_stream *deflater = &gzip->deflater;
    deflater->next_in = (const Bytef *)bytes;
    deflater->avail_in = (uInt)length;
    deflater->next_out = (Bytef *)gzip->scratch.data;
    deflater->avail_out = (uInt)room;
    /* The flush ends the part on a byte, behind all of its content. It is over only when room is left. */
    if (deflate(deflater, Z_SYNC_FLUSH) != Z_OK || deflater->avail_in > 0 || deflater->avail_out == 0)
        return 0;
    gzip->metrics->sse_deflated++;
    return room - deflater->avail_out;
}

struct gzip_part gzip_append_shared(struct gzip *gzip, struct buffer *out, const char *bytes, size_t length)
{
    size_t deflated = 0;
    if (length >= gzip->deflate_bytes_min && length <= DEFLATE_BYTES_MAX && length > 0)
        deflated = deflate_to_scratch(gzip, bytes, length);
    if (deflated > 0)
        buffer_append(out, gzip->scratch.data, deflated);
    else
        append_stored(out, bytes, length);
    if (gzip->scratch.capacity > SCRATCH_BYTES_KEPT)
        buffer_free(&gzip->scratch);
    return measure(bytes, length);
}

/* --- the check --- */

void gzip_check_add(struct gzip_check *check, const struct gzip_part *part)
{
    check->crc = (uint32_t)crc32_combine_op(check->crc, part->crc, part->step);
    check->length += part->length;
}

void gzip_check_remove(struct gzip_check *check, const struct gzip_part *part)
{
    /* Going on by n bytes multiplies by x^8n, and x^(2^32 - 1) is 1: going on by 2^32 - 1 - n more bytes
     * undoes it. */
    uLong undo = crc32_combine_gen((z_off_t)(UINT32_MAX - part->length));
    check->crc = (uint32_t)crc32_combine_op(check->crc ^ part->crc, 0, undo);
    check->length -= part->length;
}

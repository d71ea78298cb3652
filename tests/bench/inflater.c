#include "inflater.h"

#include <stdlib.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#define PIECE_BYTES 65536
#define GZIP_WINDOW (15 + 16) /* the largest window; only gzip */

#ifdef HAVE_ZLIB

struct inflater {
    z_stream stream;
};

struct inflater *inflater_create(void)
{
    struct inflater *inflater = calloc(1, sizeof *inflater);
    if (inflater && inflateInit2(&inflater->stream, GZIP_WINDOW) == Z_OK)
        return inflater;
    free(inflater);
    return NULL;
}

void inflater_destroy(struct inflater *inflater)
{
    if (!inflater)
        return;
    inflateEnd(&inflater->stream);
    free(inflater);
}

bool inflater_take(struct inflater *inflater, char *bytes, size_t count,
                   bool (*take)(void *context, const char *bytes, size_t count), void *context)
{
    z_stream *stream = &inflater->stream;
    stream->next_in = (Bytef *)bytes;
    stream->avail_in = (uInt)count;
    char piece[PIECE_BYTES];
    do {
        stream->next_out = (Bytef *)piece;
        stream->avail_out = sizeof piece;
        int result = inflate(stream, Z_SYNC_FLUSH);
        if (result != Z_OK && result != Z_BUF_ERROR)
            return false; /* the end as well: there should be none */
        if (!take(context, piece, sizeof piece - stream->avail_out))
            return false;
    } while (stream->avail_out == 0);
    return true;
}

#else

struct inflater *inflater_create(void)
{
    return NULL;
}

void inflater_destroy(struct inflater *inflater)
{
    free(inflater);
}

bool inflater_take(struct inflater *inflater, char *bytes, size_t count,
                   bool (*take)(void *context, const char *bytes, size_t count), void *context)
{
    (void)inflater, (void)bytes, (void)count, (void)take, (void)context;
    return false;
}

#endif

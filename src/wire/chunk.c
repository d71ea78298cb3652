#include "wire/chunk.h"

#include <stdlib.h>

struct chunk *chunk_create(void)
{
    struct chunk *chunk = calloc(1, sizeof(*chunk));
    if (chunk)
        chunk->references = 1;
    return chunk;
}

struct chunk *chunk_retain(struct chunk *chunk)
{
    chunk->references++;
    return chunk;
}

struct chunk *chunk_create_coded(struct gzip *gzip, const char *bytes, size_t length)
{
    struct chunk *chunk = chunk_create();
    if (!chunk)
        return NULL;
    chunk->coded = true;
    chunk->part = gzip_append_shared(gzip, &chunk->bytes, bytes, length);
    if (!chunk->bytes.failed)
        return chunk;
    chunk_release(chunk);
    return NULL;
}

struct chunk *chunk_twin(struct chunk *chunk, struct gzip *gzip)
{
    if (chunk->twin)
        return chunk->twin;
    chunk->twin = chunk_create_coded(gzip, chunk->bytes.data, chunk->bytes.size);
    if (chunk->twin) {
        chunk->twin->messages = chunk->messages;
        chunk->twin->received_ns = chunk->received_ns;
    }
    return chunk->twin;
}

void chunk_release(struct chunk *chunk)
{
    if (!chunk || --chunk->references > 0)
        return;
    if (chunk->twin && chunk->twin->references > 1) {
        /* It is the twin's clients that are last. */
        chunk->twin->done = chunk->done;
        chunk->twin->done_context = chunk->done_context;
        chunk->done = NULL;
    }
    chunk_release(chunk->twin);
    if (chunk->done)
        chunk->done(chunk->done_context, chunk);
    buffer_free(&chunk->bytes);
    free(chunk);
}

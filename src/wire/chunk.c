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

void chunk_release(struct chunk *chunk)
{
    if (!chunk || --chunk->references > 0)
        return;
    if (chunk->done)
        chunk->done(chunk->done_context, chunk);
    buffer_free(&chunk->bytes);
    free(chunk);
}

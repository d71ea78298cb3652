#include "hub/backlog.h"

#include <stdlib.h>
#include <string.h>

#include "wire/sse.h"

#define PIECES_FIRST 4

struct piece {
    struct chunk *chunk;
    size_t begin;
    size_t end;
};

struct backlog {
    struct piece *pieces;
    uint32_t capacity;
    uint32_t first; /* pieces before it are sent */
    uint32_t count; /* from `first` */
    size_t bytes;
};

struct backlog *backlog_create(void)
{
    return calloc(1, sizeof(struct backlog));
}

void backlog_destroy(struct backlog *backlog)
{
    if (!backlog)
        return;
    for (uint32_t i = 0; i < backlog->count; i++)
        chunk_release(backlog->pieces[backlog->first + i].chunk);
    free(backlog->pieces);
    free(backlog);
}

size_t backlog_bytes(const struct backlog *backlog)
{
    return backlog->bytes;
}

static bool make_room(struct backlog *backlog)
{
    if (backlog->first + backlog->count < backlog->capacity)
        return true;
    if (backlog->first > 0 && backlog->first >= backlog->capacity / 2) {
        memmove(backlog->pieces, backlog->pieces + backlog->first, backlog->count * sizeof *backlog->pieces);
        backlog->first = 0;
        return true;
    }
    uint32_t capacity = backlog->capacity ? backlog->capacity * 2 : PIECES_FIRST;
    struct piece *pieces = realloc(backlog->pieces, capacity * sizeof *pieces);
    if (!pieces)
        return false;
    backlog->pieces = pieces;
    backlog->capacity = capacity;
    return true;
}

bool backlog_append(struct backlog *backlog, struct chunk *chunk, size_t begin, size_t end)
{
    if (backlog->count > 0) {
        struct piece *last = &backlog->pieces[backlog->first + backlog->count - 1];
        if (last->chunk == chunk && last->end == begin) {
            last->end = end;
            backlog->bytes += end - begin;
            return true;
        }
    }
    if (!make_room(backlog))
        return false;
    backlog->pieces[backlog->first + backlog->count++] =
        (struct piece){ .chunk = chunk_retain(chunk), .begin = begin, .end = end };
    backlog->bytes += end - begin;
    return true;
}

int backlog_vectors(const struct backlog *backlog, struct iovec *ret_vectors, int max)
{
    int count = 0;
    for (uint32_t i = 0; i < backlog->count && count < max; i++) {
        const struct piece *piece = &backlog->pieces[backlog->first + i];
        ret_vectors[count++] = (struct iovec){
            .iov_base = piece->chunk->bytes.data + piece->begin,
            .iov_len = piece->end - piece->begin,
        };
    }
    return count;
}

static void drop_first(struct backlog *backlog)
{
    struct piece *piece = &backlog->pieces[backlog->first];
    backlog->bytes -= piece->end - piece->begin;
    chunk_release(piece->chunk);
    backlog->first++;
    if (--backlog->count == 0)
        backlog->first = 0;
}

void backlog_consume(struct backlog *backlog, size_t length)
{
    while (length > 0) {
        struct piece *piece = &backlog->pieces[backlog->first];
        size_t size = piece->end - piece->begin;
        if (length < size) {
            piece->begin += length;
            backlog->bytes -= length;
            return;
        }
        length -= size;
        drop_first(backlog);
    }
}

static void drop_last(struct backlog *backlog, struct gzip_check *check)
{
    struct piece *last = &backlog->pieces[backlog->first + backlog->count - 1];
    if (last->chunk->coded)
        gzip_check_remove(check, &last->chunk->part);
    backlog->bytes -= last->end - last->begin;
    chunk_release(last->chunk);
    backlog->count--;
}

void backlog_conflate(struct backlog *backlog, struct gzip_check *check)
{
    while (backlog->count > 1)
        drop_last(backlog, check);
    if (backlog->count == 0)
        return;
    struct piece *piece = &backlog->pieces[backlog->first];
    size_t boundary;
    if (piece->chunk->coded)
        boundary = piece->begin > 0 || piece->chunk->has_head ? piece->end : piece->begin;
    else
        boundary = sse_event_boundary(piece->chunk->bytes.data, piece->chunk->bytes.size, piece->begin);
    if (boundary == piece->begin) {
        drop_last(backlog, check);
        backlog->first = 0;
    } else if (boundary < piece->end) {
        backlog->bytes -= piece->end - boundary;
        piece->end = boundary;
    }
}

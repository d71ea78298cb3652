/*
 * Bytes ready to send, shared by every client that is to get them: the frames of one topic, in one format, of
 * one loop turn.
 *
 *     chunk_create() ── one reference, open: frames are appended to chunk->bytes
 *     chunk_retain() ── once for each client that has not been able to take all of it
 *     chunk_release() ─ at the end of the turn, and when a client is done with it; the last one frees it
 *
 * The content does not change any more once the first client has been sent some of it.
 *
 * A coded chunk is a part of a gzip stream (wire/gzip.h), which clients are sent whole. A chunk of frames has
 * a coded twin once somebody wanted one, so it is compressed once, too.
 */
#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "wire/gzip.h"

struct chunk;

/* Told when the last reference goes: the last byte is with the kernel, or its last reader is gone. */
typedef void chunk_done(void *context, const struct chunk *chunk);

struct chunk {
    struct buffer bytes;
    uint32_t references;
    uint32_t messages;    /* how many messages it holds, for metrics */
    uint64_t received_ns; /* when the first of them was read from Redis (clock_now_ns) */
    chunk_done *done;     /* may be NULL */
    void *done_context;
    struct chunk *twin;    /* the same, coded */
    bool coded;            /* begins and ends with a part of a gzip stream, or is several of them */
    bool has_head;         /* coded: begins with the head of the stream, which is never left out */
    struct gzip_part part; /* coded: what it stands for */
};

/* NULL when memory is short. */
struct chunk *chunk_create(void);
struct chunk *chunk_retain(struct chunk *chunk);

/* A coded chunk of these bytes, for many clients; one reference for the caller. */
struct chunk *chunk_create_coded(struct gzip *gzip, const char *bytes, size_t length);

/* The chunk's twin, made when there is none; no reference for the caller. */
struct chunk *chunk_twin(struct chunk *chunk, struct gzip *gzip);

void chunk_release(struct chunk *chunk); /* NULL is a no-op */

/*
 * Reads an HTTP/1.1 response that carries text/event-stream, as one client sees it: head, then events, with
 * or without chunked transfer coding and gzip. What a read leaves unfinished is kept per client, so thousands
 * of clients share one receive buffer:
 *
 *     ssize_t count = recv(socket, buffer, size, 0);
 *     sse_reader_take(&reader, buffer, (size_t)count, &sink);
 *
 * A server may answer in webdis' JSON instead: {"SUBSCRIBE":["message","channel","payload"]}, one behind the
 * other; its confirmation counts as `retry:`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An event or a head longer than this is no benchmark's. */
#define SSE_READER_UNFINISHED_MAX (4u << 20)

struct inflater;

struct sse_slice {
    const char *bytes; /* NULL: the field was absent */
    size_t length;
};

struct sse_sink {
    void (*head)(void *context);
    /* A block with data. More than one data line: `data` is the last of them and `data_lines` says so. */
    void (*event)(void *context, struct sse_slice name, struct sse_slice data, unsigned data_lines);
    void (*retry)(void *context); /* a block with a retry field */
    void *context;
};

enum sse_reader_phase { SSE_READER_HEAD, SSE_READER_EVENTS };
enum sse_chunk_phase { SSE_CHUNK_SIZE, SSE_CHUNK_DATA, SSE_CHUNK_DATA_END };
enum sse_format { SSE_FORMAT_EVENTS, SSE_FORMAT_WEBDIS };

/* A zeroed struct is at the start of a response of events. */
struct sse_reader {
    char *unfinished;
    struct inflater *inflater; /* NULL: the response is not compressed */
    uint32_t unfinished_length;
    uint32_t unfinished_capacity;
    uint8_t format;
    uint8_t phase;
    bool chunked;
    uint8_t chunk_phase;
    uint64_t chunk_left; /* in SSE_CHUNK_SIZE: the digits so far */
};

/* `bytes` are written to. False when this is no event stream: a status other than 200, another content type,
 * broken chunks or compression, or an event that never ends. */
bool sse_reader_take(struct sse_reader *reader, char *bytes, size_t count, const struct sse_sink *sink);

void sse_reader_free(struct sse_reader *reader);

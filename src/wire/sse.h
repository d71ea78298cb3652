/*
 * The encoder for text/event-stream (WHATWG HTML, section 9.2 "Server-sent events").
 *
 * Whatever the bytes are, one call makes exactly one well-formed event: data is split at CR, LF and CRLF into
 * `data:` lines, invalid UTF-8 becomes U+FFFD, and CR, LF and NUL in an id or a name become U+FFFD. A
 * conforming parser reads back the data with each line end as LF.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct sse_event {
    const char *id; /* NULL: no id line */
    size_t id_length;
    const char *name; /* NULL: no event line, so EventSource fires `message` */
    size_t name_length;
    const char *data; /* may be NULL with length 0: an empty data line, so the event still fires */
    size_t data_length;
};

void sse_append_event(struct buffer *out, const struct sse_event *event);

/* `retry: <ms>` as a block of its own. */
void sse_append_retry(struct buffer *out, uint64_t retry_ms);

/* The heartbeat: a comment that no client sees, `:\n\n`. */
#define SSE_HEARTBEAT ":\n\n"

/*
 * Offset just behind the event that `offset` lies in, given bytes made by this encoder: where a partly sent
 * piece may be cut. An offset at an event's start is its own boundary.
 */
size_t sse_event_boundary(const char *bytes, size_t length, size_t offset);

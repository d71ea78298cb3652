/*
 * Reads text/event-stream as it comes, in pieces of any size (WHATWG HTML, section 9.2.6 "Interpreting an
 * event stream").
 *
 *     struct event_reader reader = { .on_event = print, .context = … };
 *     event_reader_feed(&reader, bytes, length);      … at the end of a connection:
 * event_reader_restart(&reader)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

#define EVENT_READER_EVENT_BYTES_MAX (64u << 20)

struct event_view {
    const char *name; /* "message" without an event line */
    size_t name_length;
    const char *data;
    size_t data_length;
};

struct event_reader {
    /* False: read no more; the feed returns false. */
    bool (*on_event)(void *context, const struct event_view *event);
    void *context;

    struct buffer last_id; /* to come back with; kept over connections */
    uint64_t retry_ms;     /* 0: none was said */

    struct buffer line, name, data, id;
    bool has_data;
    bool after_carriage_return;
};

/* False when an event is too large, memory is short, or on_event said so. */
bool event_reader_feed(struct event_reader *reader, const char *bytes, size_t length);

/* Forgets a half-read event, keeps last_id and retry_ms. */
void event_reader_restart(struct event_reader *reader);
void event_reader_free(struct event_reader *reader);

/*
 * The reader's side of text/event-stream for tests: a parser that follows the WHATWG HTML standard,
 * section 9.2.6, to the letter, and what it has to read back for given input. Written from the standards and
 * not from our encoder, and with a UTF-8 decoder of its own (WHATWG Encoding, section 8.1.1), so that the two
 * can disagree.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct received_event {
    const char *type; /* "message" when the stream names none */
    size_t type_length;
    const char *data;
    size_t data_length;
    const char *id; /* the last event id at that moment */
    size_t id_length;
};

typedef void event_source_dispatch(void *context, const struct received_event *event);

struct event_source_summary {
    size_t events;
    size_t comments;
    size_t unfinished_bytes; /* behind the last blank line: a browser discards them */
    bool has_retry;
    uint64_t retry_ms;
    bool is_valid_utf8;
};

/* `dispatch` may be NULL. */
struct event_source_summary event_source_parse(const char *bytes, size_t length,
                                               event_source_dispatch *dispatch, void *context);

/* The bytes as a browser decodes them: each maximal subpart of an invalid sequence is one U+FFFD. */
void expect_decoded(struct buffer *out, const char *bytes, size_t length);

/* What `data`, and an id or a name, have to read back as. */
void expect_data(struct buffer *out, const char *bytes, size_t length);
void expect_field(struct buffer *out, const char *bytes, size_t length);

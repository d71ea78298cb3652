/* What the gateway needs to know about a payload (JSON, RFC 8259). Allocates nothing; its size is bounded by
 * the caller. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum payload_kind {
    PAYLOAD_OPAQUE,   /* not a JSON object: passed on untouched */
    PAYLOAD_OBJECT,   /* a JSON object that says nothing final */
    PAYLOAD_TERMINAL, /* a JSON object whose "status" is COMPLETED, PARTIAL or FAILED */
};

enum payload_kind payload_classify(const char *bytes, size_t length);

/* True for exactly one JSON value of any type. */
bool payload_is_json(const char *bytes, size_t length);

/* Appends `{"channel":"<name>","data":<payload>}`: JSON payloads embedded as they are, anything else as a
 * string. */
void payload_append_envelope(struct buffer *out, const char *channel, size_t channel_length,
                             const char *bytes, size_t length);

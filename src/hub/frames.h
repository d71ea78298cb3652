/* What clients are sent: messages, entries, snapshots and notices as SSE events, in the format a stream asked
 * for. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "hub/hub.h"
#include "hub/message.h"
#include "metrics/metrics.h"

/*
 * Frames come in two variants: with their id, and bare, for clients whose events have ids of their own; the
 * id line goes out before a bare frame then.
 */
#define FRAME_VARIANTS (2 * STREAM_FORMATS)
#define FRAME_BARE(format) (STREAM_FORMATS + (format))

/* The id is the message's place in the feed, or the id of an entry. */
void frames_append_message(struct buffer *out, unsigned variant, uint64_t epoch,
                           const struct message *message);

/* `event: progress`, and `event: complete` behind it when the payload is terminal. */
void frames_append_progress(struct buffer *out, uint64_t epoch, uint64_t sequence, const char *payload,
                            size_t length, enum payload_kind kind);

/* Only the `complete` of a batch whose last `progress` the client has. */
void frames_append_complete(struct buffer *out, uint64_t epoch, uint64_t sequence, const char *payload,
                            size_t length);

/* What is known of entries that a client can no longer have. */
struct stream_gap {
    const char *stream;
    size_t length;
    struct entry_id first; /* what there is begins here; 0-0: nothing is there */
    uint64_t missing;      /* 0: nobody can tell */
};

/* `event: gap`. Its id is where the client stands: what follows is behind it. `stream` NULL: channels. */
void frames_append_gap(struct buffer *out, const char *id, size_t id_length, enum gap_reason reason,
                       const struct stream_gap *stream);

/* `event: refused` with `{"reason": …}`: the stream ends, for a reason that coming back at once does not
 * change. */
void frames_append_refused(struct buffer *out, const char *reason);
void frames_append_expired(struct buffer *out, const char *reason);

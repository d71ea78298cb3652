/* What clients are sent: messages, snapshots and notices as SSE events, in the format a stream asked for. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "hub/hub.h"
#include "hub/message.h"
#include "metrics/metrics.h"

void frames_append_message(struct buffer *out, enum stream_format format, uint64_t epoch,
                           const struct message *message);

/* `event: progress`, and `event: complete` behind it when the payload is terminal. */
void frames_append_progress(struct buffer *out, uint64_t epoch, uint64_t sequence, const char *payload,
                            size_t length, enum payload_kind kind);

/* Only the `complete` of a batch whose last `progress` the client has. */
void frames_append_complete(struct buffer *out, uint64_t epoch, uint64_t sequence, const char *payload,
                            size_t length);

/* `event: gap`. Its id is where the client stands: what follows has greater sequences. */
void frames_append_gap(struct buffer *out, uint64_t epoch, uint64_t sequence, enum gap_reason reason);

/* `event: refused` with `{"reason": …}`: the stream ends, for a reason that coming back at once does not
 * change. */
void frames_append_refused(struct buffer *out, const char *reason);

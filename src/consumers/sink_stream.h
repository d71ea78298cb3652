/*
 * A sink that posts each entry of a stream at least once. It is a consumer of a group, so that several
 * gateways share the work, and what one of them cannot finish another one does.
 *
 *   entry ─▶ held: posted ─▶ delivered: acknowledged
 *                    ├─────▶ refused: dead letter
 *                    └─────▶ out of retries: given back to the group; a dead letter at max_deliveries
 *
 * What is held is touched now and then, so that it does not pass for abandoned. An acknowledgement that Redis
 * did not answer is repeated until it does; if this process ends before, the entry is delivered again.
 */
#pragma once

#include "base/log.h"
#include "consumers/group.h"
#include "consumers/sink_figures.h"
#include "consumers/sink_options.h"

struct sink_stream;

/* Borrows all but the base. NULL when memory is short. */
struct sink_stream *sink_stream_create(struct event_base *base, const struct sink_options *options,
                                       struct groups *groups, struct sink_figures *figures, struct log *log);

/* Takes nothing more, gives back what is not being sent, and finishes the rest. */
void sink_stream_drain(struct sink_stream *sink);

/* Entries it is not done with. */
size_t sink_stream_held(const struct sink_stream *sink);

/* Leaves the group and ends its requests; before groups_stop(). */
void sink_stream_stop(struct sink_stream *sink);
/* When no answer of Redis can come any more; no-op for NULL. */
void sink_stream_destroy(struct sink_stream *sink);

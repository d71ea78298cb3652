/* The header lines of one webhook request. */
#pragma once

#include "base/buffer.h"
#include "consumers/sink_options.h"

#define SINK_HEADERS_OWN 8 /* what is added to those of the settings */

struct sink_headers {
    struct buffer text; /* the lines, each with a NUL */
    size_t count;
    const char *lines[SINK_HEADERS_MAX + SINK_HEADERS_OWN];
};

/* What a request is about. */
struct sink_request {
    const char *id;    /* the same for each attempt */
    const char *event; /* "": it has no name */
    const char *body;
    size_t body_length;
    uint64_t attempt; /* 1 the first time */
    uint64_t timestamp_s;
};

/*
 * Content-Type (unless the settings say another), webhook-id, webhook-timestamp and webhook-signature as
 * Standard Webhooks has them, sluice-sink, sluice-stream or sluice-channel, sluice-event, sluice-attempt, and
 * those of the settings. What is not printable ASCII in a name is percent-encoded. False when memory is
 * short.
 */
bool sink_headers_build(struct sink_headers *headers, const struct sink_options *options,
                        const struct sink_request *request);
void sink_headers_free(struct sink_headers *headers);

/* What an event is called: what stands behind events: or live: in the name of its stream or channel; NULL
 * when it is no such name. */
const char *sink_event_of_topic(const char *topic);

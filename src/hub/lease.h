/*
 * For whom a stream is held, and until when. A stream that is open to everybody has none (NULL), so it costs
 * a pointer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct lease {
    struct list node;    /* among those that end at about the same time (hub_leases.c) */
    uint64_t expires_ms; /* clock_now_ms(); 0: never */
    uint64_t credential; /* of the key it was opened with; 0: none that could be taken back */
    uint16_t subject_length;
    uint16_t stream_length;
    char text[]; /* the subject; then, for a consumer of a group, the stream's name */
};

struct lease_terms {
    uint64_t expires_ms;
    uint64_t credential;
    const char *subject; /* cut at 65535 bytes */
    size_t subject_length;
    const char *stream; /* a private stream's: what it reads; else NULL */
    size_t stream_length;
};

/* NULL when memory is short. */
struct lease *lease_create(const struct lease_terms *terms);
void lease_destroy(struct lease *lease);

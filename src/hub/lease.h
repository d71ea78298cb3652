/*
 * For whom a stream is held, and until when. A stream that is open to everybody has none (NULL), so it costs
 * a pointer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct subscriber;

struct lease {
    struct list node; /* among those that end at about the same time (hub_lease.c); not linked: never */
    struct subscriber *subscriber;
    uint64_t expires_ms; /* clock_now_ms(); 0: never */
    uint64_t known_ms;   /* clock_now_ms() when it was asked who it is */
    uint64_t credential; /* of the key it was opened with; 0: none that could be taken back */
    uint16_t subject_length;
    uint16_t stream_length;
    char text[]; /* the subject; behind it the stream's name for a consumer of a group */
};

struct lease_terms {
    uint64_t expires_ms;
    uint64_t known_ms; /* 0: now */
    uint64_t credential;
    const char *subject; /* may be NULL with 0 */
    size_t subject_length;
    const char *stream; /* of a consumer of a group: what it reads; else NULL */
    size_t stream_length;
};

/* NULL when memory is short, or a text is longer than 65535 bytes. */
struct lease *lease_create(const struct lease_terms *terms);
void lease_destroy(struct lease *lease); /* NULL: nothing */

/* A webhook sink as the settings describe it. Everything is borrowed, for as long as the sink lives. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "consumers/group.h"
#include "consumers/sink_keys.h"

#define SINK_NAME_MAX 64
#define SINK_CONCURRENCY_MAX 100
#define SINK_RETRIES_MAX 100
#define SINK_QUEUE_MAX 100000
#define SINK_IDLE_MS_MIN 5000 /* what is held is looked at once a second */
#define SINK_HEADERS_MAX 32   /* said in the settings, for one sink */

enum sink_kind {
    SINK_STREAM,  /* each entry of a stream at least once, by a consumer group */
    SINK_CHANNEL, /* each message of a channel at most once */
};

struct sink_options {
    enum sink_kind kind;
    const char *name;  /* letters, digits, _ and - */
    const char *topic; /* the stream or channel */
    const char *url;
    const char *headers;          /* lines of `Name: value` */
    const struct sink_keys *keys; /* NULL: requests are not signed */
    const char *instance;         /* what this gateway is called among those that share the work */
    uint64_t timeout_ms;          /* of one attempt */
    uint64_t retries;             /* attempts behind the first one, before an entry is given back */
    uint64_t wait_first_ms;       /* before the first of them; doubled each time */
    uint64_t wait_last_ms;        /* up to this */
    size_t concurrency;           /* requests at a time */

    /* streams */
    const char *group;
    enum group_start start;
    uint64_t max_deliveries; /* then an entry is a dead letter */
    uint64_t idle_ms;        /* after which others take over from a gateway that is gone */

    /* channels */
    size_t queue_max; /* messages that wait; more are dropped */
};

/*
 * Where a stream of events begins: at now, at what `since=` says, or behind the id that a client comes back
 * with.
 *
 *   channels, patterns ......... an id of wire/cursor.h
 *   one stream ................. the id of an entry
 *   several, streams among them  an id of wire/composite_cursor.h
 */
#pragma once

#include "front/exchange.h"
#include "hub/hub.h"

#define SINCE_ENTRIES_MAX 100000

enum since_kind {
    SINCE_NOW,     /* not given */
    SINCE_BEHIND,  /* what is behind `position` */
    SINCE_ENTRIES, /* the last `entries` of each stream */
    SINCE_INVALID,
};

struct since {
    enum since_kind kind;
    struct entry_id position;
    uint64_t entries;
};

/* `0`, an entry's id, a time (RFC 3339), or a number of entries up to SINCE_ENTRIES_MAX. */
struct since since_parse(const char *text, size_t length);

/* The id a client comes back with: the header Last-Event-ID, or a query parameter; empty when it is its first
 * time. */
struct text stream_last_event_id(const struct request *request);

/*
 * Places the topics of `stream` behind such an id, and says how it stands among the channels. `topics` are
 * those that stream->topics points to.
 */
void stream_start_behind(struct text id, struct topic_name *topics, struct stream_request *stream);

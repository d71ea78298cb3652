/*
 * Pages of stream entries read back by XRANGE, shared by all who replay them: a thousand clients that come
 * back for the same thousand entries cost Redis a few reads and the gateway one framing.
 *
 * A page is what follows `after` in a stream, up to PAGE_ENTRIES entries. A reader whose cursor lies inside a
 * page that is kept starts in the middle of it, so readers that begin apart soon share pages.
 *
 * Pages are kept for a few seconds and at most `bytes_max`; reads in flight are single (one a stream and
 * cursor).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/message.h"
#include "wire/chunk.h"
#include "wire/entry.h"
#include "wire/entry_id.h"

struct history;

/* What Redis says of a stream together with a page (XINFO STREAM and XRANGE in one transaction). */
struct stream_facts {
    bool exists;
    struct entry_id first; /* of the entries there are; 0-0 when it is empty */
    struct entry_id last;  /* last-generated-id */
    uint64_t length;
    uint64_t entries_added; /* 0 when the server does not say (before Redis 7) */
};

enum history_status { HISTORY_OK, HISTORY_UNAVAILABLE, HISTORY_WRONG_TYPE };

struct history_page {
    uint32_t references;
    struct entry_id after; /* what the page follows */
    struct entry_id end;   /* id of its last entry; `after` when it is empty */
    bool is_last;          /* there was no more when it was read */
    struct stream_facts facts;
    struct message **entries; /* kind, entry id and JSON payload */
    size_t count;
    size_t bytes;
};

typedef void history_ready(void *context, enum history_status status,
                           struct history_page *page); /* page borrowed for the call */

/* Bound by the gateway. Answered by history_loaded(), never inside the call. */
struct history_source {
    bool (*read)(void *context, const char *stream, size_t length, struct entry_id after, size_t count,
                 uint64_t token);
    void *context;
};

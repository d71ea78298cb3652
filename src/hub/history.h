/*
 * Pages of stream entries read back by XRANGE, shared by all who replay them: a thousand clients that come
 * back for the same thousand entries cost Redis a few reads and the gateway one framing.
 *
 * A page is what follows `after` in a stream, up to HISTORY_PAGE_ENTRIES entries. A reader whose position
 * lies inside a page that is kept starts in the middle of it, so readers that begin apart soon share pages.
 *
 * Bounded: pages are kept for HISTORY_KEPT_MS and HISTORY_BYTES_MAX; of each stream and position one read is
 * in flight.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/message.h"
#include "wire/chunk.h"
#include "wire/entry.h"
#include "wire/entry_id.h"

/* Redis does nothing else while it reads a page: for less than a millisecond. */
#define HISTORY_PAGE_ENTRIES 128
#define HISTORY_KEPT_MS 3000
#define HISTORY_BYTES_MAX (32u << 20)
#define HISTORY_FORMATS 8

struct history;

/* What Redis says of a stream together with a page (XINFO STREAM and XRANGE in one transaction). */
struct stream_facts {
    bool exists;
    struct entry_id first; /* of the entries there are; 0-0 when there are none */
    struct entry_id last;  /* last-generated-id */
    uint64_t length;
    uint64_t entries_added; /* 0 when the server does not say (before Redis 7) */
};

enum history_status { HISTORY_OK, HISTORY_UNAVAILABLE, HISTORY_WRONG_TYPE };

struct history_page {
    struct entry_id after; /* what the page follows */
    struct entry_id end;   /* id of its last entry; `after` when it is empty */
    bool is_last;          /* there was no more when it was read */
    struct stream_facts facts;
    struct message **entries; /* with entry id and JSON payload */
    size_t count;
    size_t bytes;
    /* Frames of the whole page by format, made by whoever needs them first: entry i begins at offsets[i]. */
    struct chunk *chunks[HISTORY_FORMATS];
    uint32_t *offsets[HISTORY_FORMATS];
};

/* The index of the page's first entry behind `id`; `count` if there is none. */
size_t history_page_after(const struct history_page *page, struct entry_id id);

/* `page` is NULL unless HISTORY_OK, and borrowed for the call. */
typedef void history_ready(void *context, enum history_status status, struct history_page *page);

/* Bound by the gateway. Answered by history_entry() for each entry and history_loaded(), never inside the
 * call. */
struct history_source {
    bool (*read)(void *context, const char *stream, size_t length, struct entry_id after, size_t count,
                 uint64_t token);
    void *context;
};

struct history *history_create(const struct history_source *source);
/* Nobody waits any more. */
void history_destroy(struct history *history);

/*
 * Gives the page that follows `after`, or holds it: at once when it is kept, later when it must be read.
 * Cancel with history_cancel(context) before `context` goes. False when memory is short: `ready` is not
 * called.
 */
bool history_read(struct history *history, const char *stream, size_t length, struct entry_id after,
                  uint64_t now_ms, history_ready *ready, void *context);
void history_cancel(struct history *history, void *context);

/* The source's answer: the entries in order (`json` NULL: memory was short), then the end. `facts` is NULL
 * unless HISTORY_OK; `is_last`: there is no more. */
void history_entry(struct history *history, uint64_t token, struct entry_id id, const char *json,
                   size_t length);
void history_loaded(struct history *history, uint64_t token, enum history_status status,
                    const struct stream_facts *facts, bool is_last, uint64_t now_ms);

/* Drops what has been kept long enough; call about once a second. */
void history_sweep(struct history *history, uint64_t now_ms);

/*
 * How far a stream has been read, and whether anything in between was missed. Knows no connection; takes ids
 * and what Redis says of the stream.
 *
 * Redis counts the entries ever added. We count those we were given; when we stand at an id of which Redis
 * has told the count, a difference is what was trimmed or deleted before we could read it, or a stream that
 * began again, of which nobody knows what else it had:
 *
 *      position, counted          mark (XINFO STREAM: last-generated-id, entries-added)
 *   ───────┼────── entries read ──────┼──▶   stream_progress_take() compares here
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "redis/stream_info.h"
#include "wire/entry_id.h"

struct stream_progress {
    struct entry_id position; /* the last entry taken, or where reading began */
    bool is_counted;          /* false: `counted` is not known (before Redis 7) */
    uint64_t counted;         /* entries ever added, up to `position` */
    bool has_mark;
    struct entry_id mark;
    uint64_t counted_at_mark;
};

enum stream_verdict {
    STREAM_INTACT,
    STREAM_TRIMMED, /* entries behind the position went before they were read */
    STREAM_RESET,   /* deleted, or restored to an older state */
};

/* Reading begins behind the last entry. */
void stream_progress_start(struct stream_progress *progress, const struct stream_info *info);

/* Takes the next entry. `*ret_is_lossy`: something before it was missed. False: the entry is not a new one.
 */
bool stream_progress_take(struct stream_progress *progress, struct entry_id id, bool *ret_is_lossy);

/*
 * Compares with what Redis says after everything up to the position was read, and before anything behind it.
 * `was_away`: the connection was lost since; then loss is assumed where it cannot be ruled out. After
 * STREAM_RESET the position is one that reading can go on from.
 */
enum stream_verdict stream_progress_check(struct stream_progress *progress, const struct stream_info *info,
                                          bool was_away);

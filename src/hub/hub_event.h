/*
 * What the dispatcher tells a hub, in the order in which Redis said it: records in one piece of memory, so
 * that all of a turn can change threads at once.
 *
 *     hub_events_append() …        the dispatcher, once for each hub that wants it
 *     hub_events_next() …          the hub's thread: hub_apply() for each
 *     hub_events_clear()           gives up the references that the records hold, and the memory
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/message.h"
#include "hub/topic_kind.h"
#include "metrics/metrics.h"
#include "wire/entry_id.h"

enum hub_event_kind {
    HUB_FEED_UP,       /* client_id, generation */
    HUB_FEED_DOWN,     /* generation */
    HUB_CONFIRMED,     /* a channel or pattern: floor, floor_reason, kept, key_floor */
    HUB_REFUSED,       /* problem */
    HUB_PUT_OFF,       /* a channel or pattern that is to be asked for again, for want of memory */
    HUB_MESSAGE,       /* message; NULL: it was lost for want of memory */
    HUB_LIVE,          /* message of a batch that this hub's cache answers for */
    HUB_WATCHED,       /* a stream: what is behind `entry` comes */
    HUB_ENTRY,         /* message; NULL: as above */
    HUB_STREAM_BROKEN, /* entries were lost for good (floor_reason); what is behind `entry` comes */
    HUB_FENCE,         /* token */
    HUB_INVALIDATED,   /* name is a batch's id; NULL: all of them */
    HUB_CAUGHT_UP,     /* the hub stands at `sequence` now */
    HUB_LOST,          /* events before this one were lost on their way: client_id, generation */
};

struct hub_event {
    enum hub_event_kind kind;
    enum topic_kind topic_kind;
    enum gap_reason floor_reason;
    bool feed_up;        /* HUB_LOST: the feed is up */
    uint8_t interests;   /* bits of enum dispatcher_interest: whose wish it answers, or who wants the topic */
    uint64_t sequence;   /* of the newest that was read when this happened */
    uint64_t generation; /* grows whenever the feed comes or goes */
    uint64_t floor;      /* what has come since is in `kept`, as far as nobody else has told it */
    uint64_t key_floor;  /* HUB_CONFIRMED, a batch's channel: what is kept above this is newer than the last
                            change of its snapshot's key that Redis has told of */
    uint64_t token;
    int64_t client_id; /* of the feed's connection */
    struct entry_id entry;
    struct message *message; /* the record has a reference of its own */
    struct message **kept;   /* oldest first; the record owns the array and a reference to each */
    size_t kept_count;
    const char *name; /* the topic's */
    size_t name_length;
    const char *problem;   /* ends with a NUL … */
    size_t problem_length; /* … which is counted */
};

/* A zeroed struct is empty. */
struct hub_events {
    char *records;
    size_t size, capacity; /* bytes */
    size_t cost;           /* memory that stays in use as long as the records do, messages included */
};

/* Copies name and problem, takes over `kept`, and a reference to `message` of its own. False when memory is
 * short: nothing is appended, and `kept` is still the caller's. */
bool hub_events_append(struct hub_events *events, const struct hub_event *event);

/* The next record from *cursor (0 at first) on; its bytes live as long as `events`. False at the end. */
bool hub_events_next(const struct hub_events *events, size_t *cursor, struct hub_event *ret_event);

/* Gives back references and memory; empty afterwards. */
void hub_events_clear(struct hub_events *events);

/* The same, but leaves the memory to `next` if that has none. */
void hub_events_recycle(struct hub_events *events, struct hub_events *next);
void hub_event_release_kept(struct message **kept, size_t count);

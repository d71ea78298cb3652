/*
 * One channel or pattern: its subscription, its subscribers by list, the ring, and the chunks of this turn.
 *
 *                 topic_create            Redis confirms
 *   UNSUBSCRIBED ─────────────▶ SUBSCRIBING ──────────▶ CONFIRMED ──▶ (linger over: unsubscribed, destroyed)
 *        ▲                           │                     │
 *        └───────────── feed lost ───┴─────────────────────┘
 *
 * A topic is unsubscribed only when CONFIRMED, so that a confirmation always belongs to the newest request
 * (hub_topics.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "hub/frames.h"
#include "hub/message.h"
#include "hub/ring.h"
#include "hub/subscriber.h"

enum topic_state { TOPIC_UNSUBSCRIBED, TOPIC_SUBSCRIBING, TOPIC_CONFIRMED };

struct members {
    struct membership **items;
    uint32_t count;
    uint32_t capacity;
};

/* Channels and patterns come by the feed, which loses what is published while it is down. Streams have a tail
 * of their own. */
#define FEED_TOPIC_KINDS TOPIC_STREAM

struct topic {
    struct hub *hub; /* whose it is: callbacks know a subscriber only */
    enum topic_kind kind;
    enum topic_state state;
    bool is_batch;      /* a channel batch:<id> */
    bool was_confirmed; /* before: what it missed since, Redis' absence is to blame for */
    bool is_awaited;    /* the hub's syncing waits for its confirmation */
    bool turn_terminal; /* the turn's batch chunk ends with `complete` */
    uint64_t confirmed_sequence;
    uint64_t idle_since_ms; /* when the last subscriber left */
    struct members members[MEMBER_LISTS];
    uint32_t member_count;
    struct chunk *turn[FRAME_VARIANTS];     /* frames of this turn, made only when somebody wants them */
    size_t turn_last[FRAME_VARIANTS];       /* where the turn's last message begins in it */
    uint64_t turn_sequence[FRAME_VARIANTS]; /* and which message that is */
    struct list dirty;                      /* in one of the hub's lists while there are chunks */
    uint64_t flushed_ms;                    /* when the last were sent */
    struct list lingering;                  /* in the hub's list while there are no members, oldest first */
    struct entry_id last_entry;             /* a stream: the newest entry the tail has brought */
    struct ring ring;
    size_t name_length;
    char name[];
};

/* NULL when memory is short. */
struct topic *topic_create(struct hub *hub, enum topic_kind kind, const char *name, size_t length);

/* The topic has no members any more. */
void topic_destroy(struct topic *topic);

/* Puts a membership into a list, out of the one it was in. False when memory is short; it is where it was
 * then. */
bool topic_move(struct membership *membership, enum member_list list);

/* Adds a new membership to the waiting list. False when memory is short. */
bool topic_join(struct topic *topic, struct membership *membership, struct subscriber *subscriber);
void topic_leave(struct membership *membership);

/* The turn's chunk for a variant of frames, made when there is none. NULL when memory is short. */
struct chunk *topic_turn_chunk(struct topic *topic, unsigned variant, uint64_t received_ns);

/* Forgets the turn's chunks unsent. */
void topic_discard_turn(struct topic *topic);

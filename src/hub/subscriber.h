/*
 * One streaming client: a socket, what it listens to, and what it has not taken yet.
 *
 *   WAITING ──▶ LIVE ──▶ CLOSING ──▶ DEAD
 *      ▲─────────┘          a CLOSING one is sent what still waits for it; a DEAD one has no socket and is
 * freed at the gap of a batch         end of the turn (hub.c: hub_reap)
 *
 * Nearly always the kernel takes everything at once and `backlog` is NULL: an idle client is this struct and
 * no more.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/poller.h"
#include "hub/hub.h"
#include "metrics/metrics.h"
#include "wire/chunk.h"
#include "wire/entry_id.h"

struct topic;
struct backlog;
struct lease;

enum subscriber_state { SUBSCRIBER_WAITING, SUBSCRIBER_LIVE, SUBSCRIBER_CLOSING, SUBSCRIBER_DEAD };

/* Which of a topic's lists a membership is in. Single-topic clients, the many, are listed by format and get
 * whole chunks. */
enum member_list {
    MEMBERS_WAITING,
    MEMBERS_JOINED,  /* viewers of a batch that have a snapshot, and no message yet */
    MEMBERS_SEVERAL, /* clients of several topics: each message is given to them in sequence */
    MEMBERS_SINGLE,  /* + format */
    MEMBER_LISTS = MEMBERS_SINGLE + STREAM_FORMATS,
};

/* A subscriber's place in one topic. */
struct membership {
    struct subscriber *subscriber;
    struct topic *topic;
    uint32_t index; /* in the topic's list */
    uint8_t list;   /* enum member_list */
    bool placed;    /* a stream: `position` is where the subscriber wants to go on, else it starts with what
                       comes */
    bool proved;    /* a stream: nothing between `position` and what there is has been lost */
    struct entry_id position; /* a stream: the last entry given */
};

/* How a waiting subscriber wants to be joined. */
enum join_kind {
    JOIN_FRESH,     /* from now on */
    JOIN_MISSED,    /* greeted while Redis was away: gap, and what is above `sequence` */
    JOIN_REPLAY,    /* comes back: what is above `sequence` first, or gap */
    JOIN_RESTART,   /* its id is of another process: gap */
    JOIN_UNKNOWN,   /* its id is none: gap */
    JOIN_AFTER_GAP, /* told of its gap: what is above `sequence` first; a batch: a snapshot */
    JOIN_CAUGHT_UP, /* a batch viewer that missed nothing: is the batch over meanwhile? */
};

struct subscriber {
    int descriptor; /* -1 until attached */
    uint8_t state;  /* enum subscriber_state */
    uint8_t format; /* enum stream_format */
    uint8_t join;   /* enum join_kind */
    bool greeted;   /* `retry:` is sent */
    bool awaits_snapshot;
    bool refused;      /* to be let go as soon as it is attached */
    bool expired;      /* its lease is over; to be told as soon as it is attached */
    bool listed;       /* in the hub's list of subscribers to look at when the turn ends */
    bool polled;       /* EPOLLOUT is on */
    bool is_private;   /* no topics, events of its owner's */
    bool has_channels; /* channels or patterns: what the feed brings, and loses when it breaks */
    bool composite;    /* of several topics, some of them streams: each event has an id of its own for it */
    bool awaits_page;  /* of a stream's history */
    bool replay_waits; /* wants the next page when it has taken the last */
    bool compressed;   /* what it is sent is a gzip stream, */
    bool has_head;     /* of which it has the head */
    uint8_t heartbeat_slot;
    uint32_t heartbeat_index;
    uint16_t topic_count;
    uint16_t replay_index; /* the topic whose page is on its way */
    struct membership first;
    union {
        struct membership *others;          /* topic_count - 1 of them */
        const struct private_stream *owner; /* is_private: whose events it gets */
    };
    uint32_t streams_tag;    /* composite: see wire/composite_cursor.h */
    struct gzip_check check; /* compressed: of what it was sent, or what waits for it */
    struct backlog *backlog;
    struct hub_companion *companion; /* or NULL; leaves when this is freed */
    struct lease *lease;             /* owned; NULL: everybody may have the stream */
    struct subscriber *next_listed;
    struct list replay;     /* in the hub's list of those who want the next page of a stream's history */
    uint64_t snapshot_etag; /* JOINED: of the snapshot it has; 0 once the same came as a message */
    uint64_t sequence;      /* WAITING: joins above this; LIVE: newest message it was given */
    uint64_t written_ms;    /* when the kernel last took something */
};

struct membership *subscriber_membership(struct subscriber *subscriber, size_t index);

/* What sending needs to know; one for the hub, its clock set once a turn. */
struct delivery {
    struct poller *poller;
    struct metrics *metrics;
    struct gzip *gzip;
    size_t backlog_bytes_max;
    uint64_t now_ms;
};

enum delivery_result {
    DELIVERY_DONE, /* sent, or waiting in the backlog */
    DELIVERY_GONE, /* the peer is gone, or memory is short: let it go */
    DELIVERY_OVER, /* the backlog would pass its bound; nothing was added */
};

/* Sends bytes begin..end of a chunk of frames now, or queues what the kernel does not take; compressed, if
 * the subscriber is, once for all who get the whole chunk. */
enum delivery_result subscriber_send(struct subscriber *subscriber, struct delivery *delivery,
                                     struct chunk *chunk, size_t begin, size_t end);

/* Queues without sending, for clients of several topics: subscriber_flush() follows when the turn ends. For
 * a compressed one the bytes are a part of a gzip stream. */
enum delivery_result subscriber_queue(struct subscriber *subscriber, struct delivery *delivery,
                                      struct chunk *chunk, size_t begin, size_t end,
                                      const struct gzip_part *part);

/* Sends bytes that nobody else gets (greeting, replay), copying only what the kernel does not take. */
enum delivery_result subscriber_send_bytes(struct subscriber *subscriber, struct delivery *delivery,
                                           const char *bytes, size_t length);

/* Sends what waits. */
enum delivery_result subscriber_flush(struct subscriber *subscriber, struct delivery *delivery);

/* Sends what ends the stream for its reader, whatever waits already; nothing where it just ends. */
enum delivery_result subscriber_end(struct subscriber *subscriber, struct delivery *delivery);

/* Drops what waits but for the rest of an event that is partly sent. */
void subscriber_conflate(struct subscriber *subscriber, struct delivery *delivery);

/* A peer that acknowledges nothing for so long is given up by the kernel (TCP_USER_TIMEOUT, tcp(7)): it may
 * have vanished with its network, and a heartbeat finds out. */
void subscriber_limit_silence(struct subscriber *subscriber, uint64_t timeout_ms);
/* It was: asked once, when the socket has an error. */
bool subscriber_fell_silent(const struct subscriber *subscriber);

bool subscriber_has_backlog(const struct subscriber *subscriber);

/* Closes the socket, with FIN after all that the kernel has, and frees the backlog. */
void subscriber_close(struct subscriber *subscriber, struct delivery *delivery);

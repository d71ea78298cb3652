/*
 * What the hub is made of, for the files that are the hub:
 *
 *   hub.c          life of the hub and of subscribers: open, attach, close, reap
 *   hub_apply.c    what the dispatcher tells
 *   hub_topics.c   topics: subscribed when first wanted, confirmed, lingering, gone
 *   hub_join.c     from WAITING to LIVE: greeting, gap, replay
 *   hub_join_batch.c  the same for viewers of batches: snapshot, complete
 *   hub_joined.c   viewers of a batch between their snapshot and their first message
 *   hub_rings.c    what the rings still have of what was missed
 *   hub_replay.c   before that, for streams: pages of their history
 *   hub_id.c       ids and gaps as each subscriber has them
 *   hub_deliver.c  from Redis to sockets: sequence, frame, send, slow clients
 *   hub_hold.c     what waits a little for more to go out with it
 *   hub_lease.c    streams that are held for somebody: their end
 *   hub_revoke.c   the end of one person's streams, and who has how many
 *   hub_tick.c     time: heartbeats, stalls, lingering, draining
 */
#pragma once

#include <event2/event.h>

#include "base/list.h"
#include "base/map.h"
#include "base/poller.h"
#include "hub/frames.h"
#include "hub/heartbeat.h"
#include "hub/history.h"
#include "hub/hub.h"
#include "hub/message.h"
#include "hub/subscriber.h"
#include "hub/topic.h"

/* Streams end at most this long behind their time. */
#define LEASE_SLOT_MS 250
#define LEASE_SLOTS 256
#define HUB_EXPIRED_REASON "expired"
#define HUB_REVOKED_REASON "revoked"
#define HUB_REVOCATIONS 64 /* remembered, for streams that are being opened */

struct revocation {
    char *subject; /* NULL: memory was short */
    size_t length;
    uint64_t ms;
};

struct hub {
    struct event_base *base;
    struct hub_options options;
    struct hub_source source;
    struct snapshot_cache *cache;
    struct metrics *metrics;
    struct log *log;

    uint64_t epoch;
    uint64_t sequence;      /* of the newest that the dispatcher has told */
    uint64_t live_sequence; /* of the newest message that the snapshot cache was told */
    bool catching_up;       /* asked to be told of what other hubs have been told already */
    struct map *topics[TOPIC_KINDS];
    struct list dirty_topics;
    struct list held_topics; /* their chunks wait for more, until hold_until_ms */
    struct list lingering_topics;
    struct history *history;

    bool feed_up;
    bool syncing; /* the feed is back, not all topics are confirmed yet: nothing is sent before the gap is */
    size_t sync_pending;    /* topics not confirmed yet */
    uint64_t sync_sequence; /* where the gap stands */
    bool subscribe_again;   /* some topic could not be asked for, though the feed is up */

    struct delivery delivery;
    struct poller *poller;
    struct event *gone; /* frees those who have been let go */
    struct heartbeat heartbeat;
    struct subscriber *listed; /* to be flushed or freed when the turn ends */
    struct subscriber *held;   /* of several topics: theirs waits for more, until hold_until_ms */
    struct event *hold_timer;
    uint64_t hold_until_ms; /* 0: nothing is held */
    size_t client_count;    /* subscribers, attached or not, that are not dead */

    struct chunk *ids;     /* id lines of this turn, for bare frames */
    struct list replays;   /* subscribers that want a page of a stream's history, in turn */
    size_t replays_active; /* pages asked for */
    struct event *replay_timer;
    struct list lease_slots[LEASE_SLOTS]; /* of streams that end, by when (hub_lease.c) */
    uint64_t lease_time; /* the slot that was looked at last, counted from the clock's start */
    struct revocation revocations[HUB_REVOCATIONS]; /* a ring */
    uint64_t revocation_count;
    struct event *heartbeat_timer;
    struct event *housekeeping_timer;
    uint64_t
        join_again_ms; /* when to try those again who could not be given a snapshot or a page; 0: nobody */
    uint64_t refresh_again_ms; /* when to read again what viewers joined with; 0: never */
    bool draining;
    size_t drain_clients; /* when draining began */
    uint64_t drain_spread_ms;
};

/* hub.c */
void hub_let_go(struct hub *hub,
                struct subscriber *subscriber); /* closes it now, frees it when the turn ends */
void hub_failed(struct hub *hub, struct subscriber *subscriber, enum delivery_result result);
void hub_finish(struct hub *hub,
                struct subscriber *subscriber); /* closes it when all that waits for it is sent */
void hub_dismiss(struct hub *hub, struct subscriber *subscriber,
                 const char *refused_reason); /* retry, [refused], end */
void hub_dismiss_expired(struct hub *hub, struct subscriber *subscriber,
                         const char *reason); /* retry, expired, end; not one that is CLOSING or DEAD */
void hub_list(struct hub *hub, struct subscriber *subscriber);
void hub_visit_listed(struct hub *hub);
uint64_t hub_retry_ms(const struct hub *hub);

/* hub_topics.c */
struct topic *hub_find_topic(struct hub *hub, enum topic_kind kind, const char *name, size_t length);
struct topic *hub_want_topic(struct hub *hub, enum topic_kind kind, const char *name, size_t length);
void hub_topic_left(struct hub *hub, struct topic *topic);
void hub_sweep_topics(struct hub *hub);
void hub_subscribe_again(struct hub *hub); /* to what could not be asked for, for want of memory */

/* hub_join.c */
void hub_try_join(struct hub *hub, struct subscriber *subscriber);
void hub_join_waiting(struct hub *hub); /* tries all who wait */
void hub_join_waiting_in(struct hub *hub, uint64_t wait_ms);
bool hub_find_gap(struct subscriber *subscriber, enum gap_reason *ret_reason);
void hub_greet(struct hub *hub, struct subscriber *subscriber);
void hub_cancel_snapshot(struct hub *hub, struct subscriber *subscriber);
void hub_announce_gap(struct hub *hub, struct subscriber *subscriber, struct chunk *gap);

void hub_go_live(struct hub *hub, struct subscriber *subscriber);
/* The sequence in the id of a gap that a snapshot is to follow: below what any ring has, so that who is cut
 * before the snapshot, and comes back with that id, is told of the gap again and given one. */
#define SNAPSHOT_OWED 0
/* A block with only an id: who is cut before the first event comes back to this place. */
void hub_append_place(struct hub *hub, struct subscriber *subscriber, struct buffer *out);
void hub_append_greeting(struct hub *hub, struct subscriber *subscriber, struct buffer *out);
bool hub_send_built(struct hub *hub, struct subscriber *subscriber, struct buffer *out);

/* hub_join_batch.c */
const char *hub_batch_id(const struct topic *topic, size_t *ret_length);
void hub_join_batch(struct hub *hub, struct subscriber *subscriber);

/* hub_rings.c */
struct replay {
    const struct message **messages; /* in sequence, each once */
    size_t count;
};
/* Collects what all the subscriber's rings hold for it; the caller frees replay.messages. False when memory
 * is short. */
bool hub_collect_replay(struct subscriber *subscriber, struct replay *ret_replay);
/* Appends the replay; the gap first, if there is one. */
void hub_append_replay(struct hub *hub, struct subscriber *subscriber, const struct replay *replay, bool gap,
                       enum gap_reason reason, struct buffer *out);
bool hub_rings_cover(struct subscriber *subscriber, enum gap_reason *ret_reason);
/* True when a ring has dropped what the subscriber, told of a loss already, has not had since. */
bool hub_rings_trimmed(struct subscriber *subscriber);
bool hub_has_place(const struct subscriber *subscriber); /* what is above its sequence is for it */

/* hub_joined.c */
/* A viewer is live with this snapshot (NULL: there was none), which it was sent or not. */
void hub_watch_joined(struct hub *hub, struct subscriber *subscriber, const struct snapshot *snapshot,
                      bool is_told);
/* A message comes: viewers whose snapshot it repeats are spared it, the others belong to the many from now
 * on. */
void hub_admit_joined(struct hub *hub, struct topic *topic, const struct message *message);
/* The batch's key has changed: those who have had no message yet are told what it says. */
void hub_refresh_joined(struct hub *hub, const char *batch_id, size_t length);
/* The same for all batches, in a while: what one of them says could not be read. */
void hub_refresh_again(struct hub *hub);

/* hub_replay.c */
bool hub_streams_ready(struct hub *hub, struct subscriber *subscriber);
void hub_cancel_page(struct hub *hub, struct subscriber *subscriber);
void hub_replay_taken(struct hub *hub, struct subscriber *subscriber);
bool hub_start_replays(struct hub *hub);
void hub_stop_replays(struct hub *hub);

/* hub_id.c */
void hub_append_id(const struct hub *hub, struct subscriber *subscriber, uint64_t sequence,
                   struct buffer *out);
void hub_append_id_line(const struct hub *hub, struct subscriber *subscriber, uint64_t sequence,
                        struct buffer *out);
void hub_append_gap(struct hub *hub, struct subscriber *subscriber, uint64_t sequence, enum gap_reason reason,
                    const struct stream_gap *stream, struct buffer *out);

/* hub_topics.c: what becomes of topics and their members */
void hub_feed_up(struct hub *hub);
void hub_feed_down(struct hub *hub);
void hub_confirmed(struct hub *hub, struct topic *topic, const struct hub_event *event);
void hub_refused(struct hub *hub, struct topic *topic, const char *problem);
void hub_put_off(struct hub *hub, struct topic *topic);
void hub_watched(struct hub *hub, struct topic *topic, struct entry_id last);
void hub_stream_broken(struct hub *hub, struct topic *topic, enum gap_reason reason, struct entry_id last);
void hub_streams_lost(struct hub *hub);

/* hub_deliver.c: `message` NULL: it was lost */
void hub_message(struct hub *hub, struct topic *topic, struct message *message);
void hub_entry(struct hub *hub, struct topic *topic, struct entry_id id, struct message *message);
void hub_flush_topic(struct hub *hub, struct topic *topic);
void hub_refresh_snapshot(struct hub *hub, const struct message *message);

/* hub_hold.c */
bool hub_start_hold(struct hub *hub);
void hub_stop_hold(struct hub *hub);
void hub_topic_has_more(struct hub *hub, struct topic *topic, const struct chunk *chunk);
/* True when the topic's chunks may wait for more. */
bool hub_hold_topic(struct hub *hub, struct topic *topic);
/* The same for what is queued for clients of several topics. */
void hub_hold_listed(struct hub *hub);
/* Sends what is held; hub_visit_listed() follows. */
void hub_release_held(struct hub *hub);

/* hub_lease.c */
void hub_start_leases(struct hub *hub);
void hub_end_leases(struct hub *hub); /* those that are over by now */

/* hub_revoke.c */
/* Its subject was revoked since it became known. */
bool hub_is_revoked(const struct hub *hub, const struct lease *lease);
void hub_forget_revocations(struct hub *hub);

/* hub_tick.c */
bool hub_start_timers(struct hub *hub);
void hub_stop_timers(struct hub *hub);

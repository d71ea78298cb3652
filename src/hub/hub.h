/*
 * The fan-out engine: one Redis subscription per topic, any number of subscribers.
 *
 *   dispatcher ──hub_apply()──▶ topic: framed once into the turn's chunk
 *                                 ──hub_turn_end()──▶ one send(2) per subscriber
 *
 * Every logical PUBLISH has one sequence in the process, whether it comes by its channel, by patterns, or
 * both; with the process's epoch it is the event's id (wire/cursor.h). A topic keeps the last messages in its
 * ring, so a client that comes back to this process gets what it missed; where that cannot be proved it is
 * told by `event: gap`.
 *
 * The life of a subscriber:
 *
 *   hub_open ─▶ WAITING ────────────────────▶ LIVE ─────────────────────────────▶ (CLOSING ─▶) reaped
 *                ▲    attached, all topics      │    peer gone, over its backlog,
 *                │    confirmed, batch:         │    batch complete, drained
 *                │    snapshot read             │
 *                └──────────────────────────────┘
 *                  Redis was lost: gap; batches, and who has several topics, wait again
 */
#pragma once

#include <event2/event.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "hub/hub_event.h"
#include "hub/snapshot_cache.h"
#include "hub/topic_kind.h"
#include "metrics/metrics.h"
#include "wire/cursor.h"
#include "wire/entry_id.h"

struct history;
struct hub;
struct lease;
struct subscriber;

enum stream_format {
    STREAM_RAW,      /* data is the payload, unnamed */
    STREAM_ENVELOPE, /* {"channel":…,"data":…} */
    STREAM_NAMED,    /* event: <topic> */
    STREAM_BATCH,    /* event: progress, then complete; joined to the snapshot */
    STREAM_FORMATS,
};

enum slow_policy { SLOW_POLICY_DISCONNECT, SLOW_POLICY_LATEST };

struct hub_options {
    size_t clients_max;       /* of all hubs of the process together */
    size_t deflate_bytes_min; /* what is smaller is not worth the work, for clients that want compressed
                                 streams */
    size_t backlog_bytes_max; /* per client, behind the kernel's own buffer */
    enum slow_policy batch_slow_policy;
    uint64_t stall_timeout_ms; /* a client that takes nothing for so long while something waits is let go */
    uint64_t heartbeat_ms;
    uint64_t retry_min_ms, retry_max_ms;
    uint64_t coalesce_ms;   /* nobody is sent to more often than this; 0: whenever there is something */
    uint64_t linger_ms;     /* a topic without subscribers is unsubscribed after this */
    size_t replay_messages; /* ring of each topic */
    size_t replay_bytes;
};

/* What the hubs of the process have in common, each in a thread of its own. */
struct hub_shared {
    uint64_t epoch;
    atomic_size_t clients;
};

/* What the hub asks of the dispatcher and of commands; bound by the gateway. */
struct hub_source {
    /* `again`: the loss of its last subscription is being told. False when memory is short: asked again
     * soon. */
    bool (*subscribe)(void *context, enum topic_kind kind, const char *name, size_t length, bool again);
    void (*unsubscribe)(void *context, enum topic_kind kind, const char *name, size_t length);
    /* The newest sequence that any hub of the process may have given to a client. */
    uint64_t (*newest)(void *context);
    /* HUB_CAUGHT_UP follows, from the next turn on. False when memory is short. */
    bool (*catch_up)(void *context);
    /* Answered through hub_history(), see hub/history.h. */
    bool (*read_history)(void *context, const char *stream, size_t length, struct entry_id after,
                         size_t count, uint64_t token);
    void *context;
    struct hub_shared *shared;
};

/* Borrows cache, metrics and log. */
struct hub *hub_create(struct event_base *base, const struct hub_options *options,
                       const struct hub_source *source, struct snapshot_cache *cache, struct metrics *metrics,
                       struct log *log);
void hub_destroy(struct hub *hub);

/* On reload: takes effect for what happens from now on. */
void hub_set_options(struct hub *hub, const struct hub_options *options);

/* --- what clients want --- */

struct topic_name {
    enum topic_kind kind;
    const char *name;
    size_t length;
    /* A stream: what is behind `position` is wanted, not only what comes. */
    bool placed;
    /* It need not be proved that nothing behind `position` was lost: a first connection chose it. */
    bool proved;
    struct entry_id position;
};

/* How it stands among the channels and patterns; streams have their positions. */
enum resume_kind {
    RESUME_NONE,    /* a first connection */
    RESUME_CURSOR,  /* comes back with an id of ours */
    RESUME_UNKNOWN, /* comes back with an id that is none: gets `gap` with reason unknown-id */
};

struct stream_request {
    enum stream_format format;
    const struct topic_name *topics; /* STREAM_BATCH: exactly one, the channel batch:<id> */
    size_t topic_count;
    enum resume_kind resume;
    struct cursor cursor;
};

enum hub_open_status { HUB_OPEN_OK, HUB_OPEN_FULL, HUB_OPEN_DRAINING, HUB_OPEN_NO_MEMORY };

/* Starts subscribing before the response head is out. Must be followed by hub_attach() or hub_abandon(). */
enum hub_open_status hub_open(struct hub *hub, const struct stream_request *request,
                              struct subscriber **ret_subscriber);

/*
 * What somebody keeps for a client: `leave` is called once, when the subscriber is gone for good, and the
 * companion is its own again. Between hub_open() and hub_attach(); there is one at most.
 */
struct hub_companion {
    void (*leave)(struct hub_companion *companion);
};
void hub_accompany(struct subscriber *subscriber, struct hub_companion *companion);

/* Gives the subscriber its socket: non-blocking, response head already sent. The hub owns and closes
 * `descriptor`, even when it returns false (no memory; the subscriber is gone then). */
bool hub_attach(struct hub *hub, struct subscriber *subscriber, int descriptor);
void hub_abandon(struct hub *hub, struct subscriber *subscriber);

/* Its stream is to be compressed with gzip: between hub_open() and hub_attach(). Not for a private one, whose
 * events nobody shares. */
void hub_compress(struct subscriber *subscriber);

/*
 * The stream is held for somebody (takes the lease, NULL: for everybody): when it ends, the client gets
 * `event: expired` and the end of the stream. Between opening and attaching or abandoning.
 */
void hub_lease(struct hub *hub, struct subscriber *subscriber, struct lease *lease);

/*
 * Asks of each stream that has a lease, and of each of its topics (a private stream: once, a topic that is
 * lease->text's stream), whether it may stay; one that may not ends as if its lease were over, with this
 * reason. Returns how many end. For keys that were taken back, and people who were.
 */
typedef bool hub_may_stay(void *context, const struct lease *lease, const struct topic_name *topic);
size_t hub_review(struct hub *hub, hub_may_stay *may_stay, const char *reason, void *context);

/*
 * A stream whose events are its owner's own (a consumer of a group): the hub keeps the socket, greets, sends
 * heartbeats, bounds the backlog and drains. `on_attached` comes when the first event may be sent, `on_room`
 * when all that waited has left for the kernel, `on_gone` once, when the client is gone or let go, abandoned
 * among them; none of them inside a call of the owner's.
 */
struct private_stream {
    void (*on_attached)(void *context);
    void (*on_room)(void *context);
    void (*on_gone)(void *context);
    void *context;
};

/* Borrows `owner` until on_gone. Followed by hub_attach() or hub_abandon() like hub_open().
 */
enum hub_open_status hub_open_private(struct hub *hub, const struct private_stream *owner,
                                      struct subscriber **ret_subscriber);

/* Sends whole SSE events. False when the client is gone or over its bound; on_gone follows. */
bool hub_send_private(struct hub *hub, struct subscriber *subscriber, const char *bytes, size_t length);

/* Some of what was sent is not with the kernel yet; on_room follows. */
bool hub_private_waits(const struct subscriber *subscriber);

/* Ends the stream behind what was sent; on_gone follows. With a `retry:`, and if there is a reason with
 * `event: refused` and a late one. */
void hub_end_private(struct hub *hub, struct subscriber *subscriber, const char *refused_reason);

/* --- what Redis says --- */

/* What the dispatcher told (hub/dispatcher.h), one after the other; hub_turn_end() follows. */
void hub_apply(struct hub *hub, const struct hub_event *event);
/* Redis may have changed keys without telling, for what it tracks was lost: viewers who have nothing but the
 * snapshot they joined with are told what it says now. Behind snapshot_cache_feed_up(). */
void hub_refresh_all_joined(struct hub *hub);
/* For the answers to read_history. */
struct history *hub_history(struct hub *hub);
void hub_turn_end(struct hub *hub);

/* --- the end --- */

/* Lets every client go, spread over `spread_ms`, each with a `retry:` of its own so that they do not come
 * back at once. */
void hub_drain(struct hub *hub, uint64_t spread_ms);
size_t hub_client_count(const struct hub *hub);
uint64_t hub_epoch(const struct hub *hub);

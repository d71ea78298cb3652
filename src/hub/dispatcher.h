/*
 * Between Redis and the hubs, one for the process: each topic is subscribed once, whatever the number of hubs
 * that want it, each PUBLISH gets its sequence, and each hub is told what it wants in Redis' order.
 *
 *     feed, tail ──▶ dispatcher ──▶ port ──▶ hub_apply(), in the port's own thread
 *                        ▲            │
 *                        └── dispatcher_want(), _leave(): called in the dispatcher's thread
 *
 * What is told within a turn goes to a port in one piece when the turn ends. With several ports the
 * dispatcher keeps the newest messages of each channel, so that a client that comes back to another thread
 * gets what it missed there too.
 *
 *              dispatcher_want          Redis confirms         the last port has left
 *   (no topic) ──────────────▶ ASKED ──────────────▶ CONFIRMED ──────────────────────▶ (no topic)
 *        ▲                       │ refused, feed lost     │
 *        └───────────────────────┴────────────────────────┘
 *
 * A name is unsubscribed only when it is CONFIRMED, so that a confirmation always belongs to the newest
 * request.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/hub_event.h"
#include "metrics/metrics.h"

#define DISPATCHER_PORTS_MAX 256

struct dispatcher;
struct dispatcher_port;

/* What the dispatcher asks of feed and tail; bound by the gateway. */
struct dispatcher_source {
    bool (*subscribe)(void *context, enum topic_kind kind, const char *name, size_t length);
    void (*unsubscribe)(void *context, enum topic_kind kind, const char *name, size_t length);
    void *context;
};

struct dispatcher_options {
    size_t replay_messages; /* kept of each channel while there are several ports */
    size_t replay_bytes;
};

/* Borrows metrics. NULL when memory is short. */
struct dispatcher *dispatcher_create(struct event_base *base, const struct dispatcher_options *options,
                                     const struct dispatcher_source *source, struct metrics *metrics);
void dispatcher_destroy(struct dispatcher *dispatcher);
void dispatcher_set_options(struct dispatcher *dispatcher, const struct dispatcher_options *options);

/* Of what a port has not taken; more is lost, and the hub is told so. A single turn is well below it. */
#define DISPATCHER_PORT_BYTES_MAX (64u << 20)

/* Gets what the turn has brought for the port and leaves *events empty. False when memory is short or the
 * port's thread too far behind: what is left there comes again, with what has come since. */
typedef bool dispatcher_deliver(void *context, struct hub_events *events);

/* Before anything is wanted. `deliver` NULL: the port only wants, and is told nothing. NULL when memory is
 * short; lives as long as the dispatcher. */
struct dispatcher_port *dispatcher_add_port(struct dispatcher *dispatcher, dispatcher_deliver *deliver,
                                            void *context);
unsigned dispatcher_port_number(const struct dispatcher_port *port); /* 0 for the first added */

/* --- what the hubs want --- */

/* Who in a port's thread wants a topic; it is subscribed until all of them have left. */
enum dispatcher_interest { INTEREST_HUB = 1, INTEREST_GROUPS = 2 };

struct dispatcher_wish {
    enum topic_kind kind;
    enum dispatcher_interest interest;
    const char *name;
    size_t length;
    uint64_t
        generation; /* channels and patterns: of the last HUB_FEED_UP; others are out of date, and ignored */
    bool again;     /* it was subscribed before the feed was lost, and that loss is being told */
};

/*
 * Answered by HUB_CONFIRMED, _WATCHED or _REFUSED, never inside the call. False when the feed is down or
 * memory is short: not wanted then, try again with the next HUB_FEED_UP or in a while.
 */
bool dispatcher_want(struct dispatcher *dispatcher, struct dispatcher_port *port,
                     const struct dispatcher_wish *wish);
void dispatcher_leave(struct dispatcher *dispatcher, struct dispatcher_port *port,
                      const struct dispatcher_wish *wish);

/* HUB_REFUSED follows for this port alone. */
void dispatcher_refuse(struct dispatcher *dispatcher, struct dispatcher_port *port,
                       const struct dispatcher_wish *wish, const char *problem);

/* HUB_PUT_OFF follows, for a wish that dispatcher_want() could not take. */
void dispatcher_put_off(struct dispatcher *dispatcher, struct dispatcher_port *port,
                        const struct dispatcher_wish *wish);

/* HUB_CAUGHT_UP follows. */
void dispatcher_catch_up(struct dispatcher *dispatcher, struct dispatcher_port *port);

/* Grows whenever the feed comes or goes. */
uint64_t dispatcher_generation(const struct dispatcher *dispatcher);

/* The newest sequence that anybody has been told. From any thread. */
uint64_t dispatcher_newest(const struct dispatcher *dispatcher);

/* --- what Redis says --- */

void dispatcher_feed_up(struct dispatcher *dispatcher, int64_t client_id);
void dispatcher_feed_down(struct dispatcher *dispatcher);
void dispatcher_confirmed(struct dispatcher *dispatcher, enum topic_kind kind, const char *name,
                          size_t length);
void dispatcher_refused(struct dispatcher *dispatcher, enum topic_kind kind, const char *name, size_t length,
                        const char *problem);
void dispatcher_message(struct dispatcher *dispatcher, enum topic_kind kind, const char *topic,
                        size_t topic_length, const char *channel, size_t channel_length, const char *payload,
                        size_t payload_length);
void dispatcher_watched(struct dispatcher *dispatcher, const char *stream, size_t length,
                        struct entry_id last);
/* `json` NULL: it was lost for want of memory. */
void dispatcher_entry(struct dispatcher *dispatcher, const char *stream, size_t length, struct entry_id id,
                      const char *json, size_t json_length);
void dispatcher_stream_broken(struct dispatcher *dispatcher, const char *stream, size_t length,
                              enum gap_reason reason, struct entry_id last);
void dispatcher_fence(struct dispatcher *dispatcher, unsigned port_number, uint64_t token);
/* A key of the snapshot store changed; NULL: all of them. */
void dispatcher_invalidated(struct dispatcher *dispatcher, const char *batch_id, size_t length);
void dispatcher_turn_end(struct dispatcher *dispatcher);

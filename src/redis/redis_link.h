/*
 * One connection to Redis that heals itself. Names resolved without blocking (redis_connector), plain, unix
 * or TLS (redis_socket), RESP2 parsed by hiredis' redisReader (reply_reader).
 *
 *       redis_link_start          connected, and the handshake (AUTH, SELECT, …) answered
 *   DOWN ─────────────▶ CONNECTING ─────────────────────────────────────────────▶ READY
 *     ▲                   │   ▲                                                   │
 *     │ redis_link_stop   │   │ on_timer: backoff over,                           │ on_lost: EOF, error,
 *     │ from any state    ▼   │ jittered, 50 ms to 5 s                            │ reply too large;
 *     └─────────────── BACKOFF ◀──────────────────────────────────────────────────┘ on_reset; no PONG
 *
 * redis_link_become() is the one function that changes the state. An idle READY link is PINGed every 5 s;
 * without an answer within 10 s more it is dead. An attempt to connect has 5 s. The input a peer can make us
 * hold is bounded by `reply_bytes_max`, the output by `output_bytes_max`.
 *
 * -LOADING, -BUSY, -MASTERDOWN in the handshake, WRONGPASS, NOAUTH and "max number of clients" back off like
 * a lost link and log what to do, at most once a second. Waits start from 50 ms again only after a link has
 * been READY for 5 s, so that a server which accepts and drops does not keep us busy.
 */
#pragma once

#include <event2/dns.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "metrics/metrics.h"
#include "redis/redis_url.h"

struct redis_link;
struct redisReply;

enum redis_link_state { REDIS_LINK_DOWN, REDIS_LINK_CONNECTING, REDIS_LINK_READY, REDIS_LINK_BACKOFF };

/* Called on the loop. `on_down` follows every `on_ready` (not redis_link_stop()). Callbacks may send,
 * reset and stop; none may destroy the link. */
struct redis_link_events {
    void (*on_ready)(void *context);
    void (*on_down)(void *context, const char *reason);
    /* Every reply but those of handshake and PING, in order. The reply lives for the call. */
    void (*on_reply)(void *context, const struct redisReply *reply);
    /* All that could be read this turn has been given to on_reply. Follows every read; may be NULL. */
    void (*on_turn_end)(void *context);
    void *context;
};

struct redis_link_options {
    const struct redis_url *url; /* borrowed, outlives the link */
    const char *name;            /* "feed", "commands": for CLIENT SETNAME sluice-<name> and logs; borrowed */
    const char *tls_ca_file;     /* NULL: the system's */
    bool tls_verify;             /* false only for tests and by explicit setting */
    size_t reply_bytes_max;      /* a reply larger than this drops the link */
    size_t output_bytes_max;     /* redis_link_send() refuses past this */
    size_t read_bytes_per_turn;  /* read before other work gets a turn, e.g. 1 MiB */
    bool is_subscriber;          /* its replies are messages and confirmations; set by the feed */
    uint64_t ping_after_ms;      /* 0: 5000 */
    uint64_t ping_timeout_ms;    /* 0: 10000 */
    struct metrics *metrics;     /* redis_reconnects is counted here; may be NULL */
};

struct redis_link *redis_link_create(struct event_base *base, struct evdns_base *dns,
                                     const struct redis_link_options *options,
                                     const struct redis_link_events *events, struct log *log);
void redis_link_destroy(struct redis_link *link);

void redis_link_start(struct redis_link *link);
void redis_link_stop(struct redis_link *link);

/*
 * Drops the connection as if the peer had closed it; it heals itself. Takes effect when the caller is back in
 * the loop, so on_down is never called inside; until then nothing can be sent. `reason` is for the log and is
 * copied.
 */
void redis_link_reset(struct redis_link *link, const char *reason);

enum redis_link_state redis_link_state(const struct redis_link *link);

/* CLIENT ID of the current connection; 0 when the server would not say. Valid while READY. */
int64_t redis_link_client_id(const struct redis_link *link);

/*
 * Sends one command (RESP2 array of bulk strings). False, with nothing sent, unless READY and below the
 * output bound. A link whose replies are subscriptions must not be sent anything but (P)SUBSCRIBE,
 * (P)UNSUBSCRIBE and PING.
 */
bool redis_link_send(struct redis_link *link, int count, const char *const *arguments, const size_t *lengths);

/* The same for `reply_count` commands already formatted by redis_request_append(), all of them or none. */
bool redis_link_send_formatted(struct redis_link *link, const char *bytes, size_t length, size_t reply_count);

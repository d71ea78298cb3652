/*
 * Many EventSource clients on one thread: they connect, wait until they are joined, and check every message
 * they get.
 *
 * Client i listens to channel i modulo the number of channels. Besides the healthy ones there are
 *   - slow clients, which read a given number of bytes a second, and
 *   - stalled clients, which send their request and never read a byte.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "header_lines.h"
#include "latency.h"
#include "payload.h"
#include "sse_reader.h"

enum client_kind { CLIENT_HEALTHY, CLIENT_SLOW, CLIENT_STALLED, CLIENT_KINDS };

struct clients_options {
    struct address server;
    const char
        *path; /* `{channel}` stands for the channel's name, `{channels}` for channel=NAME&channel=NAME… */
    const char *channel_prefix; /* a channel's name is this and its number */
    size_t channels;
    size_t channels_per_client; /* client i listens to so many from channel i times this on */
    size_t count[CLIENT_KINDS];
    size_t first;                   /* the number of the first client: others are another process' */
    uint64_t slow_bytes_per_second; /* each slow client */
    size_t connecting_max;          /* at a time */
    enum sse_format format;
    const char *header;                 /* one more, such as `Authorization: Bearer …`; NULL: none */
    const struct header_lines *headers; /* and one of these for each client; NULL: none */
    bool gzip;                          /* asked for; what comes says whether it is */
    bool streams;                       /* channels are streams of Redis: events are entries (publisher.h) */
    bool joined_at_head; /* the server sends no `retry:` when it is subscribed: the head must do */
};

struct client_counts {
    uint64_t joined;
    uint64_t received; /* each message once */
    uint64_t duplicate;
    uint64_t out_of_order;
    uint64_t corrupt;          /* bytes changed, or a message of another channel */
    uint64_t other_events;     /* named events that are no payload, such as `gap` */
    uint64_t disconnected;     /* by the server, or because it did not speak text/event-stream */
    uint64_t connect_failures; /* tried again */
    uint64_t bytes;
};

/* What clients have seen; zeroed at first. It may lie in memory that processes share. */
struct clients_figures {
    struct client_counts counts[CLIENT_KINDS];
    struct latency latency;      /* publish to receipt, of healthy clients */
    uint64_t lost[CLIENT_KINDS]; /* by clients_leave() */
};

struct clients;

/* NULL when memory is short. Borrows its arguments. */
struct clients *clients_create(int loop, const struct clients_options *options,
                               const struct payload_form *form, struct clients_figures *figures);

/* Opens the next connections as far as connecting_max allows; call it each turn until all are joined or given
 * up. */
void clients_connect_more(struct clients *clients);

/* Lets the slow clients read what `now_us` allows; call it each turn. */
void clients_read_slowly(struct clients *clients, uint64_t now_us);

/* Messages that all clients of a kind together should have if `published` have been on all channels together,
 * in turn. */
uint64_t clients_expected(const struct clients_options *options, enum client_kind kind, uint64_t published);

/* Says what is lost of so many, and ends all connections at once, with RST so that no port stays taken. */
void clients_leave(struct clients *clients, uint64_t published);
void clients_destroy(struct clients *clients);

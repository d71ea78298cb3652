/* What clients.c and client_read.c share. */
#pragma once

#include "clients.h"
#include "sequence.h"
#include "watch.h"

/*
 * IDLE ──open_client()──▶ CONNECTING ──request sent──▶ JOINING ──head and retry──▶ JOINED ──▶ GONE
 *   ▲                          │                          a stalled client is joined when its request is sent
 *   └──────── refused ─────────┘
 */
enum client_state { CLIENT_IDLE, CLIENT_CONNECTING, CLIENT_JOINING, CLIENT_JOINED, CLIENT_GONE };

struct client {
    struct watch watch;
    struct clients *clients;
    struct sequence *sequences; /* of its channels */
    struct sse_reader reader;
    int socket;
    uint32_t channel; /* the first of its channels */
    uint8_t kind;
    uint8_t state;
};

#define CLIENT_READ_BYTES 262144

struct clients {
    int loop;
    const struct clients_options *options;
    const struct payload_form *form;
    struct clients_figures *figures;
    struct client *list;
    struct sequence *sequences;
    size_t count;
    size_t next_to_open;
    size_t connecting;
    uint64_t slow_turn_us; /* when slow clients may read again */
    struct client *reading;
    uint64_t read_us;
    char buffer[CLIENT_READ_BYTES];
};

struct client_counts *client_counts_of(struct client *client);
void client_set_state(struct client *client, enum client_state state);
void client_close(struct client *client, enum client_state state);

/* Takes up to `bytes_max` from the socket. */
void client_read(struct client *client, size_t bytes_max);

#include "clients.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "publisher.h"
#include "sequence.h"
#include "sse_reader.h"
#include "watch.h"

#define READ_BYTES 262144
#define REQUEST_BYTES_MAX 1024
#define SLOW_READS_PER_SECOND 10

/*
 * IDLE ──open_client()──▶ CONNECTING ──request sent──▶ JOINING ──head and retry──▶ JOINED ──▶ GONE
 *   ▲                          │                          a stalled client is joined when its request is sent
 *   └──────── refused ─────────┘
 */
enum client_state { CLIENT_IDLE, CLIENT_CONNECTING, CLIENT_JOINING, CLIENT_JOINED, CLIENT_GONE };

struct client {
    struct watch watch;
    struct clients *clients;
    struct sequence sequence;
    struct sse_reader reader;
    int socket;
    uint32_t channel;
    uint8_t kind;
    uint8_t state;
};

struct clients {
    int loop;
    const struct clients_options *options;
    const struct payload_form *form;
    struct client *list;
    size_t count;
    size_t next_to_open;
    size_t connecting;
    uint64_t slow_turn_us; /* when slow clients may read again */
    struct client_counts counts[CLIENT_KINDS];
    struct latency latency;
    struct client *reading;
    uint64_t read_us;
    char buffer[SSE_READER_UNFINISHED_MAX + READ_BYTES];
};

static void client_ready(struct watch *watch, uint32_t events);

struct clients *clients_create(int loop, const struct clients_options *options,
                               const struct payload_form *form)
{
    struct clients *clients = calloc(1, sizeof *clients);
    if (!clients)
        return NULL;
    for (unsigned kind = 0; kind < CLIENT_KINDS; kind++)
        clients->count += options->count[kind];
    clients->list = calloc(clients->count ? clients->count : 1, sizeof *clients->list);
    if (!clients->list) {
        free(clients);
        return NULL;
    }
    clients->loop = loop;
    clients->options = options;
    clients->form = form;
    size_t index = 0;
    for (unsigned kind = 0; kind < CLIENT_KINDS; kind++) {
        for (size_t i = 0; i < options->count[kind]; i++, index++) {
            struct client *client = &clients->list[index];
            *client = (struct client){ .watch = { client_ready },
                                       .clients = clients,
                                       .socket = -1,
                                       .channel = (uint32_t)(i % options->channels),
                                       .kind = (uint8_t)kind };
        }
    }
    return clients;
}

static struct client_counts *counts_of(struct client *client)
{
    return &client->clients->counts[client->kind];
}

/* --- connecting
 * ---------------------------------------------------------------------------------------------------- */

static bool is_connecting(const struct client *client)
{
    return client->state == CLIENT_CONNECTING || client->state == CLIENT_JOINING;
}

static void set_state(struct client *client, enum client_state state)
{
    bool was_connecting = is_connecting(client);
    client->state = (uint8_t)state;
    client->clients->connecting += (size_t)is_connecting(client) - (size_t)was_connecting;
    if (state == CLIENT_JOINED)
        counts_of(client)->joined++;
}

static void close_client(struct client *client, enum client_state state)
{
    close(client->socket);
    client->socket = -1;
    sse_reader_free(&client->reader);
    set_state(client, state);
}

static bool open_client(struct client *client)
{
    struct clients *clients = client->clients;
    client->socket = address_connect_as(&clients->options->server, (size_t)(client - clients->list));
    if (client->socket < 0)
        return false;
    if (!watch_add(clients->loop, client->socket, EPOLLOUT, &client->watch)) {
        close_client(client, CLIENT_IDLE);
        return false;
    }
    set_state(client, CLIENT_CONNECTING);
    return true;
}

void clients_connect_more(struct clients *clients)
{
    while (clients->connecting < clients->options->connecting_max && clients->next_to_open < clients->count) {
        struct client *client = &clients->list[clients->next_to_open];
        if (client->state == CLIENT_IDLE && !open_client(client)) {
            counts_of(client)->connect_failures++;
            return; /* descriptors or a full accept queue: the next turn tries again */
        }
        clients->next_to_open++;
    }
}

static void send_request(struct client *client)
{
    struct clients *clients = client->clients;
    const char *path = clients->options->path;
    const char *placeholder = strstr(path, "{channel}");
    int before = placeholder ? (int)(placeholder - path) : (int)strlen(path);
    char channel[256] = "";
    if (placeholder)
        snprintf(channel, sizeof channel, "%s%u", clients->options->channel_prefix, client->channel);
    char request[REQUEST_BYTES_MAX];
    int length = snprintf(request, sizeof request,
                          "GET %.*s%s%s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n",
                          before, path, channel, placeholder ? placeholder + strlen("{channel}") : "");
    if (length >= (int)sizeof request ||
        send(client->socket, request, (size_t)length, MSG_NOSIGNAL) != length) {
        counts_of(client)->connect_failures++;
        counts_of(client)->disconnected++;
        close_client(client, CLIENT_GONE);
        return;
    }
    if (client->kind == CLIENT_STALLED) {
        watch_remove(clients->loop, client->socket);
        set_state(client, CLIENT_JOINED);
        return;
    }
    watch_modify(clients->loop, client->socket, EPOLLIN, &client->watch);
    set_state(client, CLIENT_JOINING);
}

static void connected(struct client *client)
{
    int problem = 0;
    socklen_t length = sizeof problem;
    getsockopt(client->socket, SOL_SOCKET, SO_ERROR, &problem, &length);
    if (problem == 0) {
        send_request(client);
        return;
    }
    struct clients *clients = client->clients;
    counts_of(client)->connect_failures++;
    close_client(client, CLIENT_IDLE);
    clients->next_to_open = 0;
}

static void joined(struct client *client)
{
    set_state(client, CLIENT_JOINED);
    if (client->kind == CLIENT_SLOW)
        watch_remove(client->clients->loop, client->socket);
}

/* --- reading
 * ------------------------------------------------------------------------------------------------------- */

static void on_head(void *context)
{
    struct clients *clients = context;
    if (clients->options->joined_at_head)
        joined(clients->reading);
}

static void on_retry(void *context)
{
    struct clients *clients = context;
    if (clients->reading->state == CLIENT_JOINING)
        joined(clients->reading);
}

/* The message that is the entry's only field. */
static struct sse_slice message_of_entry(struct sse_slice data)
{
    static const char head[] = PUBLISHER_ENTRY_HEAD;
    size_t head_length = sizeof(head) - 1;
    if (data.length <= head_length || memcmp(data.bytes, head, head_length) != 0)
        return data;
    return (struct sse_slice){ data.bytes + head_length, data.length - head_length - strlen("}") };
}

static void on_event(void *context, struct sse_slice name, struct sse_slice data, unsigned data_lines)
{
    struct clients *clients = context;
    struct client *client = clients->reading;
    struct client_counts *counts = counts_of(client);
    struct payload_stamp stamp;
    if (clients->options->streams)
        data = message_of_entry(data);
    if (!payload_read(clients->form, data.bytes, data.length, &stamp)) {
        if (name.length)
            counts->other_events++;
        else
            counts->corrupt++;
        return;
    }
    if (data_lines != 1 || stamp.channel != client->channel) {
        counts->corrupt++;
        return;
    }
    switch (sequence_take(&client->sequence, stamp.sequence)) {
    case SEQUENCE_DUPLICATE:
        counts->duplicate++;
        return;
    case SEQUENCE_OUT_OF_ORDER:
        counts->out_of_order++;
        break;
    case SEQUENCE_IN_ORDER:
        break;
    }
    counts->received++;
    if (client->kind == CLIENT_HEALTHY)
        latency_add(&clients->latency,
                    clients->read_us > stamp.sent_us ? clients->read_us - stamp.sent_us : 0);
}

static void read_client(struct client *client, size_t bytes_max)
{
    struct clients *clients = client->clients;
    size_t kept = sse_reader_restore(&client->reader, clients->buffer);
    ssize_t count = recv(client->socket, clients->buffer + kept, bytes_max, MSG_DONTWAIT);
    bool would_block = count < 0 && errno == EAGAIN;
    if (count <= 0 && !would_block) {
        counts_of(client)->disconnected++;
        close_client(client, CLIENT_GONE);
        return;
    }
    size_t fresh = would_block ? 0 : (size_t)count;
    counts_of(client)->bytes += fresh;
    clients->read_us = clock_now_ns() / 1000;
    clients->reading = client;
    struct sse_sink sink = { on_head, on_event, on_retry, clients };
    if (!sse_reader_take(&client->reader, clients->buffer, kept, fresh, &sink)) {
        counts_of(client)->disconnected++;
        close_client(client, CLIENT_GONE);
    }
}

static void client_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct client *client = LIST_OWNER(watch, struct client, watch);
    if (client->state == CLIENT_CONNECTING)
        connected(client);
    else
        read_client(client, READ_BYTES);
}

void clients_read_slowly(struct clients *clients, uint64_t now_us)
{
    if (now_us < clients->slow_turn_us || clients->options->count[CLIENT_SLOW] == 0)
        return;
    clients->slow_turn_us = now_us + 1000000 / SLOW_READS_PER_SECOND;
    size_t bytes = (size_t)clients->options->slow_bytes_per_second / SLOW_READS_PER_SECOND;
    if (bytes > READ_BYTES)
        bytes = READ_BYTES;
    for (size_t i = clients->options->count[CLIENT_HEALTHY]; i < clients->count; i++) {
        struct client *client = &clients->list[i];
        if (client->kind == CLIENT_SLOW && client->state == CLIENT_JOINED)
            read_client(client, bytes ? bytes : 1);
    }
}

/* --- results
 * ------------------------------------------------------------------------------------------------------- */

const struct client_counts *clients_counts(const struct clients *clients, enum client_kind kind)
{
    return &clients->counts[kind];
}

static uint64_t published_on(const struct clients *clients, uint32_t channel, uint64_t published)
{
    return published / clients->options->channels + (channel < published % clients->options->channels);
}

uint64_t clients_lost(const struct clients *clients, enum client_kind kind, uint64_t published)
{
    uint64_t lost = 0;
    for (size_t i = 0; i < clients->count; i++) {
        const struct client *client = &clients->list[i];
        if (client->kind == kind)
            lost += sequence_lost(&client->sequence, published_on(clients, client->channel, published));
    }
    return lost;
}

uint64_t clients_expected(const struct clients *clients, enum client_kind kind, uint64_t published)
{
    uint64_t expected = 0;
    for (size_t i = 0; i < clients->count; i++)
        if (clients->list[i].kind == kind)
            expected += published_on(clients, clients->list[i].channel, published);
    return expected;
}

const struct latency *clients_latency(const struct clients *clients)
{
    return &clients->latency;
}

void clients_reset_latency(struct clients *clients)
{
    memset(&clients->latency, 0, sizeof clients->latency);
}

void clients_disconnect(struct clients *clients)
{
    for (size_t i = 0; i < clients->count; i++) {
        struct client *client = &clients->list[i];
        if (client->socket < 0)
            continue;
        struct linger abort_connection = { .l_onoff = 1, .l_linger = 0 };
        setsockopt(client->socket, SOL_SOCKET, SO_LINGER, &abort_connection, sizeof abort_connection);
        close_client(client, CLIENT_GONE);
    }
}

void clients_destroy(struct clients *clients)
{
    if (!clients)
        return;
    for (size_t i = 0; i < clients->count; i++)
        sequence_free(&clients->list[i].sequence);
    free(clients->list);
    free(clients);
}

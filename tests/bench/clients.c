#include "clients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/list.h"
#include "client_state.h"

#define SLOW_READS_PER_SECOND 10

static void client_ready(struct watch *watch, uint32_t events);

static uint32_t first_channel(const struct clients_options *options, size_t index_in_kind)
{
    return (uint32_t)((options->first + index_in_kind) * options->channels_per_client % options->channels);
}

struct clients *clients_create(int loop, const struct clients_options *options,
                               const struct payload_form *form, struct clients_figures *figures)
{
    struct clients *clients = calloc(1, sizeof *clients);
    if (!clients)
        return NULL;
    clients->options = options;
    for (unsigned kind = 0; kind < CLIENT_KINDS; kind++)
        clients->count += options->count[kind];
    size_t each = options->channels_per_client;
    clients->list = calloc(clients->count ? clients->count : 1, sizeof *clients->list);
    clients->sequences = calloc(clients->count * each + 1, sizeof *clients->sequences);
    if (!clients->list || !clients->sequences) {
        clients_destroy(clients);
        return NULL;
    }
    clients->loop = loop;
    clients->form = form;
    clients->figures = figures;
    size_t index = 0;
    for (unsigned kind = 0; kind < CLIENT_KINDS; kind++) {
        for (size_t i = 0; i < options->count[kind]; i++, index++) {
            struct client *client = &clients->list[index];
            *client = (struct client){ .watch = { client_ready },
                                       .clients = clients,
                                       .sequences = &clients->sequences[index * each],
                                       .reader = { .format = (uint8_t)options->format },
                                       .socket = -1,
                                       .channel = first_channel(options, i),
                                       .kind = (uint8_t)kind };
        }
    }
    return clients;
}

struct client_counts *client_counts_of(struct client *client)
{
    return &client->clients->figures->counts[client->kind];
}

/* --- connecting
 * ---------------------------------------------------------------------------------------------------- */

static bool is_connecting(const struct client *client)
{
    return client->state == CLIENT_CONNECTING || client->state == CLIENT_JOINING;
}

void client_set_state(struct client *client, enum client_state state)
{
    bool was_connecting = is_connecting(client);
    client->state = (uint8_t)state;
    client->clients->connecting += (size_t)is_connecting(client) - (size_t)was_connecting;
    if (state == CLIENT_JOINED)
        client_counts_of(client)->joined++;
}

void client_close(struct client *client, enum client_state state)
{
    close(client->socket);
    client->socket = -1;
    sse_reader_free(&client->reader);
    client_set_state(client, state);
}

static bool open_client(struct client *client)
{
    struct clients *clients = client->clients;
    client->socket = address_connect_as(&clients->options->server,
                                        clients->options->first + (size_t)(client - clients->list));
    if (client->socket < 0)
        return false;
    if (!watch_add(clients->loop, client->socket, EPOLLOUT, &client->watch)) {
        client_close(client, CLIENT_IDLE);
        return false;
    }
    client_set_state(client, CLIENT_CONNECTING);
    return true;
}

void clients_connect_more(struct clients *clients)
{
    while (clients->connecting < clients->options->connecting_max && clients->next_to_open < clients->count) {
        struct client *client = &clients->list[clients->next_to_open];
        if (client->state == CLIENT_IDLE && !open_client(client)) {
            client_counts_of(client)->connect_failures++;
            return; /* descriptors or a full accept queue: the next turn tries again */
        }
        clients->next_to_open++;
    }
}

static void append_channel(struct buffer *request, const struct client *client, size_t index)
{
    const struct clients_options *options = client->clients->options;
    buffer_append_text(request, options->channel_prefix);
    buffer_append_unsigned(request, (client->channel + index) % options->channels);
}

static void append_target(struct buffer *request, const struct client *client)
{
    static const char one[] = "{channel}", all[] = "{channels}";
    const struct clients_options *options = client->clients->options;
    const char *path = options->path;
    const char *mark;
    for (; (mark = strchr(path, '{')); path = mark) {
        buffer_append(request, path, (size_t)(mark - path));
        if (strncmp(mark, one, strlen(one)) == 0) {
            append_channel(request, client, 0);
            mark += strlen(one);
        } else if (strncmp(mark, all, strlen(all)) == 0) {
            for (size_t i = 0; i < options->channels_per_client; i++) {
                buffer_append_text(request, i ? "&channel=" : "channel=");
                append_channel(request, client, i);
            }
            mark += strlen(all);
        } else {
            buffer_append_byte(request, *mark++);
        }
    }
    buffer_append_text(request, path);
}

static void append_own_header(struct buffer *request, const struct client *client)
{
    const struct clients_options *options = client->clients->options;
    if (!options->headers)
        return;
    struct text line =
        header_lines_of(options->headers, options->first + (size_t)(client - client->clients->list));
    buffer_append(request, line.bytes, line.length);
    buffer_append_text(request, "\r\n");
}

static bool send_all(struct client *client, const struct buffer *request)
{
    return !request->failed &&
           send(client->socket, request->data, request->size, MSG_NOSIGNAL) == (ssize_t)request->size;
}

static void send_request(struct client *client)
{
    struct clients *clients = client->clients;
    struct buffer request = { 0 };
    buffer_append_text(&request, "GET ");
    append_target(&request, client);
    buffer_append_text(&request, " HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n");
    if (clients->options->header)
        buffer_printf(&request, "%s\r\n", clients->options->header);
    append_own_header(&request, client);
    buffer_append_text(&request, clients->options->gzip ? "Accept-Encoding: gzip\r\n\r\n" : "\r\n");
    bool is_sent = send_all(client, &request);
    buffer_free(&request);
    if (!is_sent) {
        client_counts_of(client)->connect_failures++;
        client_counts_of(client)->disconnected++;
        client_close(client, CLIENT_GONE);
        return;
    }
    if (client->kind == CLIENT_STALLED) {
        watch_remove(clients->loop, client->socket);
        client_set_state(client, CLIENT_JOINED);
        return;
    }
    watch_modify(clients->loop, client->socket, EPOLLIN, &client->watch);
    client_set_state(client, CLIENT_JOINING);
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
    client_counts_of(client)->connect_failures++;
    client_close(client, CLIENT_IDLE);
    clients->next_to_open = 0;
}

static void client_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct client *client = LIST_OWNER(watch, struct client, watch);
    if (client->state == CLIENT_CONNECTING)
        connected(client);
    else
        client_read(client, CLIENT_READ_BYTES);
}

void clients_read_slowly(struct clients *clients, uint64_t now_us)
{
    if (now_us < clients->slow_turn_us || clients->options->count[CLIENT_SLOW] == 0)
        return;
    clients->slow_turn_us = now_us + 1000000 / SLOW_READS_PER_SECOND;
    size_t bytes = (size_t)clients->options->slow_bytes_per_second / SLOW_READS_PER_SECOND;
    if (bytes > CLIENT_READ_BYTES)
        bytes = CLIENT_READ_BYTES;
    for (size_t i = clients->options->count[CLIENT_HEALTHY]; i < clients->count; i++) {
        struct client *client = &clients->list[i];
        if (client->kind == CLIENT_SLOW && client->state == CLIENT_JOINED)
            client_read(client, bytes ? bytes : 1);
    }
}

/* --- results
 * ------------------------------------------------------------------------------------------------------- */

static uint64_t published_on(const struct clients_options *options, uint64_t channel, uint64_t published)
{
    return published / options->channels + (channel < published % options->channels);
}

uint64_t clients_expected(const struct clients_options *options, enum client_kind kind, uint64_t published)
{
    uint64_t expected = 0;
    for (size_t i = 0; i < options->count[kind]; i++)
        for (size_t c = 0; c < options->channels_per_client; c++)
            expected += published_on(options, (first_channel(options, i) + c) % options->channels, published);
    return expected;
}

static uint64_t lost_to(const struct client *client, uint64_t published)
{
    const struct clients_options *options = client->clients->options;
    uint64_t lost = 0;
    for (size_t i = 0; i < options->channels_per_client; i++) {
        uint64_t channel = (client->channel + i) % options->channels;
        lost += sequence_lost(&client->sequences[i], published_on(options, channel, published));
    }
    return lost;
}

void clients_leave(struct clients *clients, uint64_t published)
{
    for (size_t i = 0; i < clients->count; i++) {
        struct client *client = &clients->list[i];
        clients->figures->lost[client->kind] += lost_to(client, published);
        if (client->socket < 0)
            continue;
        struct linger abort_connection = { .l_onoff = 1, .l_linger = 0 };
        setsockopt(client->socket, SOL_SOCKET, SO_LINGER, &abort_connection, sizeof abort_connection);
        client_close(client, CLIENT_GONE);
    }
}

void clients_destroy(struct clients *clients)
{
    if (!clients)
        return;
    for (size_t i = 0; clients->sequences && i < clients->count * clients->options->channels_per_client; i++)
        sequence_free(&clients->sequences[i]);
    free(clients->sequences);
    free(clients->list);
    free(clients);
}

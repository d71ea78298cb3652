#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "client_state.h"
#include "publisher.h"

static void joined(struct client *client)
{
    client_set_state(client, CLIENT_JOINED);
    if (client->kind == CLIENT_SLOW)
        watch_remove(client->clients->loop, client->socket);
}

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

/* What stands between `head` and a closing brace; all of it where that is not how it looks. */
static struct sse_slice inner(struct sse_slice data, const char *head)
{
    size_t length = strlen(head);
    if (data.length <= length || memcmp(data.bytes, head, length) != 0)
        return data;
    return (struct sse_slice){ data.bytes + length, data.length - length - strlen("}") };
}

/* The message of an event; one of several channels in a stream comes in an envelope with the channel's name.
 */
static bool message_of(const struct clients *clients, struct sse_slice data, struct payload_stamp *ret_stamp)
{
    const struct clients_options *options = clients->options;
    if (options->streams)
        data = inner(data, PUBLISHER_ENTRY_HEAD);
    if (options->channels_per_client == 1)
        return payload_read(clients->form, data.bytes, data.length, ret_stamp);
    static const char between[] = ",\"data\":";
    const char *payload = memmem(data.bytes, data.length, between, strlen(between));
    if (!payload || data.bytes[data.length - 1] != '}')
        return false;
    payload += strlen(between);
    size_t length = (size_t)(data.bytes + data.length - 1 - payload);
    if (!payload_read(clients->form, payload, length, ret_stamp))
        return false;
    char envelope[300];
    int envelope_length =
        snprintf(envelope, sizeof envelope, "{\"channel\":\"%s%llu\",\"data\":", options->channel_prefix,
                 (unsigned long long)ret_stamp->channel);
    return payload - data.bytes == envelope_length &&
           memcmp(envelope, data.bytes, (size_t)envelope_length) == 0;
}

static struct sequence *sequence_of(const struct client *client, uint64_t channel)
{
    const struct clients_options *options = client->clients->options;
    uint64_t index = (channel + options->channels - client->channel) % options->channels;
    return index < options->channels_per_client ? &client->sequences[index] : NULL;
}

static void on_event(void *context, struct sse_slice name, struct sse_slice data, unsigned data_lines)
{
    struct clients *clients = context;
    struct client *client = clients->reading;
    struct client_counts *counts = client_counts_of(client);
    struct payload_stamp stamp;
    if (!message_of(clients, data, &stamp)) {
        if (name.length)
            counts->other_events++;
        else
            counts->corrupt++;
        return;
    }
    struct sequence *sequence = sequence_of(client, stamp.channel);
    if (data_lines != 1 || !sequence) {
        counts->corrupt++;
        return;
    }
    switch (sequence_take(sequence, stamp.sequence)) {
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
        latency_add(&clients->figures->latency,
                    clients->read_us > stamp.sent_us ? clients->read_us - stamp.sent_us : 0);
}

void client_read(struct client *client, size_t bytes_max)
{
    struct clients *clients = client->clients;
    ssize_t count = recv(client->socket, clients->buffer, bytes_max, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    clients->read_us = clock_now_ns() / 1000;
    clients->reading = client;
    struct sse_sink sink = { on_head, on_event, on_retry, clients };
    if (count > 0) {
        client_counts_of(client)->bytes += (uint64_t)count;
        if (sse_reader_take(&client->reader, clients->buffer, (size_t)count, &sink))
            return;
    }
    client_counts_of(client)->disconnected++;
    client_close(client, CLIENT_GONE);
}

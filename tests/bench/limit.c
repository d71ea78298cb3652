/*
 * The measured limit: the least a gateway between Redis and SSE clients can do. One epoll loop, one Redis
 * connection, each message framed once, then one send(2) per client and message, or with --coalesce one per
 * client and loop turn. It has no timeouts, no bounds and no HTTP to speak of: nothing that is not the work
 * itself.
 *
 *     limit --listen 127.0.0.1:8000 --redis unix:/tmp/redis.sock [--coalesce] [--processes 4]
 *
 * A client is told `retry:` when its channel's subscription is confirmed, as sluice does, so both are joined
 * at the same point. Several processes are as many such loops on one port, each with a Redis connection of
 * its own.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "address.h"
#include "base/buffer.h"
#include "base/list.h"
#include "base/map.h"
#include "resp.h"
#include "watch.h"

#define REDIS_READ_BYTES 262144
#define REQUEST_BYTES_MAX 4096
#define HEAD                                                                                                 \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-store, "         \
    "no-transform\r\n"                                                                                       \
    "Connection: close\r\n\r\n"
#define RETRY "retry: 3000\n\n"

struct limit;

struct channel {
    char *name;
    size_t name_length;
    bool confirmed;
    bool dirty; /* has frames of this turn */
    uint64_t sequence;
    struct client **clients;
    uint32_t client_count;
    uint32_t client_capacity;
    struct buffer frames;
    struct channel *next_dirty;
};

/* What the kernel did not take. */
struct backlog {
    struct buffer bytes;
    size_t sent;
};

struct client {
    struct watch watch;
    struct limit *limit;
    struct channel *channel; /* NULL until the request is read */
    struct backlog *backlog;
    int socket;
    uint32_t position; /* in channel->clients */
};

struct limit {
    int loop;
    bool coalesce;
    struct watch listener;
    int listen_socket;
    struct watch redis;
    int redis_socket;
    struct buffer redis_in;
    struct buffer redis_out;
    struct map *channels;
    struct channel *dirty;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void *must(void *memory)
{
    if (!memory)
        die("memory");
    return memory;
}

/* --- clients
 * ------------------------------------------------------------------------------------------------------- */

static void client_close(struct client *client)
{
    struct channel *channel = client->channel;
    if (channel) {
        struct client *last = channel->clients[--channel->client_count];
        channel->clients[client->position] = last;
        last->position = client->position;
    }
    close(client->socket);
    if (client->backlog)
        buffer_free(&client->backlog->bytes);
    free(client->backlog);
    free(client);
}

static void client_keep(struct client *client, const char *bytes, size_t length)
{
    if (!client->backlog) {
        client->backlog = must(calloc(1, sizeof *client->backlog));
        watch_modify(client->limit->loop, client->socket, EPOLLIN | EPOLLRDHUP | EPOLLOUT, &client->watch);
    }
    buffer_append(&client->backlog->bytes, bytes, length);
    if (client->backlog->bytes.failed)
        die("memory");
}

static void client_send(struct client *client, const char *bytes, size_t length)
{
    if (client->backlog) {
        client_keep(client, bytes, length);
        return;
    }
    ssize_t sent = send(client->socket, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == (ssize_t)length)
        return;
    if (sent < 0 && errno != EAGAIN) {
        shutdown(client->socket, SHUT_RDWR); /* its own event closes it */
        return;
    }
    size_t taken = sent > 0 ? (size_t)sent : 0;
    client_keep(client, bytes + taken, length - taken);
}

static void client_flush(struct client *client)
{
    struct backlog *backlog = client->backlog;
    ssize_t sent = send(client->socket, backlog->bytes.data + backlog->sent,
                        backlog->bytes.size - backlog->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0)
        backlog->sent += (size_t)sent;
    if (backlog->sent < backlog->bytes.size)
        return;
    buffer_free(&backlog->bytes);
    free(backlog);
    client->backlog = NULL;
    watch_modify(client->limit->loop, client->socket, EPOLLIN | EPOLLRDHUP, &client->watch);
}

/* --- channels
 * ------------------------------------------------------------------------------------------------------ */

static void redis_flush(struct limit *limit);

static struct channel *channel_create(struct limit *limit, const char *name, size_t length)
{
    struct channel *channel = must(calloc(1, sizeof *channel));
    channel->name = must(strndup(name, length));
    channel->name_length = length;
    if (!map_put(limit->channels, channel->name, length, channel))
        die("memory");
    buffer_printf(&limit->redis_out, "*2\r\n$9\r\nSUBSCRIBE\r\n$%zu\r\n%s\r\n", length, channel->name);
    redis_flush(limit);
    return channel;
}

static void channel_add(struct channel *channel, struct client *client)
{
    if (channel->client_count == channel->client_capacity) {
        channel->client_capacity = channel->client_capacity ? channel->client_capacity * 2 : 2;
        channel->clients =
            must(realloc(channel->clients, channel->client_capacity * sizeof(struct client *)));
    }
    client->channel = channel;
    client->position = channel->client_count;
    channel->clients[channel->client_count++] = client;
}

static void channel_send(struct channel *channel, const char *bytes, size_t length)
{
    for (uint32_t i = 0; i < channel->client_count; i++)
        client_send(channel->clients[i], bytes, length);
}

static void channel_message(struct limit *limit, struct channel *channel, const char *payload, size_t length)
{
    struct buffer *frames = &channel->frames;
    buffer_append_text(frames, "id: ");
    buffer_append_unsigned(frames, ++channel->sequence);
    buffer_append_text(frames, "\ndata: ");
    buffer_append(frames, payload, length);
    buffer_append_text(frames, "\n\n");
    if (frames->failed)
        die("memory");
    if (!limit->coalesce) {
        channel_send(channel, frames->data, frames->size);
        buffer_reset(frames);
    } else if (!channel->dirty) {
        channel->dirty = true;
        channel->next_dirty = limit->dirty;
        limit->dirty = channel;
    }
}

static void flush_dirty_channels(struct limit *limit)
{
    while (limit->dirty) {
        struct channel *channel = limit->dirty;
        limit->dirty = channel->next_dirty;
        channel->dirty = false;
        channel_send(channel, channel->frames.data, channel->frames.size);
        buffer_reset(&channel->frames);
    }
}

/* --- requests
 * ------------------------------------------------------------------------------------------------------ */

/* Whole requests in one segment only: the load generator sends no others. */
static void client_request(struct client *client)
{
    char request[REQUEST_BYTES_MAX];
    ssize_t count = recv(client->socket, request, sizeof request - 1, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    const char *name = NULL;
    if (count > 0) {
        request[count] = '\0';
        name = strstr(request, "channel=");
    }
    if (!name) {
        client_close(client);
        return;
    }
    name += strlen("channel=");
    size_t length = strcspn(name, " &\r\n");
    struct limit *limit = client->limit;
    struct channel *channel = map_get(limit->channels, name, length);
    if (!channel)
        channel = channel_create(limit, name, length);
    if (channel->confirmed)
        client_send(client, HEAD RETRY, strlen(HEAD RETRY));
    else
        client_send(client, HEAD, strlen(HEAD));
    channel_add(channel, client);
}

static void client_ready(struct watch *watch, uint32_t events)
{
    struct client *client = (struct client *)watch;
    if (!client->channel) {
        client_request(client);
        return;
    }
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        client_close(client);
        return;
    }
    if (client->backlog)
        client_flush(client);
}

static void listener_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct limit *limit = LIST_OWNER(watch, struct limit, listener);
    int socket;
    while ((socket = accept4(limit->listen_socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *client = must(calloc(1, sizeof *client));
        client->watch.ready = client_ready;
        client->limit = limit;
        client->socket = socket;
        if (!watch_add(limit->loop, socket, EPOLLIN | EPOLLRDHUP, &client->watch))
            die("epoll_ctl");
    }
    if (errno != EAGAIN && errno != ECONNABORTED)
        die("accept");
}

/* --- Redis
 * ---------------------------------------------------------------------------------------------------------
 */

static void redis_flush(struct limit *limit)
{
    if (limit->redis_out.failed)
        die("memory");
    ssize_t sent = send(limit->redis_socket, limit->redis_out.data, limit->redis_out.size, MSG_NOSIGNAL);
    if (sent != (ssize_t)limit->redis_out.size)
        die("redis");
    buffer_reset(&limit->redis_out);
}

static void redis_push(struct limit *limit, const struct resp_push *push)
{
    struct channel *channel = map_get(limit->channels, push->channel, push->channel_length);
    if (!channel)
        return;
    if (push->kind == RESP_MESSAGE) {
        channel_message(limit, channel, push->payload, push->payload_length);
    } else if (push->kind == RESP_SUBSCRIBED) {
        channel->confirmed = true;
        channel_send(channel, RETRY, strlen(RETRY));
    }
}

static void redis_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct limit *limit = LIST_OWNER(watch, struct limit, redis);
    struct buffer *in = &limit->redis_in;
    if (!buffer_reserve(in, REDIS_READ_BYTES))
        die("memory");
    ssize_t count = recv(limit->redis_socket, in->data + in->size, REDIS_READ_BYTES, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        die("redis is gone");
    in->size += (size_t)count;
    size_t done = 0;
    for (;;) {
        struct resp_push push;
        size_t consumed;
        enum resp_result result = resp_read_push(in->data + done, in->size - done, &push, &consumed);
        if (result == RESP_BROKEN)
            die("redis speaks something else");
        if (result == RESP_UNFINISHED)
            break;
        redis_push(limit, &push);
        done += consumed;
    }
    in->size -= done;
    memmove(in->data, in->data + done, in->size);
}

static void redis_start(struct limit *limit, const struct address *address)
{
    limit->redis_socket = address_connect(address);
    limit->redis.ready = redis_ready;
    if (limit->redis_socket < 0 || !watch_add(limit->loop, limit->redis_socket, EPOLLIN, &limit->redis))
        die("redis");
}

/* --- start
 * ---------------------------------------------------------------------------------------------------------
 */

static void usage(void)
{
    fprintf(stderr, "usage: limit --listen HOST:PORT|unix:PATH --redis HOST:PORT|unix:PATH [--coalesce] "
                    "[--processes N]\n");
    exit(2);
}

int main(int argument_count, char **arguments)
{
    struct limit limit = { 0 };
    struct address listen_address, redis_address;
    bool listen_given = false, redis_given = false;
    unsigned long processes = 1;
    for (int i = 1; i < argument_count; i++) {
        if (strcmp(arguments[i], "--coalesce") == 0)
            limit.coalesce = true;
        else if (strcmp(arguments[i], "--listen") == 0 && i + 1 < argument_count)
            listen_given = address_parse(arguments[++i], &listen_address);
        else if (strcmp(arguments[i], "--redis") == 0 && i + 1 < argument_count)
            redis_given = address_parse(arguments[++i], &redis_address);
        else if (strcmp(arguments[i], "--processes") == 0 && i + 1 < argument_count)
            processes = strtoul(arguments[++i], NULL, 10);
        else
            usage();
    }
    if (!listen_given || !redis_given)
        usage();
    struct rlimit descriptors;
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
        descriptors.rlim_cur = descriptors.rlim_max;
        setrlimit(RLIMIT_NOFILE, &descriptors);
    }
    for (unsigned long i = 1; i < processes && fork() != 0; i++)
        continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a benchmark that was killed leaves nothing behind */
    limit.loop = watch_loop_create();
    limit.channels = must(map_create());
    limit.listen_socket = address_listen(&listen_address);
    if (limit.listen_socket < 0)
        die("listen");
    limit.listener.ready = listener_ready;
    redis_start(&limit, &redis_address);
    if (!watch_add(limit.loop, limit.listen_socket, EPOLLIN, &limit.listener))
        die("epoll_ctl");
    for (;;) {
        watch_turn(limit.loop, -1);
        flush_dirty_channels(&limit);
    }
}

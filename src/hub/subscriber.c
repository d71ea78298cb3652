#include "hub/subscriber.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hub/backlog.h"

#define VECTORS_PER_SEND 64
#define UNREAD_DISCARDED_BYTES 4096

struct membership *subscriber_membership(struct subscriber *subscriber, size_t index)
{
    return index == 0 ? &subscriber->first : &subscriber->others[index - 1];
}

bool subscriber_has_backlog(const struct subscriber *subscriber)
{
    return subscriber->backlog && backlog_bytes(subscriber->backlog) > 0;
}

void subscriber_limit_silence(struct subscriber *subscriber, uint64_t timeout_ms)
{
    const unsigned timeout = timeout_ms < INT_MAX ? (unsigned)timeout_ms : INT_MAX;
    /* Not for a unix socket, whose peer cannot vanish. */
    setsockopt(subscriber->descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
}

bool subscriber_fell_silent(const struct subscriber *subscriber)
{
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(subscriber->descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0 &&
           error == ETIMEDOUT;
}

/* How much the kernel took, 0 when its buffer is full, -1 when the peer is gone. */
static ssize_t kernel_takes(struct subscriber *subscriber, struct delivery *delivery,
                            const struct iovec *vectors, int count)
{
    struct msghdr message = { .msg_iov = (struct iovec *)vectors, .msg_iovlen = (size_t)count };
    ssize_t taken;
    do {
        taken = count == 1 ? send(subscriber->descriptor, vectors->iov_base, vectors->iov_len,
                                  MSG_NOSIGNAL | MSG_DONTWAIT)
                           : sendmsg(subscriber->descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (taken < 0 && errno == EINTR);
    if (taken < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM ? 0 : -1;
    if (taken > 0) {
        subscriber->written_ms = delivery->now_ms;
        delivery->metrics->sse_bytes += (uint64_t)taken;
    }
    return taken;
}

/* EPOLLOUT only while something waits. */
static bool watch_for_room(struct subscriber *subscriber, struct delivery *delivery, bool wanted)
{
    if (subscriber->polled == wanted)
        return true;
    subscriber->polled = wanted;
    uint32_t events = wanted ? EPOLLRDHUP | EPOLLOUT : EPOLLRDHUP;
    return poller_modify(delivery->poller, subscriber->descriptor, events, subscriber);
}

static enum delivery_result queue_bytes(struct subscriber *subscriber, struct delivery *delivery,
                                        struct chunk *chunk, size_t begin, size_t end)
{
    if (begin == end)
        return DELIVERY_DONE;
    if (!subscriber->backlog && !(subscriber->backlog = backlog_create()))
        return DELIVERY_GONE;
    size_t waiting = backlog_bytes(subscriber->backlog);
    /* One event larger than the bound may wait alone, else it could never be sent. */
    if (waiting > 0 && waiting + (end - begin) > delivery->backlog_bytes_max)
        return DELIVERY_OVER;
    if (!backlog_append(subscriber->backlog, chunk, begin, end))
        return DELIVERY_GONE;
    delivery->metrics->sse_backlog_bytes += end - begin;
    return DELIVERY_DONE;
}

static void count_coded(struct subscriber *subscriber, struct delivery *delivery, size_t length,
                        const struct gzip_part *part)
{
    gzip_check_add(&subscriber->check, part);
    delivery->metrics->sse_compressed_bytes += length;
    delivery->metrics->sse_uncompressed_bytes += part->length;
}

enum delivery_result subscriber_queue(struct subscriber *subscriber, struct delivery *delivery,
                                      struct chunk *chunk, size_t begin, size_t end,
                                      const struct gzip_part *part)
{
    enum delivery_result result = queue_bytes(subscriber, delivery, chunk, begin, end);
    if (result == DELIVERY_OVER && !subscriber->polled) {
        /* What waits does so for the turn to end, not for the client. */
        result = subscriber_flush(subscriber, delivery);
        if (result == DELIVERY_DONE)
            result = queue_bytes(subscriber, delivery, chunk, begin, end);
    }
    if (result == DELIVERY_DONE && subscriber->compressed)
        count_coded(subscriber, delivery, end - begin, part);
    return result;
}

/* Sends bytes begin..end as they are. */
static enum delivery_result send_part(struct subscriber *subscriber, struct delivery *delivery,
                                      struct chunk *chunk, size_t begin, size_t end)
{
    if (subscriber_has_backlog(subscriber))
        return queue_bytes(subscriber, delivery, chunk, begin, end);
    struct iovec vector = { .iov_base = chunk->bytes.data + begin, .iov_len = end - begin };
    ssize_t taken = kernel_takes(subscriber, delivery, &vector, 1);
    if (taken < 0)
        return DELIVERY_GONE;
    if (begin + (size_t)taken == end)
        return DELIVERY_DONE;
    enum delivery_result result = queue_bytes(subscriber, delivery, chunk, begin + (size_t)taken, end);
    if (result == DELIVERY_DONE && !watch_for_room(subscriber, delivery, true))
        return DELIVERY_GONE;
    return result;
}

static enum delivery_result send_coded(struct subscriber *subscriber, struct delivery *delivery,
                                       struct chunk *coded)
{
    enum delivery_result result = send_part(subscriber, delivery, coded, 0, coded->bytes.size);
    if (result == DELIVERY_DONE)
        count_coded(subscriber, delivery, coded->bytes.size, &coded->part);
    return result;
}

enum delivery_result subscriber_send(struct subscriber *subscriber, struct delivery *delivery,
                                     struct chunk *chunk, size_t begin, size_t end)
{
    if (!subscriber->compressed)
        return send_part(subscriber, delivery, chunk, begin, end);
    if (begin > 0 || end < chunk->bytes.size || !subscriber->has_head)
        return subscriber_send_bytes(subscriber, delivery, chunk->bytes.data + begin, end - begin);
    struct chunk *coded = chunk_twin(chunk, delivery->gzip);
    return coded ? send_coded(subscriber, delivery, coded) : DELIVERY_GONE;
}

static enum delivery_result send_own_coded(struct subscriber *subscriber, struct delivery *delivery,
                                           const char *bytes, size_t length)
{
    struct chunk *own = chunk_create();
    if (!own)
        return DELIVERY_GONE;
    own->coded = true;
    own->has_head = !subscriber->has_head;
    if (own->has_head)
        gzip_append_head(&own->bytes);
    own->part = gzip_append_stored(&own->bytes, bytes, length);
    enum delivery_result result = own->bytes.failed ? DELIVERY_GONE : send_coded(subscriber, delivery, own);
    subscriber->has_head = true;
    chunk_release(own);
    return result;
}

enum delivery_result subscriber_send_bytes(struct subscriber *subscriber, struct delivery *delivery,
                                           const char *bytes, size_t length)
{
    ssize_t taken = 0;
    if (subscriber->compressed)
        return send_own_coded(subscriber, delivery, bytes, length);
    if (!subscriber_has_backlog(subscriber)) {
        struct iovec vector = { .iov_base = (void *)bytes, .iov_len = length };
        taken = kernel_takes(subscriber, delivery, &vector, 1);
        if (taken < 0)
            return DELIVERY_GONE;
    }
    if ((size_t)taken == length)
        return DELIVERY_DONE;
    struct chunk *copy = chunk_create();
    if (!copy)
        return DELIVERY_GONE;
    /* All of it: where its events begin must be seen. */
    buffer_append(&copy->bytes, bytes, length);
    enum delivery_result result =
        copy->bytes.failed ? DELIVERY_GONE
                           : queue_bytes(subscriber, delivery, copy, (size_t)taken, copy->bytes.size);
    chunk_release(copy);
    if (result == DELIVERY_DONE && !watch_for_room(subscriber, delivery, true))
        return DELIVERY_GONE;
    return result;
}

enum delivery_result subscriber_end(struct subscriber *subscriber, struct delivery *delivery)
{
    if (!subscriber->compressed)
        return DELIVERY_DONE;
    struct chunk *end = chunk_create();
    if (!end)
        return DELIVERY_GONE;
    if (!subscriber->has_head)
        gzip_append_head(&end->bytes);
    gzip_append_end(&end->bytes, &subscriber->check);
    struct delivery unbounded = *delivery;
    unbounded.backlog_bytes_max = SIZE_MAX;
    enum delivery_result result =
        end->bytes.failed ? DELIVERY_GONE : send_part(subscriber, &unbounded, end, 0, end->bytes.size);
    chunk_release(end);
    return result;
}

enum delivery_result subscriber_flush(struct subscriber *subscriber, struct delivery *delivery)
{
    while (subscriber_has_backlog(subscriber)) {
        struct iovec vectors[VECTORS_PER_SEND];
        int count = backlog_vectors(subscriber->backlog, vectors, VECTORS_PER_SEND);
        size_t offered = 0;
        for (int i = 0; i < count; i++)
            offered += vectors[i].iov_len;
        ssize_t taken = kernel_takes(subscriber, delivery, vectors, count);
        if (taken < 0)
            return DELIVERY_GONE;
        backlog_consume(subscriber->backlog, (size_t)taken);
        delivery->metrics->sse_backlog_bytes -= (uint64_t)taken;
        if ((size_t)taken < offered)
            return watch_for_room(subscriber, delivery, true) ? DELIVERY_DONE : DELIVERY_GONE;
    }
    /* Clients of several topics need theirs each turn; the others give the memory back. */
    if (subscriber->topic_count <= 1) {
        backlog_destroy(subscriber->backlog);
        subscriber->backlog = NULL;
    }
    return watch_for_room(subscriber, delivery, false) ? DELIVERY_DONE : DELIVERY_GONE;
}

void subscriber_conflate(struct subscriber *subscriber, struct delivery *delivery)
{
    if (!subscriber->backlog)
        return;
    delivery->metrics->sse_backlog_bytes -= backlog_bytes(subscriber->backlog);
    backlog_conflate(subscriber->backlog, &subscriber->check);
    delivery->metrics->sse_backlog_bytes += backlog_bytes(subscriber->backlog);
}

void subscriber_close(struct subscriber *subscriber, struct delivery *delivery)
{
    if (subscriber->backlog) {
        delivery->metrics->sse_backlog_bytes -= backlog_bytes(subscriber->backlog);
        backlog_destroy(subscriber->backlog);
        subscriber->backlog = NULL;
    }
    if (subscriber->descriptor < 0)
        return;
    poller_remove(delivery->poller, subscriber->descriptor);
    /* Bytes left unread would turn the FIN into a RST, which can cost the client the end of the stream. */
    char discarded[UNREAD_DISCARDED_BYTES];
    ssize_t unread = recv(subscriber->descriptor, discarded, sizeof discarded, MSG_DONTWAIT);
    (void)unread;
    /* The front door's library may hold a duplicate for a moment: close(2) alone would not end the
     * connection. */
    shutdown(subscriber->descriptor, SHUT_RDWR);
    close(subscriber->descriptor);
    subscriber->descriptor = -1;
}

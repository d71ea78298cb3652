#include "redis/redis_socket.h"

#include <errno.h>
#include <event2/buffer.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "redis/redis_tls.h"

#define READ_BUFFER_BYTES ((size_t)256 * 1024)
#define WRITE_PIECES_MAX 64
#define TLS_RECORD_BYTES 16384

struct redis_socket {
    struct event_base *base;
    struct redis_socket_events events;
    size_t read_bytes_per_turn;
    char *read_buffer;
    int descriptor; /* -1: closed */
    SSL *session;   /* NULL: plain */
    bool is_tls_handshaking;
    struct event *readable; /* persistent while open */
    struct event *writable; /* one shot, while the kernel takes no more */
    struct event *flush;    /* made active by the first write of a turn */
    struct evbuffer *output;
    char problem[200];
};

struct io_result {
    size_t length;    /* 0: nothing to be had now, or `lost` */
    const char *lost; /* NULL: the connection is well */
};

/* --- reading and writing, plain and TLS ----------------------------------------------------------------- */

static struct io_result tls_result(struct redis_socket *socket, int result)
{
    int error = SSL_get_error(socket->session, result);
    switch (error) {
    case SSL_ERROR_WANT_READ:
        return (struct io_result){ 0 };
    case SSL_ERROR_WANT_WRITE:
        (void)event_add(socket->writable, NULL);
        return (struct io_result){ 0 };
    default:
        redis_tls_describe(socket->session, error, socket->problem, sizeof(socket->problem));
        /* After a fatal error no close_notify may be sent. */
        SSL_set_quiet_shutdown(socket->session, 1);
        return (struct io_result){ .lost = socket->problem };
    }
}

static struct io_result read_some(struct redis_socket *socket)
{
    if (socket->session) {
        ERR_clear_error();
        errno = 0;
        int got = SSL_read(socket->session, socket->read_buffer, (int)READ_BUFFER_BYTES);
        return got > 0 ? (struct io_result){ .length = (size_t)got } : tls_result(socket, got);
    }
    ssize_t got = recv(socket->descriptor, socket->read_buffer, READ_BUFFER_BYTES, 0);
    if (got > 0)
        return (struct io_result){ .length = (size_t)got };
    if (got == 0)
        return (struct io_result){ .lost = "closed by Redis" };
    if (errno == EAGAIN || errno == EINTR)
        return (struct io_result){ 0 };
    return (struct io_result){ .lost = strerrordesc_np(errno) };
}

static struct io_result write_some(struct redis_socket *socket)
{
    if (socket->session) {
        size_t length = evbuffer_get_length(socket->output);
        if (length > TLS_RECORD_BYTES)
            length = TLS_RECORD_BYTES;
        const unsigned char *bytes = evbuffer_pullup(socket->output, (ev_ssize_t)length);
        if (!bytes)
            return (struct io_result){ .lost = "memory is short" };
        ERR_clear_error();
        errno = 0;
        int put = SSL_write(socket->session, bytes, (int)length);
        return put > 0 ? (struct io_result){ .length = (size_t)put } : tls_result(socket, put);
    }
    struct evbuffer_iovec pieces[WRITE_PIECES_MAX];
    int count = evbuffer_peek(socket->output, -1, NULL, pieces, WRITE_PIECES_MAX);
    struct msghdr message = { .msg_iov = pieces,
                              .msg_iovlen = (size_t)(count < WRITE_PIECES_MAX ? count : WRITE_PIECES_MAX) };
    ssize_t put = sendmsg(socket->descriptor, &message, MSG_NOSIGNAL);
    if (put >= 0)
        return (struct io_result){ .length = (size_t)put };
    if (errno != EAGAIN && errno != EINTR)
        return (struct io_result){ .lost = strerrordesc_np(errno) };
    (void)event_add(socket->writable, NULL);
    return (struct io_result){ 0 };
}

static void lose(struct redis_socket *socket, const char *reason)
{
    socket->events.on_lost(socket->events.context, reason);
    redis_socket_close(socket);
}

/* Whether another read makes sense: a short read of a plain socket has emptied it. TLS must be read until
 * OpenSSL itself holds nothing, for the kernel would not tell of that. */
static bool more_may_wait(const struct redis_socket *socket, size_t got, size_t total)
{
    if (socket->session)
        return total < socket->read_bytes_per_turn || SSL_pending(socket->session) > 0;
    return got == READ_BUFFER_BYTES && total < socket->read_bytes_per_turn;
}

static void read_turn(struct redis_socket *socket)
{
    size_t total = 0;
    struct io_result result;
    do {
        result = read_some(socket);
        if (result.length == 0)
            break;
        total += result.length;
        result.lost = socket->events.on_bytes(socket->events.context, socket->read_buffer, result.length);
        if (!redis_socket_is_open(socket))
            return;
    } while (!result.lost && more_may_wait(socket, result.length, total));

    if (total > 0) {
        socket->events.on_turn_end(socket->events.context);
        if (!redis_socket_is_open(socket))
            return;
    }
    if (result.lost)
        lose(socket, result.lost);
}

static void write_turn(struct redis_socket *socket)
{
    if (socket->is_tls_handshaking)
        return;
    while (evbuffer_get_length(socket->output) > 0) {
        struct io_result result = write_some(socket);
        if (result.lost) {
            /* A peer that closes often says why: "max number of clients reached". */
            read_turn(socket);
            if (redis_socket_is_open(socket))
                lose(socket, result.lost);
            return;
        }
        if (result.length == 0)
            return;
        evbuffer_drain(socket->output, result.length);
    }
}

static void tls_handshake(struct redis_socket *socket)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(socket->session);
    if (result != 1) {
        struct io_result outcome = tls_result(socket, result);
        if (outcome.lost)
            lose(socket, outcome.lost);
        return;
    }
    socket->is_tls_handshaking = false;
    socket->events.on_open(socket->events.context);
}

/* --- events --------------------------------------------------------------------------------------------- */

static void on_readable(evutil_socket_t descriptor, short what, void *context)
{
    (void)descriptor;
    (void)what;
    struct redis_socket *socket = context;
    if (socket->is_tls_handshaking) {
        tls_handshake(socket);
        return;
    }
    read_turn(socket);
    /* A TLS write may have waited for input. */
    if (socket->session && redis_socket_is_open(socket))
        write_turn(socket);
}

/* Behind `writable` and behind `flush`, which has no descriptor. */
static void on_writable(evutil_socket_t descriptor, short what, void *context)
{
    (void)what;
    struct redis_socket *socket = context;
    if (socket->is_tls_handshaking) {
        tls_handshake(socket);
        return;
    }
    write_turn(socket);
    /* A TLS read may have waited for room to answer a key update. */
    if (socket->session && descriptor >= 0)
        read_turn(socket);
}

/* --- the socket ----------------------------------------------------------------------------------------- */

struct redis_socket *redis_socket_create(struct event_base *base, size_t read_bytes_per_turn,
                                         const struct redis_socket_events *events)
{
    struct redis_socket *socket = calloc(1, sizeof(*socket));
    if (!socket)
        return NULL;
    socket->base = base;
    socket->events = *events;
    socket->read_bytes_per_turn = read_bytes_per_turn;
    socket->descriptor = -1;
    socket->read_buffer = malloc(READ_BUFFER_BYTES);
    socket->output = evbuffer_new();
    socket->readable = event_new(base, -1, EV_READ | EV_PERSIST, on_readable, socket);
    socket->writable = event_new(base, -1, EV_WRITE, on_writable, socket);
    socket->flush = event_new(base, -1, 0, on_writable, socket);
    if (!socket->read_buffer || !socket->output || !socket->readable || !socket->writable || !socket->flush) {
        redis_socket_destroy(socket);
        return NULL;
    }
    return socket;
}

void redis_socket_destroy(struct redis_socket *socket)
{
    if (!socket)
        return;
    redis_socket_close(socket);
    if (socket->readable)
        event_free(socket->readable);
    if (socket->writable)
        event_free(socket->writable);
    if (socket->flush)
        event_free(socket->flush);
    if (socket->output)
        evbuffer_free(socket->output);
    free(socket->read_buffer);
    free(socket);
}

bool redis_socket_open(struct redis_socket *socket, int descriptor, SSL *session)
{
    redis_socket_close(socket);
    socket->descriptor = descriptor;
    socket->session = session;
    if (session && SSL_set_fd(session, descriptor) != 1)
        goto fail;
    if (event_assign(socket->readable, socket->base, descriptor, EV_READ | EV_PERSIST, on_readable, socket) !=
            0 ||
        event_assign(socket->writable, socket->base, descriptor, EV_WRITE, on_writable, socket) != 0 ||
        event_add(socket->readable, NULL) != 0)
        goto fail;
    socket->is_tls_handshaking = session != NULL;
    if (session)
        event_active(socket->flush, EV_WRITE, 0); /* we speak first */
    else
        socket->events.on_open(socket->events.context);
    return true;

fail:
    redis_socket_close(socket);
    return false;
}

void redis_socket_close(struct redis_socket *socket)
{
    if (socket->descriptor < 0)
        return;
    event_del(socket->readable);
    event_del(socket->writable);
    event_del(socket->flush);
    if (socket->session) {
        if (!socket->is_tls_handshaking)
            (void)SSL_shutdown(socket->session);
        SSL_free(socket->session);
        ERR_clear_error();
    }
    socket->session = NULL;
    socket->is_tls_handshaking = false;
    close(socket->descriptor);
    socket->descriptor = -1;
    evbuffer_drain(socket->output, evbuffer_get_length(socket->output));
}

bool redis_socket_is_open(const struct redis_socket *socket)
{
    return socket->descriptor >= 0;
}

bool redis_socket_write(struct redis_socket *socket, const void *bytes, size_t length)
{
    bool is_first = evbuffer_get_length(socket->output) == 0;
    if (evbuffer_add(socket->output, bytes, length) != 0)
        return false;
    /* Otherwise it is active already, or the kernel is full. */
    if (is_first)
        event_active(socket->flush, EV_WRITE, 0);
    return true;
}

size_t redis_socket_output_bytes(const struct redis_socket *socket)
{
    return evbuffer_get_length(socket->output);
}

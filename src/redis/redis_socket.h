/*
 * One connected socket, plain or TLS, on the event loop: reads in large turns, writes once a turn.
 *
 * Not a libevent bufferevent, which reads at most 4,096 bytes an event: the many messages of a burst would
 * cost as many turns, and as many sends to each client.
 *
 * A turn reads until nothing waits or `read_bytes_per_turn` is reached; what is left then is read in the next
 * turn. Output is collected and goes out at the end of the turn that wrote it. The process must ignore
 * SIGPIPE.
 */
#pragma once

#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

struct redis_socket;

/* Any of them may close the socket; nothing more is called then. */
struct redis_socket_events {
    /* It can be written to: for TLS, when the handshake is over; otherwise inside redis_socket_open(). */
    void (*on_open)(void *context);
    /* Returns NULL to go on, or why the connection is of no use any more. */
    const char *(*on_bytes)(void *context, const char *bytes, size_t length);
    /* After the last on_bytes of a turn, before on_lost. */
    void (*on_turn_end)(void *context);
    /* The socket is closed after it. `reason` lives for the call. */
    void (*on_lost)(void *context, const char *reason);
    void *context;
};

/* Not open yet. One object serves one connection after the other. NULL when memory is short. */
struct redis_socket *redis_socket_create(struct event_base *base, size_t read_bytes_per_turn,
                                         const struct redis_socket_events *events);
/* Not inside its callbacks. */
void redis_socket_destroy(struct redis_socket *socket);

/* Takes over `descriptor` (connected, non-blocking) and `session` (NULL: plain), also on failure: memory is
 * short. */
bool redis_socket_open(struct redis_socket *socket, int descriptor, SSL *session);
void redis_socket_close(struct redis_socket *socket);
bool redis_socket_is_open(const struct redis_socket *socket);

/* False, with nothing taken, when memory is short. */
bool redis_socket_write(struct redis_socket *socket, const void *bytes, size_t length);
size_t redis_socket_output_bytes(const struct redis_socket *socket);

/*
 * libmicrohttpd on the event loop: no thread and no listening socket of its own. Its epoll set is watched as
 * one descriptor, and MHD_run() does what is due. Time limits are ours (front/deadline.h), so it has none to
 * keep.
 */
#pragma once

#include <event2/event.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/log.h"

struct server;

/* The library's callbacks; see microhttpd.h. */
struct server_handlers {
    void *(*on_request_line)(void *context, const char *uri, struct MHD_Connection *connection);
    MHD_AccessHandlerCallback on_request;
    MHD_RequestCompletedCallback on_completed;
    MHD_NotifyConnectionCallback on_connection;
    void *context;
};

/* NULL when memory or descriptors are short. */
struct server *server_create(struct event_base *base, const struct server_handlers *handlers,
                             struct log *log);

/* Ends all connections; no connection may be suspended. */
void server_destroy(struct server *server);

/* Takes over the socket; it is closed if that fails. */
bool server_add(struct server *server, int descriptor, const struct sockaddr *address, socklen_t length);

/* Something has changed that the library does not see by itself (a resumed or handed over connection): run it
 * this turn. */
void server_wake(struct server *server);

/* Runs it now; only for the very end. */
void server_run(struct server *server);

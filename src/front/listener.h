/*
 * The listening socket. libmicrohttpd's own accept spins when descriptors run out; this one pauses and tries
 * again, and pauses too while its owner has no room.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/log.h"
#include "metrics/metrics.h"

struct listener;

/* Gets a non-blocking, close-on-exec socket, which it owns. False: no room for another one, pause until
 * listener_resume(). */
typedef bool listener_accepted(void *context, int descriptor, const struct sockaddr *address,
                               socklen_t address_length);

struct listener_options {
    const char *address;
    /* Others of this process will listen there too, each for its own share of the connections (SO_REUSEPORT,
     * socket(7)); still nobody else may listen there already. */
    bool is_shared;
    const struct listener *first; /* the one whose address is shared; NULL: this is the first */
};

/* NULL with *ret_problem set to a sentence that the caller frees. */
struct listener *listener_create(struct event_base *base, const struct listener_options *options,
                                 listener_accepted *accepted, void *context, struct metrics *metrics,
                                 struct log *log, char **ret_problem);

/* Closes the socket, and removes a unix socket's file. */
void listener_destroy(struct listener *listener);

/* There is room again. */
void listener_resume(struct listener *listener);

/* 0 for a unix socket. */
uint16_t listener_port(const struct listener *listener);

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
    /* How many of this process will listen there, each for its own share of the connections (SO_REUSEPORT,
     * socket(7)); 0 is 1. */
    unsigned siblings;
    const struct listener *first; /* whose address is shared, and who accepts no shorter; NULL: none */
    bool reuse_port; /* another process may listen there already, or come later, to take the place of this one
                      */
};

/* NULL with *ret_problem set to a sentence that the caller frees. */
struct listener *listener_create(struct event_base *base, const struct listener_options *options,
                                 listener_accepted *accepted, void *context, struct metrics *metrics,
                                 struct log *log, char **ret_problem);

/* Closes the socket, and removes a unix socket's file. */
void listener_destroy(struct listener *listener);

/*
 * Accepts what has come so far, and closes; whoever connects from then on gets the other process, or is
 * refused. With reuse_port it takes a moment.
 */
void listener_leave(struct listener *listener);
bool listener_has_left(const struct listener *listener);

/* There is room again. */
void listener_resume(struct listener *listener);

/* 0 for a unix socket. */
uint16_t listener_port(const struct listener *listener);

/*
 * An epoll set of our own, nested in the event loop as one descriptor.
 *
 * A streaming client costs the kernel's epoll entry and nothing in user space, where a libevent event costs
 * about 150 bytes. Level-triggered.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct poller;

/* `events` are the EPOLL* bits that hold. The owner may call poller_modify() and poller_remove() but must not
 * be freed before the turn ends: events for it may follow in the same batch. */
typedef void poller_ready(void *context, void *owner, uint32_t events);

/* Called once after each batch of ready events: the place to free owners. */
typedef void poller_batch_end(void *context);

struct poller *poller_create(struct event_base *base, poller_ready *ready, poller_batch_end *batch_end,
                             void *context);
void poller_destroy(struct poller *poller);

/* False with errno set when the kernel refuses. EPOLLERR and EPOLLHUP are always reported. */
bool poller_add(struct poller *poller, int descriptor, uint32_t events, void *owner);
bool poller_modify(struct poller *poller, int descriptor, uint32_t events, void *owner);
/* Call it before close(2): a duplicate of the descriptor elsewhere would keep the entry alive. */
void poller_remove(struct poller *poller, int descriptor);

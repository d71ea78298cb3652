#include "base/poller.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Ready descriptors served before the rest of the event loop gets its turn. */
#define POLLER_BATCH 256

struct poller {
    int epoll;
    struct event *readable; /* an epoll set is readable while one of its descriptors is ready */
    poller_ready *ready;
    poller_batch_end *batch_end;
    void *context;
};

static void serve_batch(evutil_socket_t descriptor, short what, void *argument)
{
    (void)descriptor;
    (void)what;
    struct poller *poller = argument;
    struct epoll_event batch[POLLER_BATCH];
    int count = epoll_wait(poller->epoll, batch, POLLER_BATCH, 0);
    if (count <= 0) /* interrupted: still readable, so the loop comes back */
        return;
    for (int i = 0; i < count; i++)
        poller->ready(poller->context, batch[i].data.ptr, batch[i].events);
    if (poller->batch_end)
        poller->batch_end(poller->context);
}

struct poller *poller_create(struct event_base *base, poller_ready *ready, poller_batch_end *batch_end,
                             void *context)
{
    struct poller *poller = calloc(1, sizeof *poller);
    if (!poller)
        return NULL;
    poller->ready = ready;
    poller->batch_end = batch_end;
    poller->context = context;
    poller->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll < 0)
        goto failed;
    poller->readable = event_new(base, poller->epoll, EV_READ | EV_PERSIST, serve_batch, poller);
    if (!poller->readable || event_add(poller->readable, NULL) != 0)
        goto failed;
    return poller;

failed:
    poller_destroy(poller);
    return NULL;
}

void poller_destroy(struct poller *poller)
{
    if (!poller)
        return;
    if (poller->readable)
        event_free(poller->readable);
    if (poller->epoll >= 0)
        close(poller->epoll);
    free(poller);
}

static bool control(struct poller *poller, int operation, int descriptor, uint32_t events, void *owner)
{
    struct epoll_event event = { .events = events, .data.ptr = owner };
    return epoll_ctl(poller->epoll, operation, descriptor, &event) == 0;
}

bool poller_add(struct poller *poller, int descriptor, uint32_t events, void *owner)
{
    return control(poller, EPOLL_CTL_ADD, descriptor, events, owner);
}

bool poller_modify(struct poller *poller, int descriptor, uint32_t events, void *owner)
{
    return control(poller, EPOLL_CTL_MOD, descriptor, events, owner);
}

void poller_remove(struct poller *poller, int descriptor)
{
    control(poller, EPOLL_CTL_DEL, descriptor, 0, NULL);
}

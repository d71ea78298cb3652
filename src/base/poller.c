#include "base/poller.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"

/* Ready descriptors served before the rest of the event loop gets its turn, and for how long at most: clients
 * that take a lot at once must not keep Redis and everybody else waiting. */
#define POLLER_BATCH 256
#define POLLER_BATCH_NS (2 * CLOCK_NS_PER_SECOND / 1000)

/* Taken from the kernel at once. All of them are served: it puts them behind the others that are ready, so
 * whoever was left out would be so again and again. */
#define POLLER_SLICE 32

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
    struct epoll_event slice[POLLER_SLICE];
    uint64_t end_ns = clock_now_ns() + POLLER_BATCH_NS;
    int served = 0, count = POLLER_SLICE;
    while (count == POLLER_SLICE && served < POLLER_BATCH && (served == 0 || clock_now_ns() < end_ns)) {
        count = epoll_wait(poller->epoll, slice, POLLER_SLICE, 0);
        if (count <= 0) /* interrupted: still readable, so the loop comes back */
            break;
        for (int i = 0; i < count; i++)
            poller->ready(poller->context, slice[i].data.ptr, slice[i].events);
        served += count;
    }
    if (served > 0 && poller->batch_end)
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

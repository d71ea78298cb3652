#include "front/lingering.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"

#define LINGERERS_MAX 64
#define LINGER_SECONDS 2
#define LINGER_BYTES_MAX (8u << 20)
#define READ_BYTES 16384

struct lingering {
    struct event_base *base;
    struct list members;
    size_t count;
};

struct lingerer {
    struct lingering *owner;
    struct list node;
    struct event *event;
    uint64_t end_ms;
    size_t bytes;
};

static void lingerer_free(struct lingerer *lingerer)
{
    int descriptor = event_get_fd(lingerer->event);
    event_free(lingerer->event);
    close(descriptor);
    list_remove(&lingerer->node);
    lingerer->owner->count--;
    free(lingerer);
}

static void on_event(evutil_socket_t descriptor, short events, void *context)
{
    struct lingerer *lingerer = context;
    char bytes[READ_BYTES];
    ssize_t received = events & EV_TIMEOUT ? 0 : recv(descriptor, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (received < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (received > 0)
        lingerer->bytes += (size_t)received;
    if (received <= 0 || lingerer->bytes > LINGER_BYTES_MAX || clock_now_ms() >= lingerer->end_ms)
        lingerer_free(lingerer);
}

struct lingering *lingering_create(struct event_base *base)
{
    struct lingering *lingering = calloc(1, sizeof(*lingering));
    if (!lingering)
        return NULL;
    lingering->base = base;
    list_init(&lingering->members);
    return lingering;
}

void lingering_destroy(struct lingering *lingering)
{
    if (!lingering)
        return;
    for (struct list *first; (first = list_first(&lingering->members));)
        lingerer_free(LIST_OWNER(first, struct lingerer, node));
    free(lingering);
}

void lingering_take(struct lingering *lingering, int descriptor)
{
    if (lingering->count == LINGERERS_MAX)
        return;
    struct lingerer *lingerer = calloc(1, sizeof(*lingerer));
    int copy = lingerer ? fcntl(descriptor, F_DUPFD_CLOEXEC, 3) : -1;
    if (copy >= 0)
        lingerer->event = event_new(lingering->base, copy, EV_READ | EV_PERSIST, on_event, lingerer);
    /* The event's timeout starts again with each byte; end_ms does not. */
    const struct timeval patience = { .tv_sec = LINGER_SECONDS };
    if (copy < 0 || !lingerer->event || event_add(lingerer->event, &patience) != 0) {
        if (copy >= 0) {
            if (lingerer->event)
                event_free(lingerer->event);
            close(copy);
        }
        free(lingerer);
        return;
    }
    shutdown(copy, SHUT_WR);
    lingerer->owner = lingering;
    lingerer->end_ms = clock_now_ms() + LINGER_SECONDS * 1000;
    list_append(&lingering->members, &lingerer->node);
    lingering->count++;
}

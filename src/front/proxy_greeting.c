#include "front/proxy_greeting.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "front/proxy_header.h"

struct proxy_greetings {
    struct event_base *base;
    proxy_greeted *greeted;
    proxy_ungreeted *ungreeted;
    void *context;
    struct list members;
    size_t count;
};

struct greeting {
    struct proxy_greetings *owner;
    struct list node;
    struct event *readable;
    struct event *deadline;
    int descriptor;
    struct ip_address address;
    size_t length;
    char bytes[PROXY_HEADER_BYTES_MAX];
};

static void greeting_free(struct greeting *greeting)
{
    if (greeting->readable)
        event_free(greeting->readable);
    if (greeting->deadline)
        event_free(greeting->deadline);
    list_remove(&greeting->node);
    greeting->owner->count--;
    free(greeting);
}

static void refuse(struct greeting *greeting)
{
    struct proxy_greetings *owner = greeting->owner;
    close(greeting->descriptor);
    greeting_free(greeting);
    owner->ungreeted(owner->context);
}

static void hand_on(struct greeting *greeting, const struct proxy_header *header)
{
    struct proxy_greetings *owner = greeting->owner;
    int descriptor = greeting->descriptor;
    struct ip_address address = header->has_address ? header->address : greeting->address;
    greeting_free(greeting);
    owner->greeted(owner->context, descriptor, &address, header->port);
}

static void on_deadline(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    refuse(context);
}

/* Looks before it takes, so that not a byte of the request behind the header is taken. */
static void on_readable(evutil_socket_t descriptor, short events, void *context)
{
    (void)events;
    struct greeting *greeting = context;
    struct proxy_header header;
    char *free_bytes = greeting->bytes + greeting->length;
    ssize_t seen = recv(descriptor, free_bytes, sizeof(greeting->bytes) - greeting->length, MSG_PEEK);
    if (seen < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    enum proxy_header_status status =
        seen <= 0 ? PROXY_HEADER_INVALID
                  : proxy_header_parse(greeting->bytes, greeting->length + (size_t)seen, &header);
    if (status != PROXY_HEADER_INVALID) {
        size_t own = status == PROXY_HEADER_COMPLETE ? header.bytes - greeting->length : (size_t)seen;
        if (recv(descriptor, free_bytes, own, 0) != (ssize_t)own)
            status = PROXY_HEADER_INVALID;
        greeting->length += own;
    }
    if (status == PROXY_HEADER_COMPLETE)
        hand_on(greeting, &header);
    else if (status == PROXY_HEADER_INVALID || greeting->length == sizeof(greeting->bytes))
        refuse(greeting);
}

struct proxy_greetings *proxy_greetings_create(struct event_base *base, proxy_greeted *greeted,
                                               proxy_ungreeted *ungreeted, void *context)
{
    struct proxy_greetings *greetings = calloc(1, sizeof(*greetings));
    if (!greetings)
        return NULL;
    *greetings = (struct proxy_greetings){
        .base = base, .greeted = greeted, .ungreeted = ungreeted, .context = context
    };
    list_init(&greetings->members);
    return greetings;
}

void proxy_greetings_destroy(struct proxy_greetings *greetings)
{
    if (!greetings)
        return;
    for (struct list *first; (first = list_first(&greetings->members));) {
        struct greeting *greeting = LIST_OWNER(first, struct greeting, node);
        close(greeting->descriptor);
        greeting_free(greeting);
    }
    free(greetings);
}

void proxy_greetings_take(struct proxy_greetings *greetings, int descriptor, const struct ip_address *address,
                          uint64_t timeout_ms)
{
    struct greeting *greeting = calloc(1, sizeof(*greeting));
    const struct timeval timeout = { .tv_sec = (time_t)(timeout_ms / 1000),
                                     .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000) };
    if (!greeting) {
        close(descriptor);
        return;
    }
    greeting->owner = greetings;
    greeting->descriptor = descriptor;
    greeting->address = *address;
    list_append(&greetings->members, &greeting->node);
    greetings->count++;
    greeting->readable = event_new(greetings->base, descriptor, EV_READ | EV_PERSIST, on_readable, greeting);
    greeting->deadline = evtimer_new(greetings->base, on_deadline, greeting);
    if (!greeting->readable || !greeting->deadline || event_add(greeting->readable, NULL) != 0 ||
        evtimer_add(greeting->deadline, &timeout) != 0) {
        close(descriptor);
        greeting_free(greeting);
    }
}

size_t proxy_greetings_count(const struct proxy_greetings *greetings)
{
    return greetings->count;
}

#include "watch.h"

#include <stddef.h>
#include <sys/epoll.h>

#define EVENTS_PER_TURN 1024

int watch_loop_create(void)
{
    return epoll_create1(EPOLL_CLOEXEC);
}

bool watch_add(int loop, int descriptor, uint32_t events, struct watch *watch)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };
    return epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

bool watch_modify(int loop, int descriptor, uint32_t events, struct watch *watch)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };
    return epoll_ctl(loop, EPOLL_CTL_MOD, descriptor, &event) == 0;
}

void watch_remove(int loop, int descriptor)
{
    epoll_ctl(loop, EPOLL_CTL_DEL, descriptor, NULL);
}

void watch_turn(int loop, int timeout_ms)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int count = epoll_wait(loop, events, EVENTS_PER_TURN, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;
        watch->ready(watch, events[i].events);
    }
}

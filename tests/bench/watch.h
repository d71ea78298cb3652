/* The event loop of the benchmark's own programs: epoll, level-triggered, and nothing else. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The first member of whatever waits for a descriptor. May be freed in its own ready() only. */
struct watch {
    void (*ready)(struct watch *watch, uint32_t events);
};

/* An epoll descriptor, or -1 with errno. */
int watch_loop_create(void);

bool watch_add(int loop, int descriptor, uint32_t events, struct watch *watch);
bool watch_modify(int loop, int descriptor, uint32_t events, struct watch *watch);
void watch_remove(int loop, int descriptor);

/* One turn: waits up to timeout_ms (-1: for ever) and calls whoever is ready. */
void watch_turn(int loop, int timeout_ms);

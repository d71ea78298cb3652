/*
 * The demo of `serve --dev`: does what workers would do. Batches demo-1 … demo-4 move, each at its pace; one
 * that has ended begins anew after some seconds under the same id. The channel demo:events carries a few
 * events a second.
 */
#pragma once

#include <event2/event.h>

#include "redis/commands.h"

struct dev_demo;

/* Borrows `commands`. NULL when memory is short. */
struct dev_demo *dev_demo_create(struct event_base *base, struct commands *commands);
void dev_demo_destroy(struct dev_demo *demo);

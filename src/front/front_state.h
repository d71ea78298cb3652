/* The inside of struct front, for the modules of this folder. */
#pragma once

#include "base/list.h"
#include "front/deadline.h"
#include "front/front.h"
#include "front/lingering.h"
#include "front/listener.h"
#include "front/server.h"

/* Nothing that we serve needs more. Both fit into the library's memory for a connection (server.c). */
#define FRONT_URI_BYTES_MAX (12u << 10)
#define FRONT_HEAD_BYTES_MAX (16u << 10)

struct front {
    struct front_options options;
    struct front_services services;
    struct listener *listener; /* NULL while draining */
    struct server *server;
    struct deadlines *deadlines;
    struct lingering *lingering;
    struct list exchanges; /* being answered */
    size_t exchange_count;
    size_t connection_count;
    bool draining;
};

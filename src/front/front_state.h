/* The inside of struct front, for the modules of this folder. */
#pragma once

#include "base/list.h"
#include "front/client.h"
#include "front/deadline.h"
#include "front/front.h"
#include "front/lingering.h"
#include "front/listener.h"
#include "front/proxy_greeting.h"
#include "front/server.h"

/* Nothing that we serve needs more. Both fit into the library's memory for a connection (server.c). */
#define FRONT_URI_BYTES_MAX (12u << 10)
#define FRONT_HEAD_BYTES_MAX (16u << 10)

struct front {
    struct front_options options;
    struct front_services services;
    struct client_rules client_rules;
    struct listener *listener;
    struct listener *admin_listener; /* NULL: there is none */
    struct list admin_sockets;       /* accepted there, not with the library yet */
    struct proxy_greetings *greetings;
    struct server *server;
    struct deadlines *deadlines;
    struct lingering *lingering;
    struct list exchanges; /* being answered */
    size_t exchange_count;
    size_t connection_count;
    size_t newcomer_count; /* connections without a request so far */
    bool draining;
    uint64_t drain_start_ms;
};

/* front_intake.c */
/* Where `first` (may be NULL) does. NULL problem: memory is short. */
bool front_listen(struct front *front, const struct front *first, char **ret_problem);
void front_leave(struct front *front); /* takes what has come, and closes: at once, or in a moment */
bool front_has_left(const struct front *front);
void front_resume_listening(struct front *front); /* if there is room */
void front_end_intake(struct front *front);
/* Whether the socket came by the administrators' address; said once. */
bool front_take_admin_socket(struct front *front, int descriptor);

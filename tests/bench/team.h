/*
 * The clients of a load, in this process or, where one process has not the descriptors or the CPU time,
 * spread over several that it forks. Their figures lie in shared memory; this process adds them up.
 */
#pragma once

#include "clients.h"

struct team;

/* `processes` of 1 keeps the clients in this process and on its loop. NULL with errno. Borrows its arguments.
 */
struct team *team_create(int loop, const struct clients_options *options, const struct payload_form *form,
                         size_t processes);

/* From now on connections are opened. */
void team_connect(struct team *team);

/* Opens connections that are still wanted, and lets slow clients read; call it each turn. */
void team_turn(struct team *team);

struct client_counts team_counts(const struct team *team, enum client_kind kind);
uint64_t team_received(const struct team *team);
uint64_t team_joined(const struct team *team);

/* After team_leave(): messages that never reached a client of the kind. */
uint64_t team_lost(const struct team *team, enum client_kind kind);

/* Since the last reset, which is for times when nothing comes. */
void team_add_latency(const struct team *team, struct latency *latency);
void team_reset_latency(struct team *team);

/* All clients are gone when it returns. `published` is how much they should have. */
void team_leave(struct team *team, uint64_t published);
void team_destroy(struct team *team);

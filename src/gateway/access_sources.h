/*
 * Who must be asked about a caller: Redis about a ticket, the application about a session. Both of one
 * thread, bound to its connections.
 */
#pragma once

#include <event2/event.h>

#include "access/access.h"
#include "access/ticket.h"
#include "gateway/settings.h"
#include "redis/commands.h"

struct access_sources;

/* `commands` is where the thread keeps its connection: NULL there once that is being destroyed. NULL when
 * memory is short. */
struct access_sources *access_sources_create(struct event_base *base, const struct settings *settings,
                                             struct commands *const *commands, struct metrics *metrics,
                                             struct log *log);

/* Questions to the application end; who waits for them is told. */
void access_sources_stop(struct access_sources *sources);
/* After the connection for commands, which has answered then. */
void access_sources_destroy(struct access_sources *sources);

/* On reload. */
void access_sources_apply(struct access_sources *sources, const struct settings *settings);

/* Sets what access_create() is given. */
void access_sources_bind(struct access_sources *sources, struct access_bindings *bindings);
struct tickets *access_sources_tickets(struct access_sources *sources);

/* The subject was revoked: nobody is believed to be it by what was said before. */
void access_sources_forget(struct access_sources *sources, struct text subject);

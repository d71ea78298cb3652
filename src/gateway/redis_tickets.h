/* Tickets that are kept in Redis: of one thread, bound to its connection for commands. */
#pragma once

#include "access/ticket.h"
#include "gateway/settings.h"
#include "redis/commands.h"

struct redis_tickets;

/* `commands` is where the thread keeps its connection: NULL there once that is being destroyed. NULL when
 * memory is short. */
struct redis_tickets *redis_tickets_create(const struct settings *settings, struct commands *const *commands,
                                           struct metrics *metrics, struct log *log);
/* After the connection for commands, which has answered then. */
void redis_tickets_destroy(struct redis_tickets *redis);

/* On reload. */
void redis_tickets_apply(struct redis_tickets *redis, const struct settings *settings);

struct tickets *redis_tickets_get(struct redis_tickets *redis);

/*
 * Access control as the settings want it: one for each thread that answers requests. What it asks of the
 * application and of those who have keys is asked for all threads together; see shared_access.h.
 */
#pragma once

#include "access/access.h"
#include "access/ticket.h"
#include "gateway/settings.h"
#include "hub/hub.h"
#include "redis/commands.h"

struct gateway_access;

/* `commands` as for redis_tickets_create(). `shared` has what is asked for all threads: all but tickets. NULL
 * with *ret_problem a sentence, freed by the caller; NULL there: memory is short. */
struct gateway_access *gateway_access_create(struct event_base *base, const struct settings *settings,
                                             struct commands *const *commands,
                                             const struct access_bindings *shared, struct metrics *metrics,
                                             struct log *log, char **ret_problem);

/* Checks that wait are answered, and nobody is asked any more. Before the front goes. */
void gateway_access_stop(struct gateway_access *access);
void gateway_access_destroy(struct gateway_access *access);

struct access *gateway_access_get(struct gateway_access *access);
struct tickets *gateway_access_tickets(struct gateway_access *access);

/*
 * After a reload of the settings: keys are read anew, and streams whose key is gone or narrowed end with
 * `event: expired`, reason "revoked". What cannot be read is logged, and the old keys stay.
 */
void gateway_access_apply(struct gateway_access *access, const struct settings *settings, struct hub *hub);

/* For --check: who may do what. False with the problem as the text. */
bool gateway_access_append_summary(const struct settings *settings, struct buffer *out);

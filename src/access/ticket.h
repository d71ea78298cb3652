/*
 * One-time tickets: an EventSource cannot set headers, and a token in an address ends up in logs and
 * histories. Whoever is known gets a ticket by POST /tickets, and opens a stream with ?ticket= within
 * seconds.
 *
 *   tickets_issue()   24 random bytes; Redis keeps the grant under the ticket's hash, for `ttl_ms`
 *   tickets_source()  takes it out of Redis (GETDEL): of several who come with it, to whatever gateway, one
 *                     gets it
 *
 * A ticket opens streams and no more: it cannot publish, administrate, or get another ticket. What it opens
 * ends when the credential ends that it was got with, and is cut with its subject's other streams. A ticket
 * that its subject got before it was revoked is none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/access.h"

#define TICKET_LENGTH 32 /* base64url of 24 bytes */
#define TICKET_KEY_PREFIX "sluice:ticket:"
#define TICKET_KEY_LENGTH (sizeof(TICKET_KEY_PREFIX) - 1 + 43)

struct tickets;

enum ticket_found {
    TICKET_FOUND,
    TICKET_ABSENT,      /* spent, late, or never given out */
    TICKET_REVOKED,     /* its subject was revoked since */
    TICKET_UNREACHABLE, /* Redis does not answer */
};

typedef void ticket_put_done(void *context, bool stored);
typedef void ticket_take_done(void *context, enum ticket_found found, const char *grant, size_t length);

/* Where tickets are kept; bound by the gateway. `done` comes later, once, if the call returned true. Keys are
 * NUL-terminated. */
struct ticket_store {
    bool (*put)(void *context, const char *key, struct text subject, const char *grant, size_t length,
                uint64_t ttl_ms, ticket_put_done *done, void *done_context);
    bool (*take)(void *context, const char *key, ticket_take_done *done, void *done_context);
    void *context;
};

/* NULL when memory is short. */
struct tickets *tickets_create(uint64_t ttl_ms, const struct ticket_store *store, struct metrics *metrics);
/* The store has answered all it was asked. */
void tickets_destroy(struct tickets *tickets);

void tickets_set_ttl(struct tickets *tickets, uint64_t ttl_ms);
uint64_t tickets_ttl_ms(const struct tickets *tickets);

/*
 * What a ticket of this caller may do: read, and that only as far as `subscribe` says (NULL: all that the
 * caller may). NULL with a sentence when it would be wider than the caller's own grant, or memory is short.
 */
struct grant *ticket_grant(const struct grant *caller, const struct grant_list *subscribe,
                           char ret_problem[static GRANT_PROBLEM_MAX]);

/* `ticket` is NULL when it could not be stored. */
typedef void tickets_issued(void *context, const char *ticket);

/* A ticket for a grant of ticket_grant(); `done` comes later. False when memory is short. The grant is only
 * looked at during the call. */
bool tickets_issue(struct tickets *tickets, const struct grant *grant, tickets_issued *done, void *context);

/* A ticket that nobody keeps, for when access is open and nobody asks for one. */
void ticket_make(char ret_ticket[static TICKET_LENGTH + 1]);

/* For access_create(). */
struct access_source tickets_source(struct tickets *tickets);

/*
 * Between a route and its endpoint: who is it, and may he? (access/access.h)
 *
 *   exchange.c ─▶ permit_route ──▶ endpoint: the exchange has the caller's grant
 *                     │  ▲
 *                     │  └ the endpoint asks again (permit_ask) when only the body says what is wanted
 *                     └──▶ 401, 403, 503; a stream that cannot be judged now: 200, a late retry, the end
 *
 * /healthz and /readyz are open to all. An answer that is not there at once leaves the exchange waiting, and
 * the endpoint runs later.
 */
#pragma once

#include "access/access.h"

struct exchange;

typedef void permit_granted(struct exchange *exchange);

/* A question that is being asked. */
struct permit {
    struct access_check *check; /* NULL: nothing is waited for */
    enum access_action action;
    permit_granted *granted;
    void *operand; /* of whoever asked; his again when it is granted */
    void (*drop)(void *operand);
};

/* Asks for what the route and the query name, and runs the endpoint if that is granted. */
void permit_route(struct exchange *exchange, permit_granted *endpoint);

/*
 * Asks for these topics. `operand` is kept in exchange->permit.operand for `granted`, which takes it over;
 * in every other case `drop` is called with it.
 */
void permit_ask(struct exchange *exchange, const struct access_question *question, permit_granted *granted,
                void *operand, void (*drop)(void *operand));

/* For the audit log: what the administrator that the caller is has done, to whom, and to how many. */
void permit_tell_act(const struct exchange *exchange, const char *act, struct text whose, uint64_t count);

/* That he was refused because of a limit. */
void permit_tell_limited(const struct exchange *exchange, enum access_action action, const char *limit);

/* A refusal as it is answered and told to the audit log; takes decision->grant. */
void permit_refuse(struct exchange *exchange, enum access_action action, struct access_decision *decision);

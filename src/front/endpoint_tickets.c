/* POST /tickets: a ticket for one stream, for those who cannot send headers with it (access/ticket.h). */
#include <inttypes.h>
#include <stdlib.h>

#include "access/grant_json.h"
#include "access/ticket.h"
#include "front/endpoint.h"
#include "front/exchange.h"
#include "front/front_state.h"

/* Waits for Redis to have the ticket. What Redis was asked cannot be called off, so this may outlive the
 * exchange. */
struct request_for_ticket {
    struct exchange *exchange; /* NULL: nobody waits any more */
};

static void cancel_ticket(struct exchange *exchange)
{
    struct request_for_ticket *waiting = exchange->operation;
    waiting->exchange = NULL;
}

static void answer_ticket(struct exchange *exchange, const char *ticket)
{
    struct buffer body = { 0 };
    uint64_t ttl_ms = tickets_ttl_ms(exchange->front->services.tickets);
    buffer_printf(&body, "{\"ticket\":\"%s\",\"expires_in\":%" PRIu64 "}", ticket, ttl_ms / 1000);
    response_set_json(&exchange->response, 200, &body);
    response_add_header(&exchange->response, "Cache-Control", "no-store");
    exchange_answer(exchange);
}

static void on_issued(void *context, const char *ticket)
{
    struct request_for_ticket *waiting = context;
    struct exchange *exchange = waiting->exchange;
    free(waiting);
    if (exchange && ticket)
        answer_ticket(exchange, ticket);
    else if (exchange)
        exchange_answer_problem(exchange, 503, "Redis does not keep the ticket. Try again later.");
}

static void issue(struct exchange *exchange, const struct grant *grant)
{
    struct request_for_ticket *waiting = malloc(sizeof *waiting);
    if (waiting)
        waiting->exchange = exchange;
    if (waiting && tickets_issue(exchange->front->services.tickets, grant, on_issued, waiting)) {
        exchange_wait(exchange, waiting, cancel_ticket);
        return;
    }
    free(waiting);
    exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
}

/* The list in the body; *ret_list is without patterns when there is none. False with the problem answered. */
static bool read_list(struct exchange *exchange, json_t **ret_body, struct text storage[],
                      struct grant_list *ret_list)
{
    const struct buffer *body = &exchange->body;
    const char *name;
    json_t *value;
    json_t *all = *ret_body = body->size ? access_json_parse(body->data, body->size) : json_object();
    if (!all) {
        exchange_answer_problem(exchange, 400,
                                "The body is empty, or an object such as {\"subscribe\": [\"batch:42\"]}.");
        return false;
    }
    json_object_foreach(all, name, value)
    {
        bool is_list = strcmp(name, "subscribe") == 0 && json_is_array(value);
        if (!is_list || json_array_size(value) == 0 || json_array_size(value) > GRANT_PATTERNS_MAX) {
            exchange_answer_problem(exchange, 400,
                                    "The body's only field is `subscribe`, a list of 1 to %d patterns.",
                                    GRANT_PATTERNS_MAX);
            return false;
        }
        for (size_t i = 0; i < json_array_size(value); i++) {
            const json_t *pattern = json_array_get(value, i);
            storage[i] = text_of(json_string_value(pattern), json_string_length(pattern));
            if (!json_is_string(pattern)) {
                exchange_answer_problem(exchange, 400, "Pattern %zu of `subscribe` is not a text.", i + 1);
                return false;
            }
        }
        *ret_list = (struct grant_list){ storage, json_array_size(value) };
    }
    return true;
}

void endpoint_tickets(struct exchange *exchange)
{
    struct text storage[GRANT_PATTERNS_MAX];
    struct grant_list list = { 0 };
    json_t *body = NULL;
    char problem[GRANT_PROBLEM_MAX];
    if (!read_list(exchange, &body, storage, &list)) {
        json_decref(body);
        return;
    }
    /* When access is open nobody asks for the ticket, and pages need not know that. */
    if (!exchange->grant) {
        char ticket[TICKET_LENGTH + 1];
        ticket_make(ticket);
        answer_ticket(exchange, ticket);
    } else {
        struct grant *grant = ticket_grant(exchange->grant, list.count ? &list : NULL, problem);
        if (grant)
            issue(exchange, grant);
        else
            exchange_answer_problem(exchange, 403, "%s", problem);
        grant_release(grant);
    }
    json_decref(body);
}

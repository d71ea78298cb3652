/*
 * What the application says about a session: the main thread asks it for all workers.
 *
 *   asker's thread ──▶ main thread: authorizer ──▶ asker's thread: access_know(), access_refuse()
 *
 *   called off ──▶ main thread: nobody waits any more ──▶ asker's thread: freed
 *
 * A question that is called off may be on its way in either direction, or wait. The word of that takes the
 * same way behind it, so when it is back, nobody knows the question any more.
 */
#include <stdlib.h>

#include "access/asked.h"
#include "access/authorizer.h"
#include "gateway/shared_access.h"
#include "gateway/worker.h"

struct application_request {
    struct mail mail;       /* there with the question, back with the outcome */
    struct mail called_off; /* behind it */
    struct list node;       /* among the worker's, unless called off */
    struct worker *worker;
    struct access_check *check;      /* NULL: called off; the worker's thread only */
    struct asked *asked;             /* NULL in the main thread, which asks at once */
    struct authorizer_waiter waiter; /* the main thread's */
    struct authorizer_outcome outcome;
};

static struct authorizer *authorizer_of(const struct application_request *request)
{
    return shared_access_authorizer(request->worker->gateway->shared_access);
}

static void destroy(struct application_request *request)
{
    asked_destroy(request->asked);
    grant_release(request->outcome.grant);
    free(request);
}

/* ---- the outcome ---- */

static void tell(struct access_check *check, const struct authorizer_outcome *outcome)
{
    if (outcome->verdict == ACCESS_ALLOWED)
        access_know(check, grant_hold(outcome->grant));
    else
        access_refuse(check, outcome->verdict, outcome->reason, outcome->detail);
}

static void take_outcome(struct mail *mail)
{
    struct application_request *request = LIST_OWNER(mail, struct application_request, mail);
    if (!request->check)
        return; /* freed when the word of that is back */
    list_remove(&request->node);
    tell(request->check, &request->outcome);
    destroy(request);
}

static void on_outcome(struct authorizer_waiter *waiter, const struct authorizer_outcome *outcome)
{
    struct application_request *request = LIST_OWNER(waiter, struct application_request, waiter);
    request->outcome = *outcome;
    grant_hold(outcome->grant);
    if (request->worker->is_local) {
        take_outcome(&request->mail);
        return;
    }
    request->mail.run = take_outcome;
    mailbox_post(request->worker->mailbox, &request->mail);
}

/* ---- the question ---- */

static void put_question(struct mail *mail)
{
    struct application_request *request = LIST_OWNER(mail, struct application_request, mail);
    authorizer_ask(authorizer_of(request), &request->asked->credentials, &request->asked->question,
                   &request->waiter);
}

/* At the end, when the threads are no more: one that was called off is freed with the word of that. */
static void drop_request(struct mail *mail)
{
    struct application_request *request = LIST_OWNER(mail, struct application_request, mail);
    if (request->check)
        destroy(request);
}

static void ask(void *context, struct access_check *check, const struct access_credentials *credentials,
                const struct access_question *question)
{
    static const struct authorizer_outcome no_memory = { ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED,
                                                         "Memory is short. Try again later.", NULL };
    struct worker *worker = context;
    struct authorizer_outcome refusal;
    if (!authorizer_may_ask(credentials, &refusal)) {
        tell(check, &refusal);
        return;
    }
    struct application_request *request = calloc(1, sizeof(*request));
    if (request && !worker->is_local)
        request->asked = asked_create(credentials, question);
    if (!request || (!worker->is_local && !request->asked)) {
        free(request);
        tell(check, &no_memory);
        return;
    }
    request->mail = (struct mail){ .run = put_question, .drop = drop_request };
    request->worker = worker;
    request->check = check;
    request->waiter.done = on_outcome;
    list_append(&worker->application_requests, &request->node);
    if (worker->is_local)
        authorizer_ask(authorizer_of(request), credentials, question, &request->waiter);
    else
        mailbox_post(worker->gateway->mailbox, &request->mail);
}

/* ---- calling it off ---- */

static void free_called_off(struct mail *mail)
{
    destroy(LIST_OWNER(mail, struct application_request, called_off));
}

static void call_off(struct mail *mail)
{
    struct application_request *request = LIST_OWNER(mail, struct application_request, called_off);
    authorizer_cancel(authorizer_of(request), &request->waiter);
    request->called_off.run = free_called_off;
    mailbox_post(request->worker->mailbox, &request->called_off);
}

static struct application_request *request_of(const struct worker *worker, const struct access_check *check)
{
    const struct list *requests = &worker->application_requests;
    for (struct list *node = requests->next; node != requests; node = node->next) {
        struct application_request *request = LIST_OWNER(node, struct application_request, node);
        if (request->check == check)
            return request;
    }
    return NULL;
}

static void cancel(void *context, struct access_check *check)
{
    struct worker *worker = context;
    struct application_request *request = request_of(worker, check);
    if (!request)
        return;
    list_remove(&request->node);
    request->check = NULL;
    if (worker->is_local) {
        authorizer_cancel(authorizer_of(request), &request->waiter);
        destroy(request);
        return;
    }
    request->called_off = (struct mail){ .run = call_off, .drop = free_called_off };
    mailbox_post(worker->gateway->mailbox, &request->called_off);
}

struct access_source worker_application_source(struct worker *worker)
{
    list_init(&worker->application_requests);
    if (!shared_access_authorizer(worker->gateway->shared_access))
        return (struct access_source){ 0 };
    return (struct access_source){ .ask = ask, .cancel = cancel, .context = worker };
}

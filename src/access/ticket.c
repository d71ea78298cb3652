#include "access/ticket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/base64url.h"
#include "access/digest.h"
#include "access/grant_json.h"
#include "base/list.h"
#include "base/random.h"

#define TICKET_BYTES 24

_Static_assert(BASE64URL_ENCODED_MAX(TICKET_BYTES) == TICKET_LENGTH + 1, "a ticket's length");

struct tickets {
    uint64_t ttl_ms;
    struct ticket_store store;
    struct metrics *metrics;
    struct list takings; /* under way */
};

/* A check that waits for its ticket. What Redis was asked cannot be called off, so this may outlive it. */
struct taking {
    struct tickets *tickets;
    struct list node;
    struct access_check *check; /* NULL: called off */
};

struct issue {
    struct tickets *tickets;
    tickets_issued *done;
    void *context;
    char ticket[TICKET_LENGTH + 1];
};

struct tickets *tickets_create(uint64_t ttl_ms, const struct ticket_store *store, struct metrics *metrics)
{
    struct tickets *tickets = calloc(1, sizeof *tickets);
    if (!tickets)
        return NULL;
    tickets->ttl_ms = ttl_ms;
    tickets->store = *store;
    tickets->metrics = metrics;
    list_init(&tickets->takings);
    return tickets;
}

void tickets_destroy(struct tickets *tickets)
{
    free(tickets);
}

void tickets_set_ttl(struct tickets *tickets, uint64_t ttl_ms)
{
    tickets->ttl_ms = ttl_ms;
}

uint64_t tickets_ttl_ms(const struct tickets *tickets)
{
    return tickets->ttl_ms;
}

void ticket_make(char ret_ticket[static TICKET_LENGTH + 1])
{
    unsigned char bytes[TICKET_BYTES];
    random_fill(bytes, sizeof bytes);
    base64url_encode(bytes, sizeof bytes, ret_ticket);
}

/* Only the hash is kept: whoever can read Redis cannot use what he finds there. */
static bool write_key(struct text ticket, char ret_key[static TICKET_KEY_LENGTH + 1])
{
    unsigned char digest[DIGEST_BYTES];
    if (!digest_of(&ticket, 1, digest))
        return false;
    memcpy(ret_key, TICKET_KEY_PREFIX, sizeof TICKET_KEY_PREFIX - 1);
    base64url_encode(digest, sizeof digest, ret_key + sizeof TICKET_KEY_PREFIX - 1);
    return true;
}

/* ---- issuing ---- */

static bool is_within(struct text pattern, const struct grant *caller)
{
    struct pattern inner, outer;
    const char *problem;
    if (!pattern_parse(pattern, &inner, &problem))
        return false;
    for (size_t i = 0; i < grant_pattern_count(caller, ACCESS_SUBSCRIBE); i++)
        if (pattern_parse(grant_pattern(caller, ACCESS_SUBSCRIBE, i), &outer, &problem) &&
            pattern_within(&inner, &outer))
            return true;
    return false;
}

static struct grant_list patterns_of(const struct grant *grant, enum access_action action,
                                     struct text storage[static GRANT_PATTERNS_MAX])
{
    size_t count = grant_pattern_count(grant, action);
    for (size_t i = 0; i < count; i++)
        storage[i] = grant_pattern(grant, action, i);
    return (struct grant_list){ storage, count };
}

struct grant *ticket_grant(const struct grant *caller, const struct grant_list *subscribe,
                           char ret_problem[static GRANT_PROBLEM_MAX])
{
    struct text all[GRANT_PATTERNS_MAX], consume[GRANT_PATTERNS_MAX];
    struct grant_draft draft = { .means = grant_means(caller),
                                 .subject = grant_subject(caller),
                                 .expires_wall_ms = grant_expires_wall_ms(caller),
                                 .credential = grant_credential(caller) };
    if (subscribe) {
        draft.lists[ACCESS_SUBSCRIBE] = *subscribe;
    } else {
        draft.lists[ACCESS_SUBSCRIBE] = patterns_of(caller, ACCESS_SUBSCRIBE, all);
        draft.lists[ACCESS_CONSUME] = patterns_of(caller, ACCESS_CONSUME, consume);
    }
    for (size_t i = 0; subscribe && i < subscribe->count; i++) {
        struct text pattern = subscribe->patterns[i];
        if (is_within(pattern, caller))
            continue;
        snprintf(ret_problem, GRANT_PROBLEM_MAX, "You may not read all of \"%.*s\".",
                 (int)(pattern.length < 100 ? pattern.length : 100), pattern.bytes);
        return NULL;
    }
    return grant_create(&draft, ret_problem);
}

static void on_put(void *context, bool stored)
{
    struct issue *issue = context;
    issue->tickets->metrics->tickets_issued += stored;
    issue->done(issue->context, stored ? issue->ticket : NULL);
    free(issue);
}

bool tickets_issue(struct tickets *tickets, const struct grant *grant, tickets_issued *done, void *context)
{
    char key[TICKET_KEY_LENGTH + 1];
    struct buffer json = { 0 };
    struct issue *issue = malloc(sizeof *issue);
    bool is_sent = false;
    if (issue) {
        *issue = (struct issue){ .tickets = tickets, .done = done, .context = context };
        ticket_make(issue->ticket);
        grant_append_json(grant, &json);
        is_sent = !json.failed && write_key(text_of(issue->ticket, TICKET_LENGTH), key) &&
                  tickets->store.put(tickets->store.context, key, grant_subject(grant), json.data, json.size,
                                     tickets->ttl_ms, on_put, issue);
    }
    if (!is_sent)
        free(issue);
    buffer_free(&json);
    return is_sent;
}

/* ---- taking ---- */

static bool is_well_formed(struct text ticket)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if (ticket.length != TICKET_LENGTH)
        return false;
    for (size_t i = 0; i < ticket.length; i++)
        if (!memchr(letters, ticket.bytes[i], sizeof letters - 1))
            return false;
    return true;
}

static void refuse(struct tickets *tickets, struct access_check *check)
{
    tickets->metrics->tickets_refused++;
    access_refuse(check, ACCESS_UNKNOWN, REFUSAL_BAD_TICKET,
                  "The ticket is spent, late, or was never given out. Get another one by POST /tickets.");
}

static void unavailable(struct access_check *check)
{
    access_refuse(check, ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED,
                  "The ticket cannot be looked at: Redis does not answer. Try again later.");
}

static void on_taken(void *context, enum ticket_found found, const char *json, size_t length)
{
    struct taking *taking = context;
    struct tickets *tickets = taking->tickets;
    struct access_check *check = taking->check;
    list_remove(&taking->node);
    free(taking);
    if (!check)
        return;
    struct grant *grant = found == TICKET_FOUND ? grant_from_json(json, length) : NULL;
    if (found == TICKET_UNREACHABLE) {
        unavailable(check);
    } else if (!grant) {
        refuse(tickets, check);
    } else {
        tickets->metrics->tickets_taken++;
        access_know(check, grant);
    }
}

static void take(void *context, struct access_check *check, const struct access_credentials *credentials,
                 const struct access_question *question)
{
    (void)question;
    struct tickets *tickets = context;
    char key[TICKET_KEY_LENGTH + 1];
    if (!is_well_formed(credentials->ticket)) {
        refuse(tickets, check);
        return;
    }
    struct taking *taking = calloc(1, sizeof *taking);
    if (!taking) {
        unavailable(check);
        return;
    }
    taking->tickets = tickets;
    taking->check = check;
    list_append(&tickets->takings, &taking->node);
    if (write_key(credentials->ticket, key) &&
        tickets->store.take(tickets->store.context, key, on_taken, taking))
        return;
    list_remove(&taking->node);
    free(taking);
    unavailable(check);
}

static void cancel(void *context, struct access_check *check)
{
    struct tickets *tickets = context;
    for (struct list *node = tickets->takings.next; node != &tickets->takings; node = node->next) {
        struct taking *taking = LIST_OWNER(node, struct taking, node);
        if (taking->check == check)
            taking->check = NULL;
    }
}

struct access_source tickets_source(struct tickets *tickets)
{
    return (struct access_source){ .ask = take, .cancel = cancel, .context = tickets };
}

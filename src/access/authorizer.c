#include "access/authorizer.h"

#include <stdlib.h>
#include <string.h>

#include "access/authorizer_answer.h"
#include "access/authorizer_question.h"
#include "access/digest.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"

/* An application that is down is not asked the same again at once. */
#define FAILURE_TTL_MS 1000

struct authorizer {
    struct authorizer_options options;
    char *url;
    struct authorizer_client client;
    struct metrics *metrics;
    struct log *log;
    struct log_limiter limiter;
    struct map *inquiries; /* by their key */
    struct list queued;    /* oldest first */
    struct list asked;
    struct list known; /* least recently used first */
    size_t asked_count;
    size_t waiting_count;
};

enum inquiry_state { INQUIRY_QUEUED, INQUIRY_ASKED, INQUIRY_KNOWN };

struct inquiry {
    struct authorizer *authorizer;
    unsigned char key[DIGEST_BYTES];
    enum inquiry_state state;
    struct list node; /* in one of the three lists */
    struct list waiters;
    bool again; /* a subject was revoked since it was put */
    uint64_t queued_ms;
    struct authorizer_question question; /* until it is answered */
    struct authorizer_outcome outcome;
    uint64_t known_until_ms;
};

static const struct authorizer_outcome overloaded = {
    ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED,
    "Too many requests wait for the application to say who may do this. Try again later.", NULL
};

static const struct authorizer_outcome undecided = {
    ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED,
    "The application that decides about this did not answer with yes or no. Try again later.", NULL
};

/* ---- life of an inquiry ---- */

static void inquiry_destroy(struct inquiry *inquiry)
{
    map_remove(inquiry->authorizer->inquiries, (const char *)inquiry->key, sizeof inquiry->key);
    list_remove(&inquiry->node);
    authorizer_question_clear(&inquiry->question);
    grant_release(inquiry->outcome.grant);
    free(inquiry);
}

static void change_state(struct inquiry *inquiry, enum inquiry_state state)
{
    struct authorizer *authorizer = inquiry->authorizer;
    if (inquiry->state == INQUIRY_ASKED)
        authorizer->asked_count--;
    list_remove(&inquiry->node);
    inquiry->state = state;
    switch (state) {
    case INQUIRY_QUEUED:
        inquiry->queued_ms = clock_now_ms();
        list_append(&authorizer->queued, &inquiry->node);
        break;
    case INQUIRY_ASKED:
        authorizer->asked_count++;
        list_append(&authorizer->asked, &inquiry->node);
        break;
    case INQUIRY_KNOWN:
        list_append(&authorizer->known, &inquiry->node);
        break;
    }
}

/* Nothing of the waiter's is looked at behind this. */
static void tell(struct authorizer *authorizer, struct authorizer_waiter *waiter,
                 const struct authorizer_outcome *outcome)
{
    authorizer_cancel(authorizer, waiter);
    waiter->done(waiter, outcome);
}

/* Takes the outcome and tells all who wait. They may ask for more at once, and even push this inquiry out, so
 * it is not looked at any more. */
static void settle(struct inquiry *inquiry, const struct authorizer_outcome *outcome, uint64_t ttl_ms)
{
    struct authorizer *authorizer = inquiry->authorizer;
    struct authorizer_outcome told = *outcome;
    struct list waiters;
    struct list *node;
    grant_hold(told.grant);
    grant_release(inquiry->outcome.grant);
    inquiry->outcome = *outcome;
    inquiry->known_until_ms = clock_now_ms() + ttl_ms;
    authorizer_question_clear(&inquiry->question);
    change_state(inquiry, INQUIRY_KNOWN);
    list_init(&waiters);
    while ((node = list_first(&inquiry->waiters)) != NULL) {
        list_remove(node);
        list_append(&waiters, node);
    }
    while ((node = list_first(&waiters)) != NULL)
        tell(authorizer, LIST_OWNER(node, struct authorizer_waiter, node), &told);
    grant_release(told.grant);
}

static void fail(struct inquiry *inquiry, long status, const char *problem)
{
    struct authorizer *authorizer = inquiry->authorizer;
    authorizer->metrics->authorizer_failures++;
    log_event_limited(authorizer->log, &authorizer->limiter, LOG_LEVEL_WARN,
                      "the application did not say who may do what",
                      (const struct log_field[]){
                          LOG_NUMBER("status", status),
                          LOG_TEXT("problem", problem),
                      },
                      2);
    settle(inquiry, &undecided, FAILURE_TTL_MS);
}

/* ---- the answer ---- */

/* Not beyond its end: who comes back when his stream has ended is asked about anew. */
static uint64_t time_to_keep(const struct authorizer *authorizer, const struct authorizer_answer *answer)
{
    uint64_t ttl_ms = answer->has_ttl ? answer->ttl_ms : authorizer->options.ttl_ms;
    uint64_t expires_ms = grant_expires_wall_ms(answer->grant), now_ms = clock_wall_ms();
    if (!expires_ms || expires_ms >= now_ms + ttl_ms)
        return ttl_ms;
    return expires_ms > now_ms ? expires_ms - now_ms : 0;
}

static void allow(struct inquiry *inquiry, long status, const char *body, size_t length)
{
    const struct authorizer_options *options = &inquiry->authorizer->options;
    struct authorizer_answer answer;
    char problem[GRANT_PROBLEM_MAX];
    uint64_t expires_ms = options->hold_ms ? clock_wall_ms() + options->hold_ms : 0;
    if (!authorizer_answer_parse(body, length, inquiry->question.action, inquiry->question.rights_asked,
                                 text_of(inquiry->question.subject, strlen(inquiry->question.subject)),
                                 expires_ms, &answer, problem)) {
        fail(inquiry, status, problem);
        return;
    }
    const struct authorizer_outcome outcome = { .verdict = ACCESS_ALLOWED, .grant = answer.grant };
    settle(inquiry, &outcome, time_to_keep(inquiry->authorizer, &answer));
}

static void judge(struct inquiry *inquiry, long status, const char *body, size_t length, const char *problem)
{
    const struct authorizer_outcome unknown = { ACCESS_UNKNOWN, REFUSAL_APPLICATION,
                                                "The application does not know who this is.", NULL };
    const struct authorizer_outcome denied = { ACCESS_DENIED, REFUSAL_APPLICATION,
                                               "The application does not allow this.", NULL };
    if (status >= 200 && status < 300)
        allow(inquiry, status, body, length);
    else if (status == 401)
        settle(inquiry, &unknown, inquiry->authorizer->options.refusal_ttl_ms);
    else if (status == 403)
        settle(inquiry, &denied, inquiry->authorizer->options.refusal_ttl_ms);
    else if (status >= 300 && status < 400)
        fail(inquiry, status, "It answered with a redirect, which is not followed: 401 or 403 mean no.");
    else
        fail(inquiry, status, problem ? problem : "Only 2xx, 401 and 403 are an answer.");
}

static void start_queued(struct authorizer *authorizer);

static void on_posted(void *context, long status, const char *body, size_t length, const char *problem)
{
    struct inquiry *inquiry = context;
    struct authorizer *authorizer = inquiry->authorizer;
    if (inquiry->again) {
        inquiry->again = false;
        change_state(inquiry, INQUIRY_QUEUED);
    } else {
        judge(inquiry, status, body, length, problem);
    }
    start_queued(authorizer);
}

static void start_queued(struct authorizer *authorizer)
{
    struct list *node;
    while (authorizer->asked_count < authorizer->options.concurrency_max &&
           (node = list_first(&authorizer->queued)) != NULL) {
        struct inquiry *inquiry = LIST_OWNER(node, struct inquiry, node);
        if (clock_now_ms() > inquiry->queued_ms + authorizer->options.timeout_ms) {
            fail(inquiry, 0, "It is too busy to be asked in time.");
            continue;
        }
        change_state(inquiry, INQUIRY_ASKED);
        authorizer->metrics->authorizer_asks++;
        if (!authorizer->client.post(authorizer->client.context, authorizer->url,
                                     (const char *const *)inquiry->question.headers,
                                     inquiry->question.header_count, inquiry->question.body.data,
                                     inquiry->question.body.size, on_posted, inquiry))
            fail(inquiry, 0, "The request could not be made.");
    }
}

/* ---- the question ---- */

/* Makes room by forgetting what was not asked for the longest. False when all that is there is under way. */
static bool make_room(struct authorizer *authorizer)
{
    if (map_count(authorizer->inquiries) < authorizer->options.entries_max)
        return true;
    struct list *oldest = list_first(&authorizer->known);
    if (oldest)
        inquiry_destroy(LIST_OWNER(oldest, struct inquiry, node));
    return oldest != NULL;
}

static struct inquiry *open_inquiry(struct authorizer *authorizer, const unsigned char *key,
                                    const struct access_credentials *credentials,
                                    const struct access_question *question)
{
    struct inquiry *inquiry = make_room(authorizer) ? calloc(1, sizeof *inquiry) : NULL;
    if (!inquiry)
        return NULL;
    inquiry->authorizer = authorizer;
    memcpy(inquiry->key, key, sizeof inquiry->key);
    list_init(&inquiry->waiters);
    if (authorizer_question_write(&inquiry->question, credentials, question) &&
        map_put(authorizer->inquiries, (const char *)inquiry->key, sizeof inquiry->key, inquiry)) {
        change_state(inquiry, INQUIRY_QUEUED);
        return inquiry;
    }
    authorizer_question_clear(&inquiry->question);
    free(inquiry);
    return NULL;
}

static bool join(struct inquiry *inquiry, struct authorizer_waiter *waiter)
{
    struct authorizer *authorizer = inquiry->authorizer;
    if (authorizer->waiting_count >= authorizer->options.waiting_max)
        return false;
    list_append(&inquiry->waiters, &waiter->node);
    authorizer->waiting_count++;
    return true;
}

/* A page of another site makes the browser send our cookies along, so then they say nothing about what its
 * user wants. */
static struct access_credentials own_credentials(const struct access_credentials *credentials)
{
    struct access_credentials own = *credentials;
    if (own.origin == ACCESS_ORIGIN_FOREIGN)
        own.cookie = (struct text){ 0 };
    return own;
}

bool authorizer_may_ask(const struct access_credentials *credentials, struct authorizer_outcome *ret_refusal)
{
    static const struct authorizer_outcome nobody = {
        ACCESS_UNKNOWN, REFUSAL_NO_CREDENTIAL,
        "There is no cookie and no Authorization to show to the application.", NULL
    };
    static const struct authorizer_outcome foreign = {
        ACCESS_DENIED, REFUSAL_FOREIGN_ORIGIN,
        "A page of this origin may not use cookies here; list it in cors_origins.", NULL
    };
    const struct access_credentials own = own_credentials(credentials);
    if (own.cookie.bytes || own.authorization.bytes)
        return true;
    *ret_refusal = credentials->cookie.bytes ? foreign : nobody;
    return false;
}

void authorizer_ask(struct authorizer *authorizer, const struct access_credentials *credentials,
                    const struct access_question *question, struct authorizer_waiter *waiter)
{
    const struct access_credentials own = own_credentials(credentials);
    struct authorizer_outcome refusal;
    unsigned char key[DIGEST_BYTES];
    if (!authorizer_may_ask(credentials, &refusal)) {
        tell(authorizer, waiter, &refusal);
        return;
    }
    if (!authorizer_question_digest(&own, question, key)) {
        tell(authorizer, waiter, &overloaded);
        return;
    }
    struct inquiry *inquiry = map_get(authorizer->inquiries, (const char *)key, sizeof key);
    if (inquiry && inquiry->state == INQUIRY_KNOWN && clock_now_ms() >= inquiry->known_until_ms) {
        inquiry_destroy(inquiry);
        inquiry = NULL;
    }
    bool is_new = !inquiry;
    if (is_new)
        inquiry = open_inquiry(authorizer, key, &own, question);
    else
        authorizer->metrics->authorizer_hits++;
    if (inquiry && inquiry->state == INQUIRY_KNOWN) {
        change_state(inquiry, INQUIRY_KNOWN); /* to the end of the list */
        struct authorizer_outcome outcome = inquiry->outcome;
        grant_hold(outcome.grant);
        tell(authorizer, waiter, &outcome);
        grant_release(outcome.grant);
    } else if (!inquiry || !join(inquiry, waiter)) {
        if (inquiry && is_new)
            inquiry_destroy(inquiry);
        tell(authorizer, waiter, &overloaded);
    } else if (is_new) {
        start_queued(authorizer);
    }
}

void authorizer_cancel(struct authorizer *authorizer, struct authorizer_waiter *waiter)
{
    if (!list_linked(&waiter->node))
        return;
    list_remove(&waiter->node);
    authorizer->waiting_count--;
}

/* ---- life ---- */

void authorizer_forget(struct authorizer *authorizer, struct text subject)
{
    struct list *next;
    for (struct list *node = authorizer->known.next; node != &authorizer->known; node = next) {
        struct inquiry *inquiry = LIST_OWNER(node, struct inquiry, node);
        next = node->next;
        struct text whose =
            inquiry->outcome.grant ? grant_subject(inquiry->outcome.grant) : (struct text){ 0 };
        if (whose.length == subject.length && subject.length &&
            memcmp(whose.bytes, subject.bytes, subject.length) == 0)
            inquiry_destroy(inquiry);
    }
    /* Whom these are about is not known yet, and what is on its way may be from before. */
    for (struct list *node = authorizer->asked.next; node != &authorizer->asked; node = node->next)
        LIST_OWNER(node, struct inquiry, node)->again = true;
}

struct authorizer *authorizer_create(const struct authorizer_options *options,
                                     const struct authorizer_client *client, struct metrics *metrics,
                                     struct log *log)
{
    struct authorizer *authorizer = calloc(1, sizeof *authorizer);
    if (!authorizer)
        return NULL;
    authorizer->options = *options;
    authorizer->client = *client;
    authorizer->metrics = metrics;
    authorizer->log = log;
    list_init(&authorizer->queued);
    list_init(&authorizer->asked);
    list_init(&authorizer->known);
    authorizer->url = strdup(options->url);
    authorizer->inquiries = map_create();
    if (authorizer->url && authorizer->inquiries)
        return authorizer;
    authorizer_destroy(authorizer);
    return NULL;
}

void authorizer_destroy(struct authorizer *authorizer)
{
    if (!authorizer)
        return;
    struct list *node;
    authorizer->options.entries_max = 0; /* who is told and asks again is refused */
    while ((node = list_first(&authorizer->queued)) != NULL)
        settle(LIST_OWNER(node, struct inquiry, node), &undecided, 0);
    while ((node = list_first(&authorizer->known)) != NULL)
        inquiry_destroy(LIST_OWNER(node, struct inquiry, node));
    map_destroy(authorizer->inquiries);
    free(authorizer->url);
    free(authorizer);
}

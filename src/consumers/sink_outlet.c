#include "consumers/sink_outlet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "consumers/sink_headers.h"
#include "outgoing/http_client.h"

#define ANSWER_BYTES_MAX 4096 /* of an answer's body are read; the status is what counts */
#define EXCERPT_MAX 200       /* of them go into the reason */
#define REASON_MAX 512

enum posting_state { POSTING_READY, POSTING_SENDING, POSTING_WAITING };

struct outlet {
    struct event_base *base;
    const struct sink_options *options;
    struct sink_figures *figures;
    struct log *log;
    struct log_limiter limiter;
    struct http_client *client;
    struct event *pause_timer;
    uint64_t paused_until_ms;
    struct list ready;  /* READY, first come first served */
    struct list others; /* SENDING and WAITING */
    size_t count;
    size_t sending;
    bool draining;
    bool destroying;
};

struct posting {
    struct list node;
    struct outlet *outlet;
    enum posting_state state;
    struct event *timer; /* WAITING */
    uint64_t failures;   /* of earlier deliveries */
    uint64_t tries;      /* failed ones of this delivery */
    uint64_t sent_ns;
    char *reason; /* of the last failure; may be NULL */
    outlet_done *done;
    void *context;
    const char *event;
    const char *body;
    size_t body_length;
    char id[]; /* with a NUL; behind it the event with a NUL, and the body */
};

static void pump(struct outlet *outlet);
static void fail(struct posting *posting, uint64_t retry_after_ms);

/* The one place where a posting changes state. */
static void set_state(struct posting *posting, enum posting_state state)
{
    struct outlet *outlet = posting->outlet;
    outlet->sending += (state == POSTING_SENDING) - (size_t)(posting->state == POSTING_SENDING);
    posting->state = state;
    list_remove(&posting->node);
    list_append(state == POSTING_READY ? &outlet->ready : &outlet->others, &posting->node);
}

static void posting_free(struct posting *posting)
{
    list_remove(&posting->node);
    posting->outlet->count--;
    if (posting->timer)
        event_free(posting->timer);
    free(posting->reason);
    free(posting);
}

static void end_posting(struct posting *posting, enum outlet_end end)
{
    set_state(posting, POSTING_WAITING);
    posting->done(posting->context, end, posting->reason);
    posting_free(posting);
}

/* ---- the answer ---- */

/* `HTTP 400: invalid_payload`, or what kept an answer from coming. */
static char *describe(long status, const char *body, size_t body_length, const char *problem)
{
    char excerpt[EXCERPT_MAX + 1];
    size_t length = 0;
    for (size_t i = 0; i < body_length && length < EXCERPT_MAX; i++)
        excerpt[length++] = (char)(body[i] >= ' ' && body[i] <= '~' ? body[i] : ' ');
    while (length > 0 && excerpt[length - 1] == ' ')
        length--;
    excerpt[length] = '\0';
    char text[REASON_MAX];
    if (problem)
        snprintf(text, sizeof(text), "%s", problem);
    else
        snprintf(text, sizeof(text), "HTTP %ld%s%s", status, length ? ": " : "", excerpt);
    return strdup(text);
}

static void set_reason(struct posting *posting, char *reason)
{
    free(posting->reason);
    posting->reason = reason; /* NULL without memory: nothing is said then */
}

static void log_failure(struct posting *posting, const char *what)
{
    struct outlet *outlet = posting->outlet;
    log_event_limited(outlet->log, &outlet->limiter, LOG_LEVEL_WARN, what,
                      (const struct log_field[]){
                          LOG_TEXT("sink", outlet->options->name),
                          LOG_TEXT("id", posting->id),
                          LOG_NUMBER("attempt", posting->failures + posting->tries + 1),
                          LOG_TEXT("problem", posting->reason),
                      },
                      4);
}

static void on_answer(void *context, long status, const char *body, size_t body_length, const char *problem)
{
    struct posting *posting = context;
    struct outlet *outlet = posting->outlet;
    if (outlet->destroying)
        return; /* outlet_destroy() frees it */
    enum sink_verdict verdict = sink_verdict_of(status);
    outlet->figures->attempts[verdict]++;
    histogram_observe(&outlet->figures->duration, clock_now_ns() - posting->sent_ns, 1);
    if (verdict == SINK_ACCEPTED) {
        set_reason(posting, NULL);
        end_posting(posting, OUTLET_DELIVERED);
    } else {
        set_reason(posting, describe(status, body, body_length, problem));
        if (verdict == SINK_REFUSED) {
            log_failure(posting, "webhook refused");
            end_posting(posting, OUTLET_REFUSED);
        } else {
            log_failure(posting, "webhook failed");
            bool is_pause = status == 429 || status == 503;
            uint64_t retry_after_ms = is_pause ? http_client_retry_after_ms(outlet->client) : 0;
            fail(posting, retry_after_ms);
        }
    }
    pump(outlet);
}

/* ---- waiting and trying again ---- */

static void arm(struct event *timer, uint64_t wait_ms)
{
    struct timeval wait = { .tv_sec = (time_t)(wait_ms / 1000),
                            .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000) };
    (void)evtimer_add(timer, &wait);
}

static void on_wait_over(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct posting *posting = context;
    struct outlet *outlet = posting->outlet;
    if (posting->tries > outlet->options->retries)
        end_posting(posting, OUTLET_EXHAUSTED);
    else
        set_state(posting, POSTING_READY);
    pump(outlet);
}

static void fail(struct posting *posting, uint64_t retry_after_ms)
{
    struct outlet *outlet = posting->outlet;
    const struct sink_options *options = outlet->options;
    posting->tries++;
    if (outlet->draining) {
        end_posting(posting, OUTLET_STOPPED);
        return;
    }
    uint64_t wait_ms = sink_wait_ms(posting->failures + posting->tries, options->wait_first_ms,
                                    options->wait_last_ms, retry_after_ms);
    set_state(posting, POSTING_WAITING);
    arm(posting->timer, wait_ms);
    if (retry_after_ms > 0) {
        outlet->paused_until_ms =
            clock_now_ms() +
            (retry_after_ms < SINK_RETRY_AFTER_MAX_MS ? retry_after_ms : SINK_RETRY_AFTER_MAX_MS);
    }
}

/* ---- sending ---- */

static void send_posting(struct posting *posting)
{
    struct outlet *outlet = posting->outlet;
    const struct sink_request request = {
        .id = posting->id,
        .event = posting->event,
        .body = posting->body,
        .body_length = posting->body_length,
        .attempt = posting->failures + posting->tries + 1,
        .timestamp_s = clock_wall_ms() / 1000,
    };
    struct sink_headers headers;
    posting->sent_ns = clock_now_ns();
    bool is_sent = sink_headers_build(&headers, outlet->options, &request);
    if (is_sent) {
        is_sent = http_client_post(outlet->client, outlet->options->url, headers.lines, headers.count,
                                   posting->body, posting->body_length, on_answer, posting);
        sink_headers_free(&headers);
    }
    if (is_sent) {
        set_state(posting, POSTING_SENDING);
        return;
    }
    set_reason(posting, strdup("Memory is short."));
    fail(posting, 0);
}

static void pump(struct outlet *outlet)
{
    struct list *first;
    while (outlet->sending < outlet->options->concurrency && (first = list_first(&outlet->ready)) != NULL) {
        uint64_t now_ms = clock_now_ms();
        if (outlet->paused_until_ms > now_ms) {
            arm(outlet->pause_timer, outlet->paused_until_ms - now_ms);
            return;
        }
        send_posting(LIST_OWNER(first, struct posting, node));
    }
}

static void on_pause_over(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    pump(context);
}

bool outlet_post(struct outlet *outlet, const struct outlet_message *message, outlet_done *done,
                 void *context)
{
    if (outlet->draining)
        return false;
    size_t id_size = strlen(message->id) + 1;
    size_t event_length = message->event_length <= OUTLET_EVENT_MAX ? message->event_length : 0;
    struct posting *posting = calloc(1, sizeof(*posting) + id_size + event_length + 1 + message->body_length);
    if (!posting)
        return false;
    posting->timer = evtimer_new(outlet->base, on_wait_over, posting);
    if (!posting->timer) {
        free(posting);
        return false;
    }
    char *event = posting->id + id_size, *body = event + event_length + 1;
    memcpy(posting->id, message->id, id_size);
    if (event_length)
        memcpy(event, message->event, event_length);
    memcpy(body, message->body, message->body_length);
    posting->event = event;
    posting->body = body;
    posting->body_length = message->body_length;
    posting->failures = message->failures;
    posting->done = done;
    posting->context = context;
    posting->outlet = outlet;
    outlet->count++;
    set_state(posting, POSTING_READY);
    pump(outlet);
    return true;
}

/* ---- life ---- */

struct outlet *outlet_create(struct event_base *base, const struct sink_options *options,
                             struct sink_figures *figures, struct log *log)
{
    struct outlet *outlet = calloc(1, sizeof(*outlet));
    if (!outlet)
        return NULL;
    const struct http_client_options client_options = {
        .transfers_max = options->concurrency,
        .timeout_ms = options->timeout_ms,
        .response_bytes_max = ANSWER_BYTES_MAX,
        .response_cut = true,
    };
    outlet->base = base;
    outlet->options = options;
    outlet->figures = figures;
    outlet->log = log;
    list_init(&outlet->ready);
    list_init(&outlet->others);
    outlet->pause_timer = evtimer_new(base, on_pause_over, outlet);
    outlet->client = http_client_create(base, &client_options, log);
    if (outlet->pause_timer && outlet->client)
        return outlet;
    outlet_destroy(outlet);
    return NULL;
}

static void free_all(struct list *postings)
{
    struct list *first;
    while ((first = list_first(postings)) != NULL)
        posting_free(LIST_OWNER(first, struct posting, node));
}

void outlet_destroy(struct outlet *outlet)
{
    if (!outlet)
        return;
    outlet->destroying = true;
    http_client_destroy(outlet->client);
    free_all(&outlet->ready);
    free_all(&outlet->others);
    if (outlet->pause_timer)
        event_free(outlet->pause_timer);
    free(outlet);
}

size_t outlet_count(const struct outlet *outlet)
{
    return outlet->count;
}

void outlet_drain(struct outlet *outlet)
{
    struct list *first, *next;
    outlet->draining = true;
    while ((first = list_first(&outlet->ready)) != NULL)
        end_posting(LIST_OWNER(first, struct posting, node), OUTLET_STOPPED);
    for (struct list *node = outlet->others.next; node != &outlet->others; node = next) {
        struct posting *posting = LIST_OWNER(node, struct posting, node);
        next = node->next;
        if (posting->state == POSTING_WAITING)
            end_posting(posting, OUTLET_STOPPED);
    }
}

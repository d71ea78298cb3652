#include "front/publish_job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"

/* How long until the first, second and third repetition. */
static const unsigned retry_seconds[] = { 1, 2, 4 };
#define RETRIES (sizeof(retry_seconds) / sizeof(retry_seconds[0]))

/* A receipt that only our own repetitions look for; they are over well within a minute. */
#define OWN_RECEIPT_WINDOW_MS UINT64_C(60000)

#define TOKEN_LENGTH 16

/* One item's way; its place in the array is the item's in the body. */
struct attempt {
    struct publish_job *job;
    struct event *retry_timer; /* made when first needed */
    size_t retries;
    char token[TOKEN_LENGTH + 1];
    bool in_flight;
    bool finished;
};

struct publish_job {
    struct publish_job_options options;
    struct publish_body body;
    struct attempt *attempts;
    struct publish_receipt *receipts;
    size_t unfinished;
    size_t in_flight;  /* requests that will still call us back: the job stays until they have */
    struct event *end; /* calls `done` from the loop when there was nothing to send */
    uint64_t start_ns;
    publish_job_done *done;
    void *context;
    bool abandoned;
};

static void job_free(struct publish_job *job)
{
    for (size_t i = 0; job->attempts && i < job->body.count; i++)
        if (job->attempts[i].retry_timer)
            event_free(job->attempts[i].retry_timer);
    if (job->end)
        event_free(job->end);
    publish_body_clear(&job->body);
    free(job->attempts);
    free(job->receipts);
    free(job);
}

/* Ends the job if nothing is left to wait for. The job may be gone afterwards. */
static void job_check_end(struct publish_job *job)
{
    if (job->in_flight > 0 || (job->unfinished > 0 && !job->abandoned))
        return;
    if (!job->abandoned)
        job->done(job->context, &job->body, job->receipts);
    job_free(job);
}

static void on_end(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    job_check_end(context);
}

static struct publish_item *attempt_item(const struct attempt *attempt)
{
    return &attempt->job->body.items[attempt - attempt->job->attempts];
}

static void attempt_finish(struct attempt *attempt)
{
    struct metrics *metrics = attempt->job->options.metrics;
    const struct publish_item *item = attempt_item(attempt);

    attempt->finished = true;
    attempt->job->unfinished--;
    if (item->problem.status) {
        metrics->publish_failed++;
        return;
    }
    const struct publish_receipt *receipt = &attempt->job->receipts[attempt - attempt->job->attempts];
    if (receipt->duplicate)
        metrics->events_duplicate++;
    else
        metrics->events_published++;
    histogram_observe(&metrics->publish, clock_now_ns() - attempt->job->start_ns, 1);
}

static void attempt_send(struct attempt *attempt);

static void on_retry(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct attempt *attempt = context;
    struct publish_job *job = attempt->job;
    attempt_send(attempt);
    job_check_end(job);
}

/* Waits for the next repetition, or gives up with `reason`. */
static void attempt_again(struct attempt *attempt, const char *reason)
{
    struct publish_job *job = attempt->job;
    if (attempt->retries < RETRIES) {
        struct timeval wait = { .tv_sec = retry_seconds[attempt->retries] };
        if (!attempt->retry_timer)
            attempt->retry_timer = evtimer_new(job->options.base, on_retry, attempt);
        if (attempt->retry_timer && evtimer_add(attempt->retry_timer, &wait) == 0) {
            attempt->retries++;
            job->options.metrics->publish_retries++;
            return;
        }
    }
    problem_set(&attempt_item(attempt)->problem, 503, "Not published: %s. Try again with the same `id`.",
                reason);
    attempt_finish(attempt);
}

static bool reply_mentions(const struct reply *reply, const char *word)
{
    return memmem(reply->text, reply->text_length, word, strlen(word)) != NULL;
}

/* Redis refused, and will refuse again. */
static void attempt_refused(struct attempt *attempt, const struct reply *reply)
{
    struct problem *problem = &attempt_item(attempt)->problem;
    int length = (int)(reply->text_length < 160 ? reply->text_length : 160);
    if (reply_mentions(reply, "WRONGTYPE"))
        problem_set(problem, 422, "The key that `stream` names holds something else than a stream.");
    else if (reply_mentions(reply, "NOSTREAM"))
        problem_set(problem, 422, "There is no such stream, and `nomkstream` asks not to make it.");
    else if (reply_mentions(reply, "NOPERM") || reply_mentions(reply, "NOAUTH"))
        problem_set(problem, 503,
                    "Redis does not let the gateway publish there; its ACL user needs the right to: %.*s",
                    length, reply->text);
    else
        problem_set(problem, 503, "Redis refused: %.*s", length, reply->text);
    attempt_finish(attempt);
}

static void on_reply(void *context, enum commands_status status, const struct reply *reply)
{
    struct attempt *attempt = context;
    struct publish_job *job = attempt->job;
    struct publish_receipt *receipt = &job->receipts[attempt - job->attempts];

    attempt->in_flight = false;
    job->in_flight--;
    if (job->abandoned) {
        job_check_end(job);
        return;
    }
    switch (status) {
    case COMMANDS_OK:
        if (!publish_script_read(reply, text_of(attempt->token, TOKEN_LENGTH), receipt))
            problem_set(&attempt_item(attempt)->problem, 503, "Redis gave an answer that makes no sense.");
        attempt_finish(attempt);
        break;
    case COMMANDS_ERROR:
        if (reply_error_is_transient(reply))
            attempt_again(attempt, "Redis is not able to for the moment");
        else
            attempt_refused(attempt, reply);
        break;
    case COMMANDS_UNSENT:
        attempt_again(attempt, "Redis is not reachable");
        break;
    case COMMANDS_UNCERTAIN:
        attempt_again(attempt, "Redis did not answer, so it may have been published all the same");
        break;
    }
    job_check_end(job);
}

static void attempt_send(struct attempt *attempt)
{
    struct publish_job *job = attempt->job;
    const struct publish_item *item = attempt_item(attempt);

    /* Without an id of the user's the token serves, so that our own repetitions do not publish twice. */
    struct text token = text_of(attempt->token, TOKEN_LENGTH);
    struct text id = item->id.size ? text_of(item->id.data, item->id.size) : token;
    uint64_t window_ms = item->id.size ? job->options.idempotency_window_ms : OWN_RECEIPT_WINDOW_MS;
    if (publish_script_send(job->options.commands, item, id, token, window_ms, on_reply, attempt)) {
        attempt->in_flight = true;
        job->in_flight++;
    } else {
        attempt_again(attempt, "memory is short");
    }
}

struct publish_job *publish_job_start(const struct publish_job_options *options, struct publish_body *body,
                                      publish_job_done *done, void *context)
{
    struct publish_job *job = calloc(1, sizeof(*job));
    if (!job) {
        publish_body_clear(body);
        return NULL;
    }
    *job = (struct publish_job){ .options = *options, .body = *body, .done = done, .context = context };
    *body = (struct publish_body){ 0 };
    job->start_ns = clock_now_ns();
    job->attempts = calloc(job->body.count + 1, sizeof(*job->attempts));
    job->receipts = calloc(job->body.count + 1, sizeof(*job->receipts));
    job->end = evtimer_new(options->base, on_end, job);
    if (!job->attempts || !job->receipts || !job->end) {
        job_free(job);
        return NULL;
    }

    job->unfinished = job->body.count;
    for (size_t i = 0; i < job->body.count; i++) {
        struct attempt *attempt = &job->attempts[i];
        attempt->job = job;
        snprintf(attempt->token, sizeof(attempt->token), "%016" PRIx64, random_u64());
        if (job->body.items[i].problem.status)
            attempt_finish(attempt);
        else
            attempt_send(attempt);
    }
    if (job->unfinished == 0)
        event_active(job->end, EV_TIMEOUT, 0);
    return job;
}

void publish_job_abandon(struct publish_job *job)
{
    job->abandoned = true;
    for (size_t i = 0; i < job->body.count; i++)
        if (job->attempts[i].retry_timer)
            evtimer_del(job->attempts[i].retry_timer);
    event_del(job->end);
    job_check_end(job);
}

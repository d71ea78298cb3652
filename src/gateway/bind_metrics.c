/*
 * The figures of the whole process, for those who ask for them in one of its threads:
 *
 *   asker's thread ──▶ main thread ──▶ worker 0 ──▶ worker 1 … ──▶ main thread ──▶ asker's thread
 *                      adds its own    adds its own                writes the text   answers
 *
 * One reading, in one thread at a time: nobody reads what another is writing.
 */
#include <assert.h>
#include <stdlib.h>

#include "gateway/gateway_state.h"
#include "gateway/worker.h"
#include "metrics/metrics_text.h"

static_assert(SETTING_WORKERS_MAX <= METRICS_WORKERS_MAX, "each worker has its figure");

struct reading {
    struct mail mail;
    struct gateway *gateway;
    struct worker *asker;
    bool as_json;
    unsigned next; /* worker to be asked */
    struct metrics *sum;
    struct buffer text;
    metrics_read_done *done;
    void *context;
};

static void finish(struct reading *reading)
{
    reading->done(reading->context, &reading->text);
    buffer_free(&reading->text);
    metrics_destroy(reading->sum);
    free(reading);
}

static void drop(struct mail *mail)
{
    struct reading *reading = LIST_OWNER(mail, struct reading, mail);
    buffer_free(&reading->text);
    reading->text.failed = true;
    finish(reading);
}

static void answer(struct mail *mail)
{
    finish(LIST_OWNER(mail, struct reading, mail));
}

static void write_text(struct mail *mail)
{
    struct reading *reading = LIST_OWNER(mail, struct reading, mail);
    const char *version = reading->gateway->version;
    if (reading->as_json)
        metrics_append_json(reading->sum, version, &reading->text);
    else
        metrics_append_text(reading->sum, version, &reading->text);
    reading->mail.run = answer;
    mailbox_post(reading->asker->mailbox, &reading->mail);
}

static void add_worker(struct mail *mail)
{
    struct reading *reading = LIST_OWNER(mail, struct reading, mail);
    struct gateway *gateway = reading->gateway;
    struct worker *worker = gateway->workers[reading->next++];
    worker->metrics->worker_queued_bytes = atomic_load_explicit(&worker->queued_bytes, memory_order_relaxed);
    metrics_add(reading->sum, worker->metrics);
    reading->sum->worker_clients[worker->number] = worker->metrics->sse_clients;
    if (reading->next < gateway->worker_count) {
        mailbox_post(gateway->workers[reading->next]->mailbox, &reading->mail);
        return;
    }
    reading->mail.run = write_text;
    mailbox_post(gateway->mailbox, &reading->mail);
}

static void add_main(struct mail *mail)
{
    struct reading *reading = LIST_OWNER(mail, struct reading, mail);
    metrics_add(reading->sum, reading->gateway->metrics);
    reading->mail.run = add_worker;
    mailbox_post(reading->gateway->workers[0]->mailbox, &reading->mail);
}

static bool read_metrics(void *context, bool as_json, metrics_read_done *done, void *done_context)
{
    struct worker *worker = context;
    struct reading *reading = calloc(1, sizeof(*reading));
    struct metrics *sum = reading ? metrics_create() : NULL;
    if (!sum) {
        free(reading);
        return false;
    }
    *reading = (struct reading){ .mail = { .run = add_main, .drop = drop },
                                 .gateway = worker->gateway,
                                 .asker = worker,
                                 .as_json = as_json,
                                 .sum = sum,
                                 .done = done,
                                 .context = done_context };
    mailbox_post(worker->gateway->mailbox, &reading->mail);
    return true;
}

struct metrics_reader gateway_metrics_reader(struct worker *worker)
{
    return (struct metrics_reader){ .read = read_metrics, .context = worker };
}

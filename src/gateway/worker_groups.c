/* Consumer groups: what a worker's groups want of streams, and what they tell those of the other workers. */
#include <stdlib.h>
#include <string.h>

#include "gateway/worker.h"

static struct dispatcher_wish wish_of(const char *stream, size_t length)
{
    return (struct dispatcher_wish){
        .kind = TOPIC_STREAM, .interest = INTEREST_GROUPS, .name = stream, .length = length
    };
}

static bool watch(void *context, const char *stream, size_t length)
{
    const struct dispatcher_wish wish = wish_of(stream, length);
    return worker_want(context, &wish);
}

static void unwatch(void *context, const char *stream, size_t length)
{
    const struct dispatcher_wish wish = wish_of(stream, length);
    worker_leave(context, &wish);
}

/* ---- between workers ---- */

struct posted_news {
    struct mail mail;
    struct worker *worker; /* who is told */
    size_t cost;           /* bytes */
    struct group_news news;
    char bytes[]; /* ids, done, names */
};

static void drop_news(struct mail *mail)
{
    free(LIST_OWNER(mail, struct posted_news, mail));
}

static void run_news(struct mail *mail)
{
    struct posted_news *posted = LIST_OWNER(mail, struct posted_news, mail);
    groups_told(posted->worker->groups, &posted->news);
    atomic_fetch_sub_explicit(&posted->worker->queued_bytes, posted->cost, memory_order_relaxed);
    free(posted);
}

static const void *copy(char **to, const void *bytes, size_t length)
{
    char *at = *to;
    if (length > 0)
        memcpy(at, bytes, length);
    *to += length;
    return at;
}

static void post_news(struct worker *worker, const struct group_news *news)
{
    size_t ids_bytes = news->count * sizeof(*news->ids), done_bytes = news->count * sizeof(*news->done);
    size_t cost = sizeof(struct posted_news) + ids_bytes + done_bytes + news->stream_length +
                  news->group_length + news->consumer_length;
    size_t queued = atomic_load_explicit(&worker->queued_bytes, memory_order_relaxed);
    struct posted_news *posted = queued < WORKER_QUEUED_BYTES_MAX ? malloc(cost) : NULL;
    if (!posted)
        return; /* it finds out by itself, within a second */
    *posted = (struct posted_news){
        .mail = { .run = run_news, .drop = drop_news }, .worker = worker, .cost = cost, .news = *news
    };
    atomic_fetch_add_explicit(&worker->queued_bytes, cost, memory_order_relaxed);
    char *to = posted->bytes;
    posted->news.ids = copy(&to, news->ids, ids_bytes);
    posted->news.done = copy(&to, news->done, done_bytes);
    posted->news.stream = copy(&to, news->stream, news->stream_length);
    posted->news.group = copy(&to, news->group, news->group_length);
    posted->news.consumer = copy(&to, news->consumer, news->consumer_length);
    mailbox_post(worker->mailbox, &posted->mail);
}

static void tell(void *context, const struct group_news *news)
{
    const struct worker *worker = context;
    const struct gateway *gateway = worker->gateway;
    for (unsigned i = 0; i < gateway->worker_count; i++)
        if (gateway->workers[i] != worker)
            post_news(gateway->workers[i], news);
}

struct groups_source worker_groups_source(struct worker *worker)
{
    return (struct groups_source){ .watch = watch, .unwatch = unwatch, .tell = tell, .context = worker };
}

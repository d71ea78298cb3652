/*
 * GET, PUT and DELETE of a batch are done by the one worker that its id belongs to, so that a snapshot is
 * read from Redis once for the process, and each answer reflects the ones before it, whichever worker they
 * came to. (Viewers' snapshots are the own cache's: they must join what the own hub is told.)
 *
 *   asker's thread ──▶ owner's thread: snapshot cache ──▶ asker's thread: ready
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "gateway/worker.h"

/* A request on its way; in one thread at a time. */
struct batch_request {
    struct mail mail;
    struct list node; /* among the asker's */
    struct worker *asker;
    struct worker *owner;
    snapshot_ready *ready; /* NULL: called off; the asker's thread only */
    void *context;
    bool is_store;
    const char *value; /* behind the id */
    size_t id_length, value_length;
    enum snapshot_status status;
    struct snapshot snapshot; /* of `bytes` */
    char *bytes;
    char id[];
};

static struct worker *owner_of(struct worker *worker, const char *id, size_t length)
{
    const struct gateway *gateway = worker->gateway;
    return gateway->workers[snapshot_cache_owner(id, length, gateway->worker_count)];
}

static void drop_request(struct mail *mail)
{
    struct batch_request *request = LIST_OWNER(mail, struct batch_request, mail);
    free(request->bytes);
    free(request);
}

static void answer(struct mail *mail)
{
    struct batch_request *request = LIST_OWNER(mail, struct batch_request, mail);
    list_remove(&request->node);
    if (request->ready)
        request->ready(request->context, request->status,
                       request->status == SNAPSHOT_FOUND ? &request->snapshot : NULL);
    drop_request(mail);
}

static void post_answer(struct batch_request *request, enum snapshot_status status)
{
    request->status = status;
    request->mail.run = answer;
    mailbox_post(request->asker->mailbox, &request->mail);
}

static void on_ready(void *context, enum snapshot_status status, const struct snapshot *snapshot)
{
    struct batch_request *request = context;
    if (snapshot) {
        request->snapshot = *snapshot;
        request->bytes = malloc(snapshot->length + 1);
        if (request->bytes)
            memcpy(request->bytes, snapshot->bytes, snapshot->length);
        else
            status = SNAPSHOT_UNAVAILABLE;
        request->snapshot.bytes = request->bytes;
    }
    post_answer(request, status);
}

static void serve(struct mail *mail)
{
    struct batch_request *request = LIST_OWNER(mail, struct batch_request, mail);
    struct snapshot_cache *cache = request->owner->cache;
    uint64_t now_ms = clock_now_ms();
    bool is_taken =
        request->is_store
            ? snapshot_cache_store(cache, request->id, request->id_length, request->value,
                                   request->value_length, now_ms, on_ready, request)
            : snapshot_cache_read(cache, request->id, request->id_length, 0, true, now_ms, on_ready, request);
    if (!is_taken)
        post_answer(request, SNAPSHOT_UNAVAILABLE);
}

static bool post(struct worker *asker, struct worker *owner, const char *id, size_t id_length,
                 const char *value, size_t value_length, snapshot_ready *ready, void *context)
{
    struct batch_request *request = calloc(1, sizeof(*request) + id_length + value_length);
    if (!request)
        return false;
    request->mail = (struct mail){ .run = serve, .drop = drop_request };
    request->asker = asker;
    request->owner = owner;
    request->ready = ready;
    request->context = context;
    request->is_store = value != NULL;
    request->id_length = id_length;
    request->value_length = value_length;
    request->value = request->id + id_length;
    memcpy(request->id, id, id_length);
    if (value)
        memcpy(request->id + id_length, value, value_length);
    list_append(&asker->batch_requests, &request->node);
    mailbox_post(owner->mailbox, &request->mail);
    return true;
}

static bool read_batch(void *context, const char *id, size_t length, snapshot_ready *ready,
                       void *ready_context)
{
    struct worker *worker = context, *owner = owner_of(worker, id, length);
    if (owner != worker)
        return post(worker, owner, id, length, NULL, 0, ready, ready_context);
    return snapshot_cache_read(worker->cache, id, length, 0, true, clock_now_ms(), ready, ready_context);
}

static bool store_batch(void *context, const char *id, size_t length, const char *value, size_t value_length,
                        snapshot_ready *ready, void *ready_context)
{
    struct worker *worker = context, *owner = owner_of(worker, id, length);
    if (owner != worker)
        return post(worker, owner, id, length, value, value_length, ready, ready_context);
    return snapshot_cache_store(worker->cache, id, length, value, value_length, clock_now_ms(), ready,
                                ready_context);
}

static void cancel(void *context, const char *id, size_t length, void *ready_context)
{
    struct worker *worker = context;
    struct list *requests = &worker->batch_requests;
    if (owner_of(worker, id, length) == worker) {
        snapshot_cache_cancel(worker->cache, id, length, ready_context);
        return;
    }
    for (struct list *node = requests->next; node != requests; node = node->next) {
        struct batch_request *request = LIST_OWNER(node, struct batch_request, node);
        if (request->context == ready_context)
            request->ready = NULL;
    }
}

/* ---- DELETE ---- */

struct batch_drop {
    struct mail mail;
    struct worker *owner;
    size_t length;
    char id[];
};

static void discard(struct mail *mail)
{
    free(LIST_OWNER(mail, struct batch_drop, mail));
}

static void drop_at_owner(struct mail *mail)
{
    struct batch_drop *drop = LIST_OWNER(mail, struct batch_drop, mail);
    snapshot_cache_drop(drop->owner->cache, drop->id, drop->length);
    free(drop);
}

/* In the main thread: all the others, and what is kept for those who join. Redis tells of a key that was
 * there. */
static void drop_everywhere(struct mail *mail)
{
    struct batch_drop *drop = LIST_OWNER(mail, struct batch_drop, mail);
    struct dispatcher *dispatcher = drop->owner->gateway->dispatcher;
    dispatcher_invalidated(dispatcher, drop->id, drop->length);
    dispatcher_turn_end(dispatcher);
    free(drop);
}

static void post_drop(struct mailbox *mailbox, struct worker *owner, void (*run)(struct mail *mail),
                      const char *id, size_t length)
{
    struct batch_drop *drop = malloc(sizeof(*drop) + length);
    if (!drop)
        return; /* Redis tells the owner, a moment later */
    *drop = (struct batch_drop){ .mail = { .run = run, .drop = discard }, .owner = owner, .length = length };
    memcpy(drop->id, id, length);
    mailbox_post(mailbox, &drop->mail);
}

static void drop_batch(void *context, const char *id, size_t length)
{
    struct worker *worker = context, *owner = owner_of(worker, id, length);
    snapshot_cache_drop(worker->cache, id, length);
    if (owner != worker)
        post_drop(owner->mailbox, owner, drop_at_owner, id, length);
    if (!worker->is_local)
        post_drop(worker->gateway->mailbox, worker, drop_everywhere, id, length);
}

struct batch_store worker_batch_store(struct worker *worker)
{
    list_init(&worker->batch_requests);
    return (struct batch_store){
        .read = read_batch, .store = store_batch, .drop = drop_batch, .cancel = cancel, .context = worker
    };
}

/*
 * The keys of a JWKS, for this worker's tokens: the main thread fetches them for all.
 *
 *   asker's thread ──▶ main thread: jwks_fetcher ──▶ asker's thread: done
 */
#include <stdlib.h>
#include <string.h>

#include "access/jwks_fetcher.h"
#include "base/buffer.h"
#include "gateway/shared_access.h"
#include "gateway/worker.h"

/* In one thread at a time. Each JWKS of a worker has one under way. */
struct keys_request {
    struct mail mail;
    struct worker *worker;
    struct jwks_taker taker;
    access_fetched *done;
    void *context;
    struct buffer jwks; /* empty: it cannot be had */
    uint64_t fetched_ms;
    char url[];
};

static void hand_over(struct mail *mail)
{
    struct keys_request *request = LIST_OWNER(mail, struct keys_request, mail);
    bool is_there = request->jwks.size > 0 && !request->jwks.failed;
    struct text jwks = is_there ? text_of(request->jwks.data, request->jwks.size) : (struct text){ 0 };
    request->done(request->context, jwks, request->fetched_ms);
    buffer_free(&request->jwks);
    free(request);
}

static void on_taken(struct jwks_taker *taker, struct text jwks, uint64_t fetched_ms)
{
    struct keys_request *request = LIST_OWNER(taker, struct keys_request, taker);
    if (jwks.bytes)
        buffer_append(&request->jwks, jwks.bytes, jwks.length);
    request->fetched_ms = fetched_ms;
    request->mail.run = hand_over;
    mailbox_post(request->worker->mailbox, &request->mail);
}

static void get(struct mail *mail)
{
    struct keys_request *request = LIST_OWNER(mail, struct keys_request, mail);
    struct jwks_fetcher *fetcher = shared_access_fetcher(request->worker->gateway->shared_access);
    jwks_fetcher_get(fetcher, request->url, &request->taker);
}

bool worker_fetch_keys(void *context, const char *url, access_fetched *done, void *done_context)
{
    struct worker *worker = context;
    size_t length = strlen(url);
    struct keys_request *request = calloc(1, sizeof(*request) + length + 1);
    if (!request)
        return false;
    /* At the end the answer is dropped behind the access, which has let go of it: then only memory is freed.
     */
    request->mail = (struct mail){ .run = get, .drop = hand_over };
    request->worker = worker;
    request->taker.done = on_taken;
    request->done = done;
    request->context = done_context;
    memcpy(request->url, url, length);
    mailbox_post(worker->gateway->mailbox, &request->mail);
    return true;
}

#include "gateway/shared_access.h"

#include <stdlib.h>

#include "outgoing/http_client.h"

#define ANSWER_BYTES_MAX (64u << 10)
#define JWKS_TIMEOUT_MS 5000
#define JWKS_BYTES_MAX (256u << 10)
#define JWKS_REDIRECTS_MAX 3

struct shared_access {
    struct http_client *application; /* these two: NULL if nobody is to be asked, and while being destroyed */
    struct http_client *keys;
    struct authorizer *authorizer; /* NULL: no application is asked */
    struct jwks_fetcher *fetcher;
};

/* ---- the application ---- */

static bool post(void *context, const char *url, const char *const *headers, size_t header_count,
                 const char *body, size_t length, authorizer_posted *done, void *done_context)
{
    const struct shared_access *shared = context;
    return shared->application && http_client_post(shared->application, url, headers, header_count, body,
                                                   length, done, done_context);
}

static bool build_authorizer(struct shared_access *shared, struct event_base *base,
                             const struct settings *settings, struct metrics *metrics, struct log *log)
{
    const struct http_client_options http_options = {
        .transfers_max = settings->access_authorize_concurrency_max,
        .timeout_ms = settings->access_authorize_timeout_ms,
        .response_bytes_max = ANSWER_BYTES_MAX,
    };
    const struct authorizer_options options = {
        .url = settings->access_authorize_url,
        .timeout_ms = settings->access_authorize_timeout_ms,
        .ttl_ms = settings->access_authorize_ttl_ms,
        .refusal_ttl_ms = settings->access_authorize_refusal_ttl_ms,
        .hold_ms = settings->access_authorize_hold_ms,
        .concurrency_max = settings->access_authorize_concurrency_max,
        .entries_max = settings->access_authorize_entries_max,
        .waiting_max = settings->access_authorize_entries_max,
    };
    const struct authorizer_client client = { .post = post, .context = shared };
    if (!*settings->access_authorize_url)
        return true;
    shared->application = http_client_create(base, &http_options, log);
    shared->authorizer = authorizer_create(&options, &client, metrics, log);
    return shared->application && shared->authorizer;
}

/* ---- keys ---- */

static bool get(void *context, const char *url, jwks_got *done, void *done_context)
{
    const struct shared_access *shared = context;
    return shared->keys && http_client_get(shared->keys, url, NULL, 0, done, done_context);
}

static bool build_fetcher(struct shared_access *shared, struct event_base *base,
                          const struct settings *settings, struct metrics *metrics, struct log *log)
{
    const struct http_client_options options = { .transfers_max = JWKS_ADDRESSES_MAX,
                                                 .timeout_ms = JWKS_TIMEOUT_MS,
                                                 .response_bytes_max = JWKS_BYTES_MAX,
                                                 .redirects_max = JWKS_REDIRECTS_MAX };
    const struct jwks_fetcher_client client = { .get = get, .context = shared };
    shared->fetcher = jwks_fetcher_create(&client, metrics, log);
    if (*settings->jwt_jwks_url)
        shared->keys = http_client_create(base, &options, log);
    return shared->fetcher && (shared->keys || !*settings->jwt_jwks_url);
}

/* ---- life ---- */

struct shared_access *shared_access_create(struct event_base *base, const struct settings *settings,
                                           struct metrics *metrics, struct log *log)
{
    struct shared_access *shared = calloc(1, sizeof(*shared));
    if (!shared)
        return NULL;
    if (build_authorizer(shared, base, settings, metrics, log) &&
        build_fetcher(shared, base, settings, metrics, log))
        return shared;
    shared_access_destroy(shared);
    return NULL;
}

void shared_access_destroy(struct shared_access *shared)
{
    if (!shared)
        return;
    /* What answers of theirs cause to be asked anew finds the pointers gone and fails. */
    struct http_client *application = shared->application, *keys = shared->keys;
    shared->application = shared->keys = NULL;
    http_client_destroy(application);
    http_client_destroy(keys);
    authorizer_destroy(shared->authorizer);
    jwks_fetcher_destroy(shared->fetcher);
    free(shared);
}

struct authorizer *shared_access_authorizer(struct shared_access *shared)
{
    return shared->authorizer;
}

struct jwks_fetcher *shared_access_fetcher(struct shared_access *shared)
{
    return shared->fetcher;
}

void shared_access_forget(struct shared_access *shared, struct text subject)
{
    if (shared->authorizer)
        authorizer_forget(shared->authorizer, subject);
}

#include "gateway/gateway_access.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/access_sources.h"
#include "hub/lease.h"
#include "outgoing/http_client.h"

#define JWKS_TIMEOUT_MS 5000
#define JWKS_BYTES_MAX (256u << 10)
#define JWKS_TRANSFERS_MAX 2 /* the one that is wanted, and one that a reload has made stale */
#define JWKS_REDIRECTS_MAX 3

struct gateway_access {
    struct log *log;
    struct http_client *http; /* NULL: nothing is fetched */
    struct access_sources *sources;
    struct access *access;
};

static struct access_options options_of(const struct settings *settings)
{
    return (struct access_options){
        .open = settings_access_is_open(settings),
        .jwt_secret = settings->jwt_secret,
        .jwt_key_file = settings->jwt_key_file,
        .jwt_jwks_url = settings->jwt_jwks_url,
        .jwt_audience = settings->jwt_audience,
        .jwt_issuer = settings->jwt_issuer,
        .jwt_cookie = settings->jwt_cookie,
        .jwt_leeway_ms = settings->jwt_leeway_ms,
        .jwks_refresh_ms = settings->jwks_refresh_ms,
        .machine_keys_file = settings->keys_file,
    };
}

/* --- fetching --- */

/* The client's answer, and whom it is for. */
struct fetch {
    access_fetched *done;
    void *context;
};

static void on_answer(void *context, long status, const char *body, size_t body_length, const char *problem)
{
    (void)problem; /* the status 0 says enough */
    struct fetch *fetch = context;
    fetch->done(fetch->context, status, body, body_length);
    free(fetch);
}

static bool fetch(void *context, const char *url, access_fetched *done, void *done_context)
{
    struct gateway_access *access = context;
    struct fetch *fetch = access->http ? malloc(sizeof(*fetch)) : NULL;
    if (!fetch)
        return false;
    *fetch = (struct fetch){ .done = done, .context = done_context };
    if (http_client_get(access->http, url, NULL, 0, on_answer, fetch))
        return true;
    free(fetch);
    return false;
}

/* --- life --- */

struct gateway_access *gateway_access_create(struct event_base *base, const struct settings *settings,
                                             struct commands *const *commands, struct metrics *metrics,
                                             struct log *log, char **ret_problem)
{
    const struct http_client_options http_options = { .transfers_max = JWKS_TRANSFERS_MAX,
                                                      .timeout_ms = JWKS_TIMEOUT_MS,
                                                      .response_bytes_max = JWKS_BYTES_MAX,
                                                      .redirects_max = JWKS_REDIRECTS_MAX };
    const struct access_options options = options_of(settings);
    *ret_problem = NULL;
    struct gateway_access *access = calloc(1, sizeof(*access));
    if (!access)
        return NULL;
    access->log = log;
    access->sources = access_sources_create(base, settings, commands, metrics, log);
    struct access_bindings bindings = { .fetch = fetch, .fetch_context = access };
    if (*settings->jwt_jwks_url)
        access->http = http_client_create(base, &http_options, log);
    if (access->sources)
        access_sources_bind(access->sources, &bindings);
    if (access->sources && (access->http || !*settings->jwt_jwks_url))
        access->access = access_create(base, &options, &bindings, metrics, log, ret_problem);
    if (access->access)
        return access;
    gateway_access_destroy(access);
    return NULL;
}

void gateway_access_stop(struct gateway_access *access)
{
    struct http_client *http = access ? access->http : NULL;
    if (access)
        access->http = NULL;
    http_client_destroy(http);
    if (access && access->sources)
        access_sources_stop(access->sources);
}

void gateway_access_destroy(struct gateway_access *access)
{
    if (!access)
        return;
    gateway_access_stop(access);
    access_destroy(access->access);
    access_sources_destroy(access->sources);
    free(access);
}

struct access *gateway_access_get(struct gateway_access *access)
{
    return access->access;
}

struct tickets *gateway_access_tickets(struct gateway_access *access)
{
    return access_sources_tickets(access->sources);
}

void gateway_access_forget(struct gateway_access *access, struct text subject)
{
    access_sources_forget(access->sources, subject);
}

/* --- reload --- */

static bool may_stay(void *context, const struct lease *lease, const struct topic_name *name)
{
    static const enum access_topic_kind kinds[TOPIC_KINDS] = {
        [TOPIC_CHANNEL] = ACCESS_CHANNEL, [TOPIC_PATTERN] = ACCESS_GLOB, [TOPIC_STREAM] = ACCESS_STREAM
    };
    const struct gateway_access *access = context;
    const struct access_topic topic = { .kind = kinds[name->kind],
                                        .name = text_of(name->name, name->length) };
    return access_still_covers(access->access, lease->credential,
                               lease->stream_length ? ACCESS_CONSUME : ACCESS_SUBSCRIBE, &topic);
}

void gateway_access_apply(struct gateway_access *access, const struct settings *settings, struct hub *hub)
{
    const struct access_options options = options_of(settings);
    char *problem = NULL;
    if (access_set_options(access->access, &options, &problem)) {
        size_t ended = hub_review(hub, may_stay, "revoked", access);
        if (ended)
            LOG_INFO(access->log, "streams ended: their key is gone or may no longer",
                     LOG_NUMBER("streams", ended));
    } else {
        LOG_ERROR(access->log, "keys not read anew; the old ones stay",
                  LOG_TEXT("problem", problem ? problem : "out of memory"));
    }
    free(problem);
    access_sources_apply(access->sources, settings);
}

bool gateway_access_append_summary(const struct settings *settings, struct buffer *out)
{
    const struct access_options options = options_of(settings);
    char *problem = NULL;
    struct access *access = access_create(NULL, &options, NULL, NULL, NULL, &problem);
    if (access)
        access_append_summary(access, out);
    else
        buffer_printf(out, "%s\n", problem ? problem : "out of memory");
    if (access && *settings->jwt_jwks_url)
        buffer_printf(out, "… or with a key of %s\n", settings->jwt_jwks_url);
    access_destroy(access);
    free(problem);
    return access != NULL;
}

#include "gateway/gateway_access.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/redis_tickets.h"
#include "hub/lease.h"

struct gateway_access {
    struct log *log;
    struct redis_tickets *tickets;
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

/* --- life --- */

struct gateway_access *gateway_access_create(struct event_base *base, const struct settings *settings,
                                             struct commands *const *commands,
                                             const struct access_bindings *shared, struct metrics *metrics,
                                             struct log *log, char **ret_problem)
{
    const struct access_options options = options_of(settings);
    struct access_bindings bindings = *shared;
    *ret_problem = NULL;
    struct gateway_access *access = calloc(1, sizeof(*access));
    if (!access)
        return NULL;
    access->log = log;
    access->tickets = redis_tickets_create(settings, commands, metrics, log);
    if (access->tickets) {
        bindings.ticket = tickets_source(redis_tickets_get(access->tickets));
        access->access = access_create(base, &options, &bindings, log, ret_problem);
    }
    if (access->access)
        return access;
    gateway_access_destroy(access);
    return NULL;
}

void gateway_access_stop(struct gateway_access *access)
{
    if (access)
        access_stop(access->access);
}

void gateway_access_destroy(struct gateway_access *access)
{
    if (!access)
        return;
    access_destroy(access->access);
    redis_tickets_destroy(access->tickets);
    free(access);
}

struct access *gateway_access_get(struct gateway_access *access)
{
    return access->access;
}

struct tickets *gateway_access_tickets(struct gateway_access *access)
{
    return redis_tickets_get(access->tickets);
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
    redis_tickets_apply(access->tickets, settings);
}

bool gateway_access_append_summary(const struct settings *settings, struct buffer *out)
{
    const struct access_options options = options_of(settings);
    char *problem = NULL;
    struct access *access = access_create(NULL, &options, NULL, NULL, &problem);
    if (access && !options.open && *settings->jwt_jwks_url)
        buffer_append_text(out,
                           "a token may what its claim \"sluice\" says, signed with a key of jwt_jwks_url\n");
    if (access && !options.open && *settings->access_authorize_url)
        buffer_append_text(out, "a session may what the application at access_authorize_url answers\n");
    if (access)
        access_append_summary(access, out);
    else
        buffer_printf(out, "%s\n", problem ? problem : "out of memory");
    access_destroy(access);
    free(problem);
    return access != NULL;
}

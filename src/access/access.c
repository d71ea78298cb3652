#include "access/access.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/access_state.h"
#include "base/clock.h"

/* --- the settings --- */

static void clear_config(struct access_config *config)
{
    jwks_destroy(config->jwks);
    token_cache_destroy(config->tokens);
    key_ring_destroy(config->keys);
    machine_keys_destroy(config->machine_keys);
    free(config->cookie);
    free(config->audience);
    free(config->issuer);
}

__attribute__((format(printf, 2, 3))) static bool refuse(char **ret_problem, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(ret_problem, format, arguments) < 0)
        *ret_problem = NULL;
    va_end(arguments);
    return false;
}

static bool read_keys(struct access_config *config, const struct access_options *options, char **ret_problem)
{
    char problem[MACHINE_KEYS_PROBLEM_MAX];
    if (*options->jwt_secret &&
        !key_ring_add_secret(config->keys, text_of(options->jwt_secret, strlen(options->jwt_secret)),
                             problem))
        return refuse(ret_problem, "jwt_secret: %s", problem);
    if (*options->jwt_key_file && !key_ring_add_file(config->keys, options->jwt_key_file, problem))
        return refuse(ret_problem, "jwt_key_file %s: %s", options->jwt_key_file, problem);
    if (!*options->machine_keys_file)
        return true;
    config->machine_keys = machine_keys_read(options->machine_keys_file, problem);
    return config->machine_keys ||
           refuse(ret_problem, "keys_file %s: %s", options->machine_keys_file, problem);
}

/* Of --check nothing is fetched: it has no bindings. */
static bool make_jwks(const struct access *access, struct access_config *config,
                      const struct access_options *options)
{
    if (!*options->jwt_jwks_url || !access->bindings.fetch)
        return true;
    const struct jwks_options jwks_options = {
        .url = options->jwt_jwks_url,
        .refresh_ms = options->jwks_refresh_ms,
        .base = access->base,
        .bindings = &access->bindings,
        .log = access->log,
    };
    config->jwks = jwks_create(&jwks_options);
    return config->jwks != NULL;
}

static bool make_config(const struct access *access, const struct access_options *options,
                        struct access_config *ret_config, char **ret_problem)
{
    struct access_config config = {
        .open = options->open,
        .cookie = strdup(options->jwt_cookie),
        .audience = strdup(options->jwt_audience),
        .issuer = strdup(options->jwt_issuer),
        .keys = key_ring_create(),
        .tokens = token_cache_create(),
    };
    config.rules = (struct token_rules){ .audience = config.audience,
                                         .issuer = config.issuer,
                                         .leeway_ms = options->jwt_leeway_ms };
    bool has_memory = config.cookie && config.audience && config.issuer && config.keys && config.tokens;
    bool is_good =
        has_memory && read_keys(&config, options, ret_problem) && make_jwks(access, &config, options);
    if (is_good)
        *ret_config = config;
    else
        clear_config(&config);
    if (!is_good && !*ret_problem)
        *ret_problem = strdup("out of memory");
    return is_good;
}

/* --- life --- */

struct access *access_create(struct event_base *base, const struct access_options *options,
                             const struct access_bindings *bindings, struct log *log, char **ret_problem)
{
    *ret_problem = NULL;
    struct access *access = calloc(1, sizeof(*access));
    if (!access)
        return NULL;
    access->base = base;
    if (bindings)
        access->bindings = *bindings;
    access->log = log;
    list_init(&access->checks);
    if (make_config(access, options, &access->config, ret_problem))
        return access;
    free(access);
    return NULL;
}

void access_destroy(struct access *access)
{
    if (!access)
        return;
    access_stop(access);
    clear_config(&access->config);
    free(access);
}

bool access_set_options(struct access *access, const struct access_options *options, char **ret_problem)
{
    struct access_config fresh;
    *ret_problem = NULL;
    if (!make_config(access, options, &fresh, ret_problem))
        return false;
    struct access_config old = access->config;
    if (fresh.jwks && old.jwks)
        jwks_inherit(fresh.jwks, old.jwks);
    access->config = fresh; /* before the old is gone: those who waited for its JWKS look at the new one */
    clear_config(&old);
    return true;
}

bool access_is_open(const struct access *access)
{
    return access->config.open;
}

bool access_still_covers(const struct access *access, uint64_t credential, enum access_action action,
                         const struct access_topic *topic)
{
    if (access->config.open || credential == 0)
        return true;
    const struct machine_keys *keys = access->config.machine_keys;
    const struct grant *grant = keys ? machine_keys_by_credential(keys, credential) : NULL;
    uint64_t expires_ms = grant ? grant_expires_wall_ms(grant) : 0;
    return grant && (!expires_ms || clock_wall_ms() < expires_ms) && grant_covers(grant, action, topic);
}

void access_append_summary(const struct access *access, struct buffer *out)
{
    const struct access_config *config = &access->config;
    if (config->open) {
        buffer_append_text(out, "everybody who can connect may read, publish and administrate\n");
        return;
    }
    if (key_ring_count(config->keys)) {
        buffer_append_text(out, "a token may what its claim \"sluice\" says, signed with ");
        key_ring_append_summary(config->keys, out);
        buffer_append_byte(out, '\n');
    }
    if (config->machine_keys)
        machine_keys_append_summary(config->machine_keys, out);
    buffer_append_text(out, "nobody else may anything but GET /healthz and /readyz\n");
}

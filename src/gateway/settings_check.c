/* What the settings must be to make sense, alone and together. */
#include "gateway/settings_table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"
#include "redis/redis_url.h"

/* The host of `host:port` or `[v6]:port`, without brackets; false when the text is neither. An empty host is
 * every address. */
static bool split_host_port(const char *text, const char **ret_host, size_t *ret_host_length)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (!colon || !parse_unsigned(colon + 1, strlen(colon + 1), &port) || port > UINT16_MAX)
        return false;
    *ret_host = text;
    *ret_host_length = (size_t)(colon - text);
    if (*ret_host_length >= 2 && text[0] == '[' && colon[-1] == ']') {
        (*ret_host)++;
        *ret_host_length -= 2;
        return true;
    }
    return memchr(text, ':', *ret_host_length) == NULL && memchr(text, '/', *ret_host_length) == NULL;
}

bool settings_check_listen(const char *text, struct buffer *why)
{
    const char *host;
    size_t host_length;
    if (strncmp(text, "unix:", 5) == 0) {
        if (text[5] == '/' && strlen(text + 5) < 108)
            return true;
        buffer_append_text(
            why, "a unix socket needs an absolute path of at most 107 bytes, such as unix:/run/sluice.sock");
        return false;
    }
    if (split_host_port(text, &host, &host_length))
        return true;
    buffer_append_text(why, "write host:port such as 127.0.0.1:8000, [::1]:8000, :8000, or unix:/path");
    return false;
}

static bool is_loopback(const char *listen)
{
    const char *host;
    size_t host_length;
    if (strncmp(listen, "unix:", 5) == 0)
        return true;
    char name[INET6_ADDRSTRLEN];
    if (!split_host_port(listen, &host, &host_length) || host_length >= sizeof(name))
        return false;
    memcpy(name, host, host_length);
    name[host_length] = '\0';
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, name, &four) == 1)
        return (ntohl(four.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, name, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six);
    return strcmp(name, "localhost") == 0;
}

bool settings_check_redis_url(const char *text, struct buffer *why)
{
    struct redis_url url = { 0 };
    const char *problem = NULL;
    if (redis_url_parse(text, &url, &problem)) {
        redis_url_clear(&url);
        return true;
    }
    buffer_append_text(why, problem);
    return false;
}

bool settings_check_origin_url(const char *text, struct buffer *why)
{
    if (!*text)
        return true;
    const char *rest = strncmp(text, "http://", 7) == 0    ? text + 7
                       : strncmp(text, "https://", 8) == 0 ? text + 8
                                                           : NULL;
    if (!rest || !*rest || *rest == '/') {
        buffer_append_text(why, "it must begin with http:// or https:// and a host");
        return false;
    }
    const char *path = strchr(rest, '/');
    if (!path || !strstr(path, "{id}")) {
        buffer_append_text(
            why, "its path must say {id} where the batch's id goes, such as http://app:3000/batches/{id}");
        return false;
    }
    return settings_check_authority(text, why);
}

bool settings_check_readable(const char *text, struct buffer *why)
{
    if (!*text || access(text, R_OK) == 0)
        return true;
    buffer_printf(why, "it cannot be read: %s", strerror(errno));
    return false;
}

/* A list of names: none is empty, none has a space at its ends, which would be meant by nobody. */
bool settings_check_names(const char *text, struct buffer *why)
{
    for (const char *name = text; *text;) {
        size_t length = strcspn(name, ",");
        if (length == 0 || name[0] == ' ' || name[length - 1] == ' ') {
            buffer_append_text(why,
                               length ? "leave out the space around the names" : "one of the names is empty");
            return false;
        }
        if (!name[length])
            break;
        name += length + 1;
    }
    return true;
}

static const char *origin_of(const struct settings *settings, const char *name)
{
    return setting_origin(settings, settings_find(name, strlen(name)));
}

/* The origin of the one that is not a default, so that the message points at what somebody wrote. */
static const char *origin_of_either(const struct settings *settings, const char *first, const char *second)
{
    const char *origin = origin_of(settings, first);
    return strcmp(origin, "default") ? origin : origin_of(settings, second);
}

static void check_order(const struct settings *settings, const char *smaller, uint64_t small_value,
                        const char *larger, uint64_t large_value, struct settings_problems *problems)
{
    if (small_value <= large_value)
        return;
    struct buffer values = { 0 };
    setting_append_value(settings, settings_find(smaller, strlen(smaller)), &values);
    buffer_printf(&values, ") is more than %s (", larger);
    setting_append_value(settings, settings_find(larger, strlen(larger)), &values);
    settings_problem(problems, origin_of_either(settings, smaller, larger),
                     "%s (%.*s); lower the one or raise the other", smaller, (int)values.size,
                     values.data ? values.data : "");
    buffer_free(&values);
}

void settings_check_together(const struct settings *settings, struct settings_problems *problems)
{
    check_order(settings, "retry_min", settings->retry_min_ms, "retry_max", settings->retry_max_ms, problems);
    check_order(settings, "snapshot_ttl_moving", settings->snapshot_ttl_moving_ms, "snapshot_ttl",
                settings->snapshot_ttl_ms, problems);
    check_order(settings, "snapshot_ttl", settings->snapshot_ttl_ms, "snapshot_ttl_idle",
                settings->snapshot_ttl_idle_ms, problems);
    settings_check_sinks_together(settings, problems);
    bool admin_is_reachable = *settings->admin_listen && !is_loopback(settings->admin_listen);
    if (is_loopback(settings->listen) && admin_is_reachable)
        settings_check_access_together(settings, true, "admin_listen", settings->admin_listen, problems);
    else
        settings_check_access_together(settings, !is_loopback(settings->listen), "listen", settings->listen,
                                       problems);
}

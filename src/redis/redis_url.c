#include "redis/redis_url.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/buffer.h"
#include "base/parse.h"

#define DEFAULT_PORT 6379
#define DEFAULT_SENTINEL_PORT 26379
#define DATABASE_MAX 1000000
#define HOST_LENGTH_MAX 255

static const char memory_is_short[] = "memory is short";

/* A piece of the text. `start` NULL: not there at all, which differs from empty. */
struct span {
    const char *start;
    size_t length;
};

static struct span span_between(const char *start, const char *end)
{
    return (struct span){ start, (size_t)(end - start) };
}

/* NULL stays NULL. The text must not hide a NUL, which would cut a password short unseen. */
static const char *percent_decode(struct span text, char **ret_decoded)
{
    *ret_decoded = NULL;
    if (!text.start)
        return NULL;
    char *decoded = malloc(text.length + 1);
    if (!decoded)
        return memory_is_short;
    size_t size = 0;
    for (size_t at = 0; at < text.length; at++) {
        char byte = text.start[at];
        if (byte == '%') {
            int high = at + 2 < text.length ? parse_hex_digit(text.start[at + 1]) : -1;
            int low = high >= 0 ? parse_hex_digit(text.start[at + 2]) : -1;
            if (low < 0 || high * 16 + low == 0) {
                free(decoded);
                return "a '%' is not followed by two hexadecimal digits (write a literal % as %25)";
            }
            byte = (char)(high * 16 + low);
            at += 2;
        }
        decoded[size++] = byte;
    }
    decoded[size] = '\0';
    *ret_decoded = decoded;
    return NULL;
}

static const char *parse_database(struct span text, unsigned *ret_database)
{
    uint64_t value = 0;
    if (!parse_unsigned(text.start, text.length, &value) || value > DATABASE_MAX)
        return "the database is not a number";
    *ret_database = (unsigned)value;
    return NULL;
}

static bool parameter_is(struct span parameter, const char *name, struct span *ret_value)
{
    size_t length = strlen(name);
    if (parameter.length <= length || memcmp(parameter.start, name, length) != 0 ||
        parameter.start[length] != '=')
        return false;
    *ret_value = span_between(parameter.start + length + 1, parameter.start + parameter.length);
    return true;
}

static const char *parse_parameter(struct span parameter, struct redis_url *url)
{
    struct span value;
    if (parameter_is(parameter, "db", &value))
        return parse_database(value, &url->database);
    if (!url->master_name)
        return "the only query parameter is db, as in ?db=0";
    if (parameter_is(parameter, "sentinel_user", &value) && !url->sentinel_user)
        return percent_decode(value, &url->sentinel_user);
    if (parameter_is(parameter, "sentinel_password", &value) && !url->sentinel_password)
        return percent_decode(value, &url->sentinel_password);
    return "the query parameters are db, sentinel_user and sentinel_password, each once";
}

/* `?db=2&…`; `text` starts behind the question mark. */
static const char *parse_query(struct span text, struct redis_url *url)
{
    const char *end = text.start + text.length;
    const char *problem = NULL;
    for (const char *at = text.start; at < end && !problem;) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        problem = parse_parameter(span_between(at, stop ? stop : end), url);
        at = stop ? stop + 1 : end;
    }
    return problem;
}

static const char *parse_credentials(struct span text, struct redis_url *url)
{
    const char *colon = memchr(text.start, ':', text.length);
    const char *end = text.start + text.length;
    struct span user = span_between(text.start, colon ? colon : end);
    struct span password = colon ? span_between(colon + 1, end) : (struct span){ 0 };
    if (user.length == 0)
        user.start = NULL;
    const char *problem = percent_decode(user, &url->user);
    return problem ? problem : percent_decode(password, &url->password);
}

static const char *copy_host(struct span host, char **ret_host)
{
    if (host.length == 0)
        return "the host is missing";
    if (host.length > HOST_LENGTH_MAX)
        return "the host is too long";
    for (size_t at = 0; at < host.length; at++)
        if ((unsigned char)host.start[at] <= ' ' || host.start[at] == 0x7f)
            return "the host has a space or a control character in it";
    *ret_host = strndup(host.start, host.length);
    return *ret_host ? NULL : memory_is_short;
}

/* The port stays what it was when none is named. */
static const char *parse_host_and_port(struct span text, char **ret_host, uint16_t *ret_port)
{
    const char *end = text.start + text.length;
    const char *after_host = NULL;
    struct span host;
    if (text.length > 0 && text.start[0] == '[') {
        const char *bracket = memchr(text.start, ']', text.length);
        if (!bracket)
            return "the bracket of an IPv6 address is not closed";
        host = span_between(text.start + 1, bracket);
        after_host = bracket + 1;
        if (after_host < end && *after_host != ':')
            return "only a port may follow an IPv6 address in brackets";
    } else {
        const char *colon = memchr(text.start, ':', text.length);
        host = span_between(text.start, colon ? colon : end);
        after_host = host.start + host.length;
        if (colon && memchr(colon + 1, ':', (size_t)(end - colon - 1)))
            return "an IPv6 address stands in brackets, as in redis://[::1]:6379";
    }

    if (after_host < end) {
        uint64_t port = 0;
        if (!parse_unsigned(after_host + 1, (size_t)(end - after_host - 1), &port) || port == 0 ||
            port > UINT16_MAX)
            return "the port is not a number from 1 to 65535 (write special characters of a password as %XX)";
        *ret_port = (uint16_t)port;
    }
    return copy_host(host, ret_host);
}

/* `host:port/db?db=`, with credentials before an @. */
static const char *parse_network(const char *rest, const char *end, struct redis_url *url)
{
    const char *query = memchr(rest, '?', (size_t)(end - rest));
    const char *path_end = query ? query : end;
    const char *slash = memchr(rest, '/', (size_t)(path_end - rest));
    const char *authority_end = slash ? slash : path_end;

    /* The last @, so that one inside the password does no harm. */
    const char *at = memrchr(rest, '@', (size_t)(authority_end - rest));
    const char *problem = NULL;
    if (at)
        problem = parse_credentials(span_between(rest, at), url);
    url->port = DEFAULT_PORT;
    if (!problem)
        problem =
            parse_host_and_port(span_between(at ? at + 1 : rest, authority_end), &url->host, &url->port);
    if (!problem && slash && slash + 1 < path_end)
        problem = parse_database(span_between(slash + 1, path_end), &url->database);
    if (!problem && query)
        problem = parse_query(span_between(query + 1, end), url);
    return problem;
}

/* `host:port,host:port`. */
static const char *parse_sentinels(struct span text, struct redis_url *url)
{
    const char *end = text.start + text.length;
    const char *problem = NULL;
    for (const char *at = text.start; at <= end && !problem;) {
        const char *stop = memchr(at, ',', (size_t)(end - at));
        if (url->sentinel_count == REDIS_SENTINELS_MAX)
            return "more Sentinels than 16";
        struct redis_host *sentinel = &url->sentinels[url->sentinel_count++];
        sentinel->port = DEFAULT_SENTINEL_PORT;
        problem = parse_host_and_port(span_between(at, stop ? stop : end), &sentinel->host, &sentinel->port);
        at = stop ? stop + 1 : end + 1;
    }
    return problem;
}

/* `host:port,…/master/db?db=&sentinel_…=`, with the credentials for the master before an @. */
static const char *parse_with_sentinels(const char *rest, const char *end, struct redis_url *url)
{
    const char *query = memchr(rest, '?', (size_t)(end - rest));
    const char *path_end = query ? query : end;
    const char *slash = memchr(rest, '/', (size_t)(path_end - rest));
    if (!slash || slash + 1 == path_end)
        return "the name of the master is missing, as in redis+sentinel://host:26379/mymaster";
    const char *second = memchr(slash + 1, '/', (size_t)(path_end - slash - 1));
    struct span name = span_between(slash + 1, second ? second : path_end);
    if (name.length == 0)
        return "the name of the master is missing, as in redis+sentinel://host:26379/mymaster";
    const char *at = memrchr(rest, '@', (size_t)(slash - rest));
    const char *problem = NULL;
    if (at)
        problem = parse_credentials(span_between(rest, at), url);
    if (!problem)
        problem = parse_sentinels(span_between(at ? at + 1 : rest, slash), url);
    if (!problem)
        problem = percent_decode(name, &url->master_name);
    if (!problem && second && second + 1 < path_end)
        problem = parse_database(span_between(second + 1, path_end), &url->database);
    if (!problem && query)
        problem = parse_query(span_between(query + 1, end), url);
    return problem;
}

/* `/path?db=`, with credentials before an @. */
static const char *parse_unix(const char *rest, const char *end, struct redis_url *url)
{
    url->is_unix = true;
    const char *query = memchr(rest, '?', (size_t)(end - rest));
    const char *path_end = query ? query : end;
    const char *slash = memchr(rest, '/', (size_t)(path_end - rest));
    if (!slash)
        return "the path of the socket is missing, as in unix:///run/redis.sock";
    const char *problem = NULL;
    if (slash > rest) {
        if (slash[-1] != '@')
            return "the path of a unix socket starts with three slashes, as in unix:///run/redis.sock";
        problem = parse_credentials(span_between(rest, slash - 1), url);
    }
    if (!problem)
        problem = percent_decode(span_between(slash, path_end), &url->host);
    if (!problem && strlen(url->host) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        problem = "the path of the socket is longer than 107 bytes";
    if (!problem && query)
        problem = parse_query(span_between(query + 1, end), url);
    return problem;
}

static bool skip_prefix(const char **text, const char *prefix)
{
    size_t length = strlen(prefix);
    if (strncasecmp(*text, prefix, length) != 0)
        return false;
    *text += length;
    return true;
}

bool redis_url_parse(const char *text, struct redis_url *ret_url, const char **ret_problem)
{
    struct redis_url url = { 0 };
    const char *rest = text;
    const char *end = text + strlen(text);
    const char *problem = NULL;
    if (skip_prefix(&rest, "redis://")) {
        problem = parse_network(rest, end, &url);
    } else if (skip_prefix(&rest, "rediss://")) {
        url.is_tls = true;
        problem = parse_network(rest, end, &url);
    } else if (skip_prefix(&rest, "redis+sentinel://")) {
        problem = parse_with_sentinels(rest, end, &url);
    } else if (skip_prefix(&rest, "rediss+sentinel://")) {
        url.is_tls = true;
        problem = parse_with_sentinels(rest, end, &url);
    } else if (skip_prefix(&rest, "unix://")) {
        problem = parse_unix(rest, end, &url);
    } else {
        problem = "an address of Redis starts with redis://, rediss://, redis+sentinel:// or unix://";
    }
    if (problem) {
        redis_url_clear(&url);
        *ret_problem = problem;
        return false;
    }
    *ret_url = url;
    return true;
}

static void free_secret(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void redis_url_clear(struct redis_url *url)
{
    free(url->host);
    free(url->user);
    free_secret(url->password);
    free(url->master_name);
    for (size_t i = 0; i < url->sentinel_count; i++)
        free(url->sentinels[i].host);
    free(url->sentinel_user);
    free_secret(url->sentinel_password);
    *url = (struct redis_url){ 0 };
}

static void append_host(struct buffer *out, const char *host, uint16_t port)
{
    bool is_ipv6 = strchr(host, ':') != NULL;
    buffer_printf(out, "%s%s%s:%u", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", (unsigned)port);
}

char *redis_url_display(const struct redis_url *url)
{
    struct buffer out = { 0 };
    const char *scheme = url->is_tls ? "rediss" : "redis";
    if (url->is_unix) {
        buffer_printf(&out, "unix://%s?db=%u", url->host, url->database);
    } else if (url->master_name) {
        buffer_printf(&out, "%s+sentinel://", scheme);
        for (size_t i = 0; i < url->sentinel_count; i++) {
            if (i > 0)
                buffer_append_byte(&out, ',');
            append_host(&out, url->sentinels[i].host, url->sentinels[i].port);
        }
        buffer_printf(&out, "/%s/%u", url->master_name, url->database);
    } else {
        buffer_printf(&out, "%s://", scheme);
        append_host(&out, url->host, url->port);
        buffer_printf(&out, "/%u", url->database);
    }
    buffer_append_byte(&out, '\0');
    size_t size = 0;
    char *text = buffer_take(&out, &size);
    buffer_free(&out);
    return text;
}

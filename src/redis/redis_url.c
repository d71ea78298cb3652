#include "redis/redis_url.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/buffer.h"
#include "base/parse.h"

#define DEFAULT_PORT 6379
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

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
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
            int high = at + 2 < text.length ? hex_digit(text.start[at + 1]) : -1;
            int low = high >= 0 ? hex_digit(text.start[at + 2]) : -1;
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

/* `?db=2`; `text` starts behind the question mark. */
static const char *parse_query(struct span text, struct redis_url *url)
{
    if (text.length == 0)
        return NULL;
    if (text.length < 3 || memcmp(text.start, "db=", 3) != 0)
        return "the only query parameter is db, as in ?db=0";
    return parse_database(span_between(text.start + 3, text.start + text.length), &url->database);
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

static const char *copy_host(struct span host, struct redis_url *url)
{
    if (host.length == 0)
        return "the host is missing";
    if (host.length > HOST_LENGTH_MAX)
        return "the host is too long";
    for (size_t at = 0; at < host.length; at++)
        if ((unsigned char)host.start[at] <= ' ' || host.start[at] == 0x7f)
            return "the host has a space or a control character in it";
    url->host = strndup(host.start, host.length);
    return url->host ? NULL : memory_is_short;
}

static const char *parse_host_and_port(struct span text, struct redis_url *url)
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

    url->port = DEFAULT_PORT;
    if (after_host < end) {
        uint64_t port = 0;
        if (!parse_unsigned(after_host + 1, (size_t)(end - after_host - 1), &port) || port == 0 ||
            port > UINT16_MAX)
            return "the port is not a number from 1 to 65535 (write special characters of a password as %XX)";
        url->port = (uint16_t)port;
    }
    return copy_host(host, url);
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
    if (!problem)
        problem = parse_host_and_port(span_between(at ? at + 1 : rest, authority_end), url);
    if (!problem && slash && slash + 1 < path_end)
        problem = parse_database(span_between(slash + 1, path_end), &url->database);
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
    } else if (skip_prefix(&rest, "unix://")) {
        problem = parse_unix(rest, end, &url);
    } else {
        problem = "an address of Redis starts with redis://, rediss:// or unix://";
    }
    if (problem) {
        redis_url_clear(&url);
        *ret_problem = problem;
        return false;
    }
    *ret_url = url;
    return true;
}

void redis_url_clear(struct redis_url *url)
{
    free(url->host);
    free(url->user);
    if (url->password)
        explicit_bzero(url->password, strlen(url->password));
    free(url->password);
    *url = (struct redis_url){ 0 };
}

char *redis_url_display(const struct redis_url *url)
{
    struct buffer out = { 0 };
    if (url->is_unix) {
        buffer_printf(&out, "unix://%s?db=%u", url->host, url->database);
    } else {
        bool is_ipv6 = strchr(url->host, ':') != NULL;
        buffer_printf(&out, "%s://%s%s%s:%u/%u", url->is_tls ? "rediss" : "redis", is_ipv6 ? "[" : "",
                      url->host, is_ipv6 ? "]" : "", (unsigned)url->port, url->database);
    }
    buffer_append_byte(&out, '\0');
    size_t size = 0;
    char *text = buffer_take(&out, &size);
    buffer_free(&out);
    return text;
}

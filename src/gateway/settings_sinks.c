/* What sinks must be to make sense. */
#include "gateway/settings_sinks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>

#include "consumers/sink_options.h"
#include "gateway/settings_table.h"

#define SECRET_FILE_BYTES_MAX 4096
#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
#define TOKEN_LETTERS NAME_LETTERS "!#$%&'*+.^`|~" /* of a header's name (RFC 9110 §5.6.2) */

bool settings_check_sink_name(const char *text, struct buffer *why)
{
    if (text[strspn(text, NAME_LETTERS)] == '\0' && strlen(text) <= SINK_NAME_MAX)
        return true;
    buffer_printf(why, "write at most %d letters, digits, - and _", SINK_NAME_MAX);
    return false;
}

bool settings_check_sink_topic(const char *text, struct buffer *why)
{
    if (strlen(text) <= GROUP_NAME_MAX)
        return true;
    buffer_printf(why, "it has more than %d bytes", GROUP_NAME_MAX);
    return false;
}

bool settings_check_sink_url(const char *text, struct buffer *why)
{
    if (!*text)
        return true;
    const char *host = strstr(text, "://");
    bool is_http = strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
    if (is_http && host[3] != '\0' && !strchr("/?#:@", host[3]) && !strchr(text, ' '))
        return settings_check_authority(text, why);
    buffer_append_text(why, "it must begin with http:// or https:// and a host, and have no spaces");
    return false;
}

/* Headers that the gateway writes itself, or libcurl. */
static bool is_reserved(const char *name, size_t length)
{
    static const char *const reserved[] = { "Content-Length", "Transfer-Encoding", "Connection",
                                            "webhook-id",     "webhook-timestamp", "webhook-signature",
                                            "sluice-sink",    "sluice-stream",     "sluice-channel",
                                            "sluice-event",   "sluice-attempt",    "Expect" };
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (strlen(reserved[i]) == length && strncasecmp(reserved[i], name, length) == 0)
            return true;
    return false;
}

/* `line` is `Name: value`. */
static bool check_header(const char *line, size_t length, struct buffer *why)
{
    size_t name_length = strspn(line, TOKEN_LETTERS);
    if (name_length == 0 || line[name_length] != ':') {
        buffer_append_text(why, "a header's name is made of letters, digits and a few marks such as -");
        return false;
    }
    if (length <= name_length + 2) {
        buffer_printf(why, "the header %.*s is empty", (int)name_length, line);
        return false;
    }
    if (!is_reserved(line, name_length))
        return true;
    buffer_printf(why, "the header %.*s is the gateway's own", (int)name_length, line);
    return false;
}

bool settings_check_sink_headers(const char *text, struct buffer *why)
{
    size_t count = 0;
    for (const char *line = text; *line; count++) {
        size_t length = strcspn(line, "\n");
        if (!check_header(line, length, why))
            return false;
        line += length + (line[length] == '\n');
    }
    if (count > SINK_HEADERS_MAX)
        buffer_printf(why, "there may be %d headers at most", SINK_HEADERS_MAX);
    return count <= SINK_HEADERS_MAX;
}

bool settings_check_sink_secret(const char *text, struct buffer *why)
{
    const char *problem = NULL;
    if (!*text)
        return true;
    sink_keys_destroy(sink_keys_create(text, strlen(text), &problem));
    if (problem)
        buffer_append_text(why, problem);
    return !problem;
}

static bool read_keys(const char *path, struct sink_keys **ret_keys, struct buffer *why)
{
    char text[SECRET_FILE_BYTES_MAX];
    const char *problem = NULL;
    *ret_keys = NULL;
    FILE *stream = fopen(path, "re");
    if (!stream) {
        buffer_printf(why, "it cannot be opened: %s", strerror(errno));
        return false;
    }
    setvbuf(stream, NULL, _IONBF, 0); /* no copy of the secret stays in a freed buffer */
    size_t length = fread(text, 1, sizeof(text), stream);
    if (ferror(stream))
        problem = "it cannot be read";
    else if (length == sizeof(text))
        problem = "it is too large for keys";
    else
        *ret_keys = sink_keys_create(text, length, &problem);
    fclose(stream);
    OPENSSL_cleanse(text, sizeof(text));
    if (problem)
        buffer_append_text(why, problem);
    return !problem;
}

bool settings_check_sink_secret_file(const char *text, struct buffer *why)
{
    struct sink_keys *keys = NULL;
    if (!*text)
        return true;
    bool is_good = read_keys(text, &keys, why);
    sink_keys_destroy(keys);
    return is_good;
}

bool settings_sink_keys(const struct sink_settings *sink, struct sink_keys **ret_keys, struct buffer *why)
{
    const char *problem = NULL;
    *ret_keys = NULL;
    if (*sink->secret_file)
        return read_keys(sink->secret_file, ret_keys, why);
    if (*sink->secret)
        *ret_keys = sink_keys_create(sink->secret, strlen(sink->secret), &problem);
    if (problem)
        buffer_append_text(why, problem);
    return !problem;
}

bool settings_check_sink(const void *record, struct buffer *why)
{
    const struct sink_settings *sink = record;
    if ((*sink->stream != '\0') == (*sink->channel != '\0')) {
        buffer_printf(why, "the sink %s needs a stream or a channel%s", sink->name,
                      *sink->stream ? ", not both" : "");
        return false;
    }
    if (*sink->channel && *sink->group) {
        buffer_printf(why, "the sink %s is of a channel, which has no groups", sink->name);
        return false;
    }
    if (*sink->secret && *sink->secret_file) {
        buffer_printf(why, "the sink %s has both secret and secret_file; keep one", sink->name);
        return false;
    }
    if (sink->backoff_ms > sink->backoff_max_ms) {
        buffer_printf(why, "the sink %s has a backoff that is more than its backoff_max", sink->name);
        return false;
    }
    return true;
}

static bool has_group(const struct sink_settings *sink, const struct sink_settings *other)
{
    char own[sizeof(SINK_GROUP_PREFIX) + SINK_NAME_MAX], others[sizeof(own)];
    snprintf(own, sizeof(own), SINK_GROUP_PREFIX "%s", sink->name);
    snprintf(others, sizeof(others), SINK_GROUP_PREFIX "%s", other->name);
    return strcmp(*sink->group ? sink->group : own, *other->group ? other->group : others) == 0;
}

/* A gateway is one consumer of a group: the second sink would take the first one's place, and the other way
 * round. */
void settings_check_sinks_together(const struct settings *settings, struct settings_problems *problems)
{
    const struct sink_settings *sinks = settings->sinks.items;
    if (problems->count > 0)
        return; /* a name that was not taken is empty here */
    for (size_t i = 1; i < settings->sinks.count; i++)
        for (size_t j = 0; j < i; j++)
            if (*sinks[i].stream && strcmp(sinks[i].stream, sinks[j].stream) == 0 &&
                has_group(&sinks[i], &sinks[j]))
                settings_problem(problems, setting_origin(settings, settings_find("sinks", strlen("sinks"))),
                                 "the sinks %s and %s have the same stream and group; give each a group of "
                                 "its own, or leave it out",
                                 sinks[j].name, sinks[i].name);
}

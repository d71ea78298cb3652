#include "load_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

#define PROCESSES_MAX 64

enum value_kind {
    VALUE_NUMBER,
    VALUE_RATE,
    VALUE_TEXT,
    VALUE_ADDRESS,
    VALUE_PROCESSES,
    VALUE_JOINED_BY,
    VALUE_PUBLISH,
    VALUE_FORMAT,
    VALUE_FILLER,
    VALUE_YES_OR_NO,
};

struct option {
    const char *name;
    enum value_kind kind;
    void *target;
    const char *help;
};

static bool read_processes(const char *value, pid_t *ret_processes)
{
    size_t count = 0;
    while (*value && count < SERVER_PROCESSES_MAX - 1) {
        char *end;
        long process = strtol(value, &end, 10);
        if (end == value || process <= 0 || (*end != ',' && *end != '\0'))
            return false;
        ret_processes[count++] = (pid_t)process;
        value = *end ? end + 1 : end;
    }
    return *value == '\0';
}

static bool read_rate(const char *value, double *ret_rate)
{
    char *end;
    *ret_rate = strtod(value, &end);
    return end != value && *end == '\0' && *ret_rate >= 0 && *ret_rate <= 1e7;
}

static bool read_way(const char *value, enum publisher_way *ret_way)
{
    static const char *const names[] = {
        [PUBLISHER_PUBLISH] = "publish", [PUBLISHER_XADD] = "xadd", [PUBLISHER_POST] = "post"
    };
    for (unsigned way = 0; way < sizeof names / sizeof names[0]; way++) {
        *ret_way = (enum publisher_way)way;
        if (strcmp(value, names[way]) == 0)
            return true;
    }
    return false;
}

static bool read_value(const struct option *option, const char *value)
{
    switch (option->kind) {
    case VALUE_NUMBER:
        return parse_unsigned(value, strlen(value), option->target);
    case VALUE_RATE:
        return read_rate(value, option->target);
    case VALUE_TEXT:
        *(const char **)option->target = value;
        return true;
    case VALUE_ADDRESS:
        return address_parse(value, option->target);
    case VALUE_PROCESSES:
        return read_processes(value, option->target);
    case VALUE_JOINED_BY:
        *(bool *)option->target = strcmp(value, "head") == 0;
        return strcmp(value, "head") == 0 || strcmp(value, "retry") == 0;
    case VALUE_PUBLISH:
        return read_way(value, option->target);
    case VALUE_FORMAT:
        *(enum sse_format *)option->target =
            strcmp(value, "webdis") == 0 ? SSE_FORMAT_WEBDIS : SSE_FORMAT_EVENTS;
        return strcmp(value, "webdis") == 0 || strcmp(value, "events") == 0;
    case VALUE_FILLER:
        *(enum payload_filler *)option->target =
            strcmp(value, "words") == 0 ? PAYLOAD_WORDS : PAYLOAD_LETTERS;
        return strcmp(value, "words") == 0 || strcmp(value, "letters") == 0;
    case VALUE_YES_OR_NO:
        *(bool *)option->target = strcmp(value, "yes") == 0;
        return strcmp(value, "yes") == 0 || strcmp(value, "no") == 0;
    }
    return false;
}

static bool usage(const struct option *options, size_t count)
{
    fprintf(stderr, "usage: load --server ADDRESS --redis ADDRESS [option value]...\n");
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "  --%-22s %s\n", options[i].name, options[i].help);
    return false;
}

static const struct option *find_option(const struct option *options, size_t count, const char *argument)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(argument, "--", 2) == 0 && strcmp(argument + 2, options[i].name) == 0)
            return &options[i];
    return NULL;
}

static bool check(const struct load_options *options)
{
    const char *problem = NULL;
    if (options->clients.server.length == 0 || options->publisher.to.length == 0)
        problem = "--server and --redis are needed: 127.0.0.1:8000 or unix:/path";
    else if (options->payload_bytes < PAYLOAD_BYTES_MIN || options->payload_bytes > PAYLOAD_BYTES_MAX)
        problem = "--payload-bytes is out of bounds";
    else if (options->clients.channels_per_client == 0 ||
             options->clients.channels_per_client > options->clients.channels)
        problem = "--channels-per-client is out of bounds";
    else if (options->processes == 0 || options->processes > PROCESSES_MAX)
        problem = "--processes is out of bounds";
    else if (options->clients.channels == 0 || options->clients.channels > PAYLOAD_CHANNEL_MAX)
        problem = "--channels is out of bounds";
    else if ((options->missed + options->warmup + options->messages) / options->clients.channels >
             PAYLOAD_SEQUENCE_MAX)
        problem = "--messages is more than a channel can number";
    else if (options->clients.connecting_max == 0)
        problem = "--connecting-max must be at least 1";
    if (problem)
        fprintf(stderr, "load: %s\n", problem);
    return !problem;
}

bool load_options_read(int argument_count, char **arguments, struct load_options *ret_options)
{
    struct load_options *o = ret_options;
    *o = (struct load_options){
        .clients = { .path = "/events/stream?channel={channel}",
                     .channel_prefix = "bench-",
                     .channels = 1,
                     .channels_per_client = 1,
                     .count = { [CLIENT_HEALTHY] = 1 },
                     .slow_bytes_per_second = 1000,
                     .connecting_max = 200 },
        .publisher = { .path = "/" },
        .processes = 1,
        .payload_bytes = 200,
        .settle_ms = 1000,
        .leave_ms = 200,
        .patience_ms = 3000,
        .join_timeout_ms = 30000,
        .time_limit_s = 120,
    };
    const struct option options[] = {
        { "server", VALUE_ADDRESS, &o->clients.server, "where clients connect: HOST:PORT or unix:PATH" },
        { "redis", VALUE_ADDRESS, &o->publisher.to,
          "where messages are published: Redis, or what takes POST" },
        { "server-pid", VALUE_PROCESSES, o->server_processes,
          "processes whose CPU and memory are taken: PID[,PID]..." },
        { "path", VALUE_TEXT, &o->clients.path,
          "request target; {channel} stands for the channel's name, {channels} for channel=NAME&channel=…" },
        { "channel-prefix", VALUE_TEXT, &o->clients.channel_prefix,
          "a channel's name is this and its number" },
        { "channels", VALUE_NUMBER, &o->clients.channels, "client i listens to channel i modulo this" },
        { "channels-per-client", VALUE_NUMBER, &o->clients.channels_per_client,
          "client i listens to so many, from channel i times this on" },
        { "publish", VALUE_PUBLISH, &o->publisher.way, "publish, xadd (channels are streams) or post" },
        { "publish-path", VALUE_TEXT, &o->publisher.path, "request target of post, as --path" },
        { "format", VALUE_FORMAT, &o->clients.format, "events or webdis: what clients get" },
        { "header", VALUE_TEXT, &o->clients.header, "one more in each request: 'Name: value'" },
        { "headers", VALUE_TEXT, &o->headers_file,
          "a file with such lines, of which each client sends one, in turn" },
        { "gzip", VALUE_YES_OR_NO, &o->clients.gzip, "yes: clients take it" },
        { "processes", VALUE_NUMBER, &o->processes, "that the clients are spread over" },
        { "clients", VALUE_NUMBER, &o->clients.count[CLIENT_HEALTHY], "clients that read at once" },
        { "slow", VALUE_NUMBER, &o->clients.count[CLIENT_SLOW], "clients that read slowly" },
        { "slow-bytes-per-second", VALUE_NUMBER, &o->clients.slow_bytes_per_second, "each" },
        { "stalled", VALUE_NUMBER, &o->clients.count[CLIENT_STALLED], "clients that never read" },
        { "connecting-max", VALUE_NUMBER, &o->clients.connecting_max, "connecting clients at a time" },
        { "joined-by", VALUE_JOINED_BY, &o->clients.joined_at_head,
          "retry or head: what says that a client is subscribed" },
        { "messages", VALUE_NUMBER, &o->messages, "measured messages, over all channels" },
        { "warmup", VALUE_NUMBER, &o->warmup, "messages before them" },
        { "missed", VALUE_NUMBER, &o->missed, "messages before clients connect, who ask for them by --path" },
        { "rate", VALUE_RATE, &o->rate,
          "messages a second, over all channels; 0: as fast as Redis takes them" },
        { "payload-bytes", VALUE_NUMBER, &o->payload_bytes, "length of each" },
        { "filler", VALUE_FILLER, &o->filler, "letters, or words, which can be compressed" },
        { "settle-ms", VALUE_NUMBER, &o->settle_ms, "rest before idle clients are measured" },
        { "leave-ms", VALUE_NUMBER, &o->leave_ms, "rest before a server is measured that clients have left" },
        { "patience-ms", VALUE_NUMBER, &o->patience_ms, "without any delivery, before what misses is lost" },
        { "join-timeout-ms", VALUE_NUMBER, &o->join_timeout_ms, "for all clients to join" },
        { "time-limit-s", VALUE_NUMBER, &o->time_limit_s, "the whole run" },
    };
    size_t count = sizeof options / sizeof options[0];
    for (int i = 1; i < argument_count; i += 2) {
        const struct option *option = find_option(options, count, arguments[i]);
        if (!option || i + 1 == argument_count)
            return usage(options, count);
        if (!read_value(option, arguments[i + 1])) {
            fprintf(stderr, "load: bad value for %s: %s\n", arguments[i], arguments[i + 1]);
            return false;
        }
    }
    o->clients.streams = o->publisher.way == PUBLISHER_XADD;
    o->publisher.channels = o->clients.channels;
    o->publisher.channel_prefix = o->clients.channel_prefix;
    return check(o);
}

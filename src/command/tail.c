#include "command/tail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/parse.h"
#include "command/event_reader.h"
#include "command/http_call.h"
#include "command/options.h"

#define RETRY_DEFAULT_MS 1000
#define RETRY_MAX_MS 60000
#define REFUSAL_BYTES_MAX 65536

struct tail {
    /* arguments */
    const char *url, *token_file, *format, *batch, *since, *count_text;
    const char **channels, **patterns, **streams;
    size_t channel_count, pattern_count, stream_count;
    uint64_t count; /* 0: no end */

    CURL *call;
    struct event_reader reader;
    struct buffer refusal;
    uint64_t printed;
    bool was_connected;
    bool is_over; /* enough, or the batch is complete */
};

static void print_usage(void)
{
    fputs(
        "usage: sluice tail CHANNEL… [--pattern GLOB]… [--format raw|envelope|named] [-n COUNT] [--url URL]\n"
        "       sluice tail --stream NAME… [--since 0|ID|TIME|COUNT] [-n COUNT] [--url URL]\n"
        "       sluice tail --batch ID [-n COUNT] [--url URL]\n"
        "for example: sluice tail news --pattern 'orders.*'\n",
        stderr);
}

static bool read_arguments(struct tail *tail, int argument_count, char *const *arguments)
{
    tail->channels = calloc((size_t)argument_count + 1, sizeof(*tail->channels));
    tail->patterns = calloc((size_t)argument_count + 1, sizeof(*tail->patterns));
    tail->streams = calloc((size_t)argument_count + 1, sizeof(*tail->streams));
    if (!tail->channels || !tail->patterns || !tail->streams) {
        fputs("sluice: out of memory\n", stderr);
        return false;
    }
    const struct option options[] = {
        { .name = "--url", .value = &tail->url },
        { .name = "--token-file", .value = &tail->token_file },
        { .name = "--format", .value = &tail->format },
        { .name = "--batch", .value = &tail->batch },
        { .name = "--since", .value = &tail->since },
        { .name = "-n", .value = &tail->count_text },
        { .name = "--pattern", .values = tail->patterns, .count = &tail->pattern_count },
        { .name = "--stream", .values = tail->streams, .count = &tail->stream_count },
    };
    if (!options_parse(options, sizeof(options) / sizeof(options[0]), argument_count, arguments,
                       tail->channels, &tail->channel_count))
        return false;
    if (tail->count_text &&
        (!parse_unsigned(tail->count_text, strlen(tail->count_text), &tail->count) || tail->count == 0)) {
        fprintf(stderr, "sluice: -n %s is no number of events\n", tail->count_text);
        return false;
    }
    bool has_topics = tail->channel_count + tail->pattern_count + tail->stream_count > 0;
    if (has_topics == (tail->batch != NULL)) {
        print_usage();
        return false;
    }
    return true;
}

static void append_parameter(struct buffer *path, const char *name, const char *value)
{
    buffer_append_byte(path, memchr(path->data, '?', path->size) ? '&' : '?');
    buffer_printf(path, "%s=", name);
    http_call_append_escaped(path, value, strlen(value));
}

static bool create_call(struct tail *tail)
{
    struct buffer path = { 0 };
    buffer_append_text(&path, tail->batch ? "/batches/" : "/events/stream");
    if (tail->batch) {
        http_call_append_escaped(&path, tail->batch, strlen(tail->batch));
        buffer_append_text(&path, "/stream");
    }
    for (size_t i = 0; i < tail->channel_count && !path.failed; i++)
        append_parameter(&path, "channel", tail->channels[i]);
    for (size_t i = 0; i < tail->pattern_count && !path.failed; i++)
        append_parameter(&path, "pattern", tail->patterns[i]);
    for (size_t i = 0; i < tail->stream_count && !path.failed; i++)
        append_parameter(&path, "stream", tail->streams[i]);
    if (tail->since && !path.failed)
        append_parameter(&path, "since", tail->since);
    if (tail->format && !path.failed)
        append_parameter(&path, "format", tail->format);
    buffer_append_byte(&path, '\0');
    if (!path.failed)
        tail->call = http_call_create(tail->url, path.data);
    buffer_free(&path);
    return tail->call != NULL;
}

/* ---- what comes ---- */

static bool is_named(const struct event_view *event, const char *name)
{
    return event->name_length == strlen(name) && memcmp(event->name, name, event->name_length) == 0;
}

static bool on_event(void *context, const struct event_view *event)
{
    struct tail *tail = context;
    if (is_named(event, "gap") || is_named(event, "error") || is_named(event, "refused") ||
        is_named(event, "expired")) {
        fprintf(stderr, "sluice: %.*s %.*s\n", (int)event->name_length, event->name, (int)event->data_length,
                event->data);
        return true;
    }
    if (tail->batch && is_named(event, "complete")) { /* the same data as the progress before it */
        tail->is_over = true;
        return false;
    }
    if (tail->format && strcmp(tail->format, "named") == 0)
        printf("%.*s ", (int)event->name_length, event->name);
    fwrite(event->data, 1, event->data_length, stdout);
    putchar('\n');
    tail->printed++;
    tail->is_over = fflush(stdout) != 0 || tail->printed == tail->count;
    return !tail->is_over;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct tail *tail = context;
    long status = 0;
    curl_easy_getinfo(tail->call, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        if (tail->refusal.size + size * count <= REFUSAL_BYTES_MAX)
            buffer_append(&tail->refusal, bytes, size * count);
        return size * count;
    }
    tail->was_connected = true;
    return event_reader_feed(&tail->reader, bytes, size * count) ? size * count : 0;
}

/* ---- connections ---- */

static CURLcode connect_once(struct tail *tail, long *ret_status)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: text/event-stream");
    struct buffer last_id = { 0 };
    if (tail->reader.last_id.size) {
        buffer_append_text(&last_id, "Last-Event-ID: ");
        buffer_append(&last_id, tail->reader.last_id.data, tail->reader.last_id.size);
        buffer_append_byte(&last_id, '\0');
        headers = last_id.failed ? headers : curl_slist_append(headers, last_id.data);
    }
    buffer_reset(&tail->refusal);
    event_reader_restart(&tail->reader);
    curl_easy_setopt(tail->call, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(tail->call, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(tail->call, CURLOPT_WRITEDATA, tail);
    CURLcode result = curl_easy_perform(tail->call);
    curl_easy_getinfo(tail->call, CURLINFO_RESPONSE_CODE, ret_status);
    curl_easy_setopt(tail->call, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    buffer_free(&last_id);
    return result;
}

static void wait_to_retry(const struct tail *tail)
{
    uint64_t wait_ms = tail->reader.retry_ms ? tail->reader.retry_ms : RETRY_DEFAULT_MS;
    if (wait_ms > RETRY_MAX_MS)
        wait_ms = RETRY_MAX_MS;
    struct timespec wait = { .tv_sec = (time_t)(wait_ms / 1000),
                             .tv_nsec = (long)(wait_ms % 1000) * 1000000 };
    nanosleep(&wait, NULL);
}

/* The first connection must succeed; later ones are tried again until they do, but for what trying again
 * cannot heal. */
static enum exit_code follow(struct tail *tail)
{
    for (;;) {
        long status = 0;
        if (!http_call_authorize(tail->call, tail->token_file))
            return EXIT_CODE_USAGE;
        CURLcode result = connect_once(tail, &status);
        if (tail->is_over || (result == CURLE_OK && status == 204))
            return ferror(stdout) ? EXIT_CODE_FAILED : EXIT_CODE_OK;
        bool may_heal = status == 0 || status == 200 || status == 429 || status >= 500;
        if (status != 0 && status != 200 && !(may_heal && tail->was_connected)) {
            http_call_print_refusal(status, tail->refusal.data, tail->refusal.size);
            return EXIT_CODE_FAILED;
        }
        if (result == CURLE_WRITE_ERROR) {
            fputs("sluice: an event is too large, or memory is short\n", stderr);
            return EXIT_CODE_FAILED;
        }
        if (result != CURLE_OK && !tail->was_connected) {
            http_call_print_failure(tail->url, result);
            return EXIT_CODE_FAILED;
        }
        wait_to_retry(tail);
    }
}

enum exit_code command_tail(int argument_count, char *const *arguments)
{
    struct tail tail = { .url = HTTP_CALL_URL_DEFAULT };
    tail.reader.on_event = on_event;
    tail.reader.context = &tail;
    enum exit_code code = EXIT_CODE_USAGE;
    if (read_arguments(&tail, argument_count, arguments) && create_call(&tail))
        code = follow(&tail);
    if (tail.call)
        http_call_destroy(tail.call);
    event_reader_free(&tail.reader);
    buffer_free(&tail.refusal);
    free(tail.channels);
    free(tail.patterns);
    free(tail.streams);
    return code;
}

#include "command/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/http_call.h"
#include "command/options.h"
#include "wire/payload.h"

#define PAYLOAD_BYTES_MAX (64u << 20)
#define RECEIPT_BYTES_MAX (1u << 20)
#define TIMEOUT_MS 30000L /* longer than the gateway's retries */

struct publish {
    const char *url, *token_file, *id, *event, *stream, *channel, *payload;
    bool is_critical;
};

static bool read_arguments(struct publish *publish, int argument_count, char *const *arguments)
{
    const struct option options[] = {
        { .name = "--url", .value = &publish->url },
        { .name = "--token-file", .value = &publish->token_file },
        { .name = "--id", .value = &publish->id },
        { .name = "--event", .value = &publish->event },
        { .name = "--stream", .value = &publish->stream },
        { .name = "--critical", .given = &publish->is_critical },
    };
    const char **rest = calloc((size_t)argument_count + 1, sizeof(*rest));
    size_t count = 0;
    bool is_valid = rest && options_parse(options, sizeof(options) / sizeof(options[0]), argument_count,
                                          arguments, rest, &count);
    bool needs_channel = !publish->event && !publish->stream;
    if (is_valid && (count > 2 || count < 1 || (count < 2 && needs_channel))) {
        fputs("usage: sluice publish CHANNEL PAYLOAD [--id KEY] [--url URL]\n"
              "       sluice publish --event NAME [--critical] PAYLOAD\n"
              "       sluice publish --stream NAME PAYLOAD\n"
              "for example: sluice publish news '{\"hello\":\"world\"}'\n",
              stderr);
        is_valid = false;
    }
    if (is_valid) {
        publish->channel = count == 2 ? rest[0] : NULL;
        publish->payload = rest[count - 1];
    }
    free(rest);
    return is_valid;
}

static bool read_standard_input(struct buffer *out)
{
    char piece[16384];
    size_t length;
    while ((length = fread(piece, 1, sizeof(piece), stdin)) > 0 && out->size <= PAYLOAD_BYTES_MAX)
        buffer_append(out, piece, length);
    if (ferror(stdin) || out->failed || out->size > PAYLOAD_BYTES_MAX) {
        fputs("sluice: the payload on standard input cannot be read, or is larger than 64 MiB\n", stderr);
        return false;
    }
    while (out->size > 0 && (out->data[out->size - 1] == '\n' || out->data[out->size - 1] == '\r'))
        out->size--;
    return true;
}

static void append_member(struct buffer *body, const char *name, const char *value)
{
    if (!value)
        return;
    buffer_printf(body, "\"%s\":", name);
    buffer_append_json_string(body, value, strlen(value));
    buffer_append_byte(body, ',');
}

static bool append_body(const struct publish *publish, struct buffer *body)
{
    struct buffer payload = { 0 };
    if (strcmp(publish->payload, "-") != 0)
        buffer_append_text(&payload, publish->payload);
    else if (!read_standard_input(&payload)) {
        buffer_free(&payload);
        return false;
    }
    buffer_append_byte(body, '{');
    append_member(body, "channel", publish->channel);
    append_member(body, "stream", publish->stream);
    append_member(body, "event", publish->event);
    append_member(body, "id", publish->id);
    if (publish->is_critical)
        buffer_append_text(body, "\"critical\":true,");
    buffer_append_text(body, "\"payload\":");
    if (payload.size && payload_is_json(payload.data, payload.size))
        buffer_append(body, payload.data, payload.size);
    else
        buffer_append_json_string(body, payload.data ? payload.data : "", payload.size);
    buffer_append_byte(body, '}');
    buffer_free(&payload);
    return !body->failed;
}

static size_t on_receipt(char *bytes, size_t size, size_t count, void *context)
{
    struct buffer *receipt = context;
    if (receipt->size + size * count > RECEIPT_BYTES_MAX)
        return 0;
    buffer_append(receipt, bytes, size * count);
    return receipt->failed ? 0 : size * count;
}

static enum exit_code send_body(const struct publish *publish, const struct buffer *body)
{
    CURL *call = http_call_create(publish->url, "/events/publish");
    if (!call)
        return EXIT_CODE_USAGE;
    if (!http_call_authorize(call, publish->token_file)) {
        http_call_destroy(call);
        return EXIT_CODE_USAGE;
    }
    struct buffer receipt = { 0 };
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    long status = 0;
    curl_easy_setopt(call, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(call, CURLOPT_POSTFIELDS, body->data);
    curl_easy_setopt(call, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->size);
    curl_easy_setopt(call, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    curl_easy_setopt(call, CURLOPT_WRITEFUNCTION, on_receipt);
    curl_easy_setopt(call, CURLOPT_WRITEDATA, &receipt);
    CURLcode result = curl_easy_perform(call);
    curl_easy_getinfo(call, CURLINFO_RESPONSE_CODE, &status);
    enum exit_code code = EXIT_CODE_FAILED;
    if (result != CURLE_OK) {
        http_call_print_failure(publish->url, result);
    } else if (status != 200) {
        http_call_print_refusal(status, receipt.data, receipt.size);
    } else {
        printf("%.*s\n", (int)receipt.size, receipt.data ? receipt.data : "");
        code = fflush(stdout) == 0 ? EXIT_CODE_OK : EXIT_CODE_FAILED;
    }
    curl_slist_free_all(headers);
    buffer_free(&receipt);
    http_call_destroy(call);
    return code;
}

enum exit_code command_publish(int argument_count, char *const *arguments)
{
    struct publish publish = { .url = HTTP_CALL_URL_DEFAULT };
    if (!read_arguments(&publish, argument_count, arguments))
        return EXIT_CODE_USAGE;
    struct buffer body = { 0 };
    enum exit_code code = EXIT_CODE_FAILED;
    if (append_body(&publish, &body))
        code = send_body(&publish, &body);
    else if (body.failed)
        fputs("sluice: out of memory\n", stderr);
    buffer_free(&body);
    return code;
}

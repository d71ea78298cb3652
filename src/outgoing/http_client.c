#include "outgoing/http_client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/list.h"

/* What libcurl 8.14 says at most; with older ones it is the same. */
#define RETRY_AFTER_SECONDS_MAX UINT64_C(21600)

/*
 * libcurl says which descriptors and which timeout it waits for (watch_socket, set_timer); the event loop
 * waits for them and tells libcurl (socket_ready, timer_expired); what has ended by then is handed to its
 * caller (finish_ended).
 */
struct http_client {
    struct event_base *base;
    struct http_client_options options;
    struct log *log;
    CURLM *multi;
    struct event *timer;
    struct list transfers;
    size_t transfer_count;
    struct list watches;
    uint64_t retry_after_ms; /* of the answer that is being told */
    bool closing;
};

struct transfer {
    struct http_client *client;
    struct list node; /* in client->transfers */
    CURL *easy;
    struct curl_slist *headers;
    struct buffer body;
    bool too_large;
    char *request_body; /* NULL: a GET */
    uint64_t start_ns;
    char error[CURL_ERROR_SIZE];
    http_client_done *done;
    void *context;
};

/* One of libcurl's sockets. */
struct watch {
    struct http_client *client;
    struct list node; /* in client->watches */
    struct event *event;
};

static void transfer_destroy(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    buffer_free(&transfer->body);
    free(transfer->request_body);
    free(transfer);
}

static uint64_t retry_after_ms(const struct transfer *transfer)
{
    curl_off_t seconds = 0;
    if (curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds < 0)
        return 0;
    return (uint64_t)seconds < RETRY_AFTER_SECONDS_MAX ? (uint64_t)seconds * 1000
                                                       : RETRY_AFTER_SECONDS_MAX * 1000;
}

/* Takes a transfer from libcurl, tells its caller, and frees it. The caller may start another one meanwhile.
 */
static void transfer_end(struct transfer *transfer, const char *problem)
{
    struct http_client *client = transfer->client;
    long status = 0;
    if (!problem)
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    client->retry_after_ms = problem ? 0 : retry_after_ms(transfer);
    curl_multi_remove_handle(client->multi, transfer->easy);
    list_remove(&transfer->node);
    client->transfer_count--;
    LOG_DEBUG(
        client->log, "outgoing request ended", LOG_NUMBER("status", status),
        LOG_NUMBER("bytes", transfer->body.size),
        LOG_SECONDS("duration", (double)(clock_now_ns() - transfer->start_ns) / (double)CLOCK_NS_PER_SECOND),
        LOG_TEXT("problem", problem));
    if (problem)
        transfer->done(transfer->context, 0, "", 0, problem);
    else
        transfer->done(transfer->context, status, transfer->body.size > 0 ? transfer->body.data : "",
                       transfer->body.size, NULL);
    transfer_destroy(transfer);
}

/* What went wrong as a sentence, or NULL. `scratch` may be used for it. */
static const char *describe_result(const struct transfer *transfer, CURLcode result, char *scratch,
                                   size_t scratch_size)
{
    const struct http_client_options *options = &transfer->client->options;
    if (result == CURLE_OK || (transfer->too_large && options->response_cut))
        return NULL;
    if (transfer->too_large || result == CURLE_FILESIZE_EXCEEDED)
        snprintf(scratch, scratch_size, "The answer is larger than %zu bytes.", options->response_bytes_max);
    else if (result == CURLE_OPERATION_TIMEDOUT)
        snprintf(scratch, scratch_size, "No complete answer came within %llu ms.",
                 (unsigned long long)options->timeout_ms);
    else if (transfer->body.failed)
        snprintf(scratch, scratch_size, "Memory is short.");
    else
        snprintf(scratch, scratch_size, "%s.",
                 transfer->error[0] ? transfer->error : curl_easy_strerror(result));
    return scratch;
}

static void finish_ended(struct http_client *client)
{
    const CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode result = message->data.result; /* the message does not outlive curl_multi_remove_handle() */
        char *owner = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
        struct transfer *transfer = (void *)owner;
        char scratch[CURL_ERROR_SIZE + 64];
        transfer_end(transfer, describe_result(transfer, result, scratch, sizeof scratch));
    }
}

static void act(struct http_client *client, curl_socket_t descriptor, int events)
{
    int running;
    CURLMcode code = curl_multi_socket_action(client->multi, descriptor, events, &running);
    if (code != CURLM_OK)
        LOG_WARN(client->log, "outgoing requests disturbed", LOG_TEXT("problem", curl_multi_strerror(code)));
    finish_ended(client);
}

static void socket_ready(evutil_socket_t descriptor, short what, void *argument)
{
    const struct watch *watch = argument;
    int events = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    act(watch->client, descriptor, events); /* may free the watch */
}

static void timer_expired(evutil_socket_t descriptor, short what, void *argument)
{
    (void)descriptor;
    (void)what;
    act(argument, CURL_SOCKET_TIMEOUT, 0);
}

static void watch_destroy(struct watch *watch)
{
    list_remove(&watch->node);
    event_free(watch->event);
    free(watch);
}

static struct watch *watch_create(struct http_client *client, curl_socket_t descriptor)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    watch->client = client;
    watch->event = event_new(client->base, descriptor, 0, socket_ready, watch);
    if (!watch->event) {
        free(watch);
        return NULL;
    }
    list_append(&client->watches, &watch->node);
    return watch;
}

/* Called by libcurl. Without memory for it the socket stays unwatched, and its transfer fails at its timeout.
 */
static int watch_socket(CURL *easy, curl_socket_t descriptor, int what, void *client_argument,
                        void *watch_argument)
{
    (void)easy;
    struct http_client *client = client_argument;
    struct watch *watch = watch_argument;
    if (what == CURL_POLL_REMOVE) {
        curl_multi_assign(client->multi, descriptor, NULL);
        if (watch)
            watch_destroy(watch);
        return 0;
    }
    if (!watch) {
        watch = watch_create(client, descriptor);
        if (!watch)
            return 0;
        curl_multi_assign(client->multi, descriptor, watch);
    }
    int events = EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0);
    event_del(watch->event);
    event_assign(watch->event, client->base, descriptor, (short)events, socket_ready, watch);
    event_add(watch->event, NULL);
    return 0;
}

/* Called by libcurl; it must not be called back from here, so even a timeout of 0 goes by the loop. */
static int set_timer(CURLM *multi, long timeout_ms, void *argument)
{
    (void)multi;
    struct http_client *client = argument;
    if (timeout_ms < 0) {
        evtimer_del(client->timer);
        return 0;
    }
    const struct timeval wait = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };
    if (evtimer_add(client->timer, &wait) != 0)
        LOG_ERROR(client->log, "no memory for a timer of outgoing requests");
    return 0;
}

static size_t receive(char *bytes, size_t size, size_t count, void *argument)
{
    struct transfer *transfer = argument;
    const struct http_client_options *options = &transfer->client->options;
    size_t length = size * count;
    size_t room = options->response_bytes_max - transfer->body.size;
    transfer->too_large = length > room;
    if (!transfer->too_large || options->response_cut)
        buffer_append(&transfer->body, bytes, length < room ? length : room);
    /* Fewer than were given: libcurl ends the transfer. */
    return transfer->too_large || transfer->body.failed ? 0 : length;
}

struct http_client *http_client_create(struct event_base *base, const struct http_client_options *options,
                                       struct log *log)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return NULL;
    struct http_client *client = calloc(1, sizeof *client);
    if (!client) {
        curl_global_cleanup();
        return NULL;
    }
    client->base = base;
    client->options = *options;
    client->log = log;
    list_init(&client->transfers);
    list_init(&client->watches);
    client->timer = evtimer_new(base, timer_expired, client);
    client->multi = curl_multi_init();
    if (!client->timer || !client->multi) {
        http_client_destroy(client);
        return NULL;
    }
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS,
                      (long)options->transfers_max); /* kept alive for reuse */
    return client;
}

void http_client_destroy(struct http_client *client)
{
    if (!client)
        return;
    client->closing = true;
    struct list *node;
    while ((node = list_first(&client->transfers)) != NULL)
        transfer_end(LIST_OWNER(node, struct transfer, node), "The gateway is shutting down.");
    curl_multi_cleanup(client->multi); /* calls watch_socket() for what it still holds */
    while ((node = list_first(&client->watches)) != NULL)
        watch_destroy(LIST_OWNER(node, struct watch, node));
    if (client->timer)
        event_free(client->timer);
    free(client);
    curl_global_cleanup();
}

static bool copy_headers(struct transfer *transfer, const char *const *headers, size_t header_count)
{
    for (size_t i = 0; i < header_count; i++) {
        if (strpbrk(headers[i], "\r\n"))
            return false;
        struct curl_slist *longer = curl_slist_append(transfer->headers, headers[i]);
        if (!longer)
            return false;
        transfer->headers = longer;
    }
    return true;
}

/* Sets what a transfer may do. Only copying strings can fail, for want of memory. */
static bool configure(struct transfer *transfer, const char *url)
{
    const struct http_client_options *options = &transfer->client->options;
    CURL *easy = transfer->easy;
    bool secure = strncasecmp(url, "https:", 6) == 0;
    bool copied =
        curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https") == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK && /* not the environment's */
        curl_easy_setopt(easy, CURLOPT_USERAGENT, "sluice") == CURLE_OK;
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, options->redirects_max > 0 ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)options->redirects_max);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* what a stranger names in a path must not climb in it */
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->timeout_ms);
    if (!options->response_cut)
        curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)options->response_bytes_max);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT,
                     1L); /* else ending a transfer waits for its name to be resolved */
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    return copied;
}

/* The body is libcurl's to read until the transfer ends. */
static bool configure_body(struct transfer *transfer, const char *body, size_t body_length)
{
    CURL *easy = transfer->easy;
    transfer->request_body = malloc(body_length + 1);
    if (!transfer->request_body)
        return false;
    memcpy(transfer->request_body, body, body_length);
    /* Waiting for "100 Continue" would cost a second with servers that do not know it. */
    struct curl_slist *headers = curl_slist_append(transfer->headers, "Expect:");
    if (!headers)
        return false;
    transfer->headers = headers;
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_length);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->request_body);
    return true;
}

/* `body` NULL: a GET. */
static bool start(struct http_client *client, const char *url, const char *const *headers,
                  size_t header_count, const char *body, size_t body_length, http_client_done *done,
                  void *context)
{
    if (client->closing || client->transfer_count >= client->options.transfers_max)
        return false;
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer)
        return false;
    transfer->client = client;
    transfer->done = done;
    transfer->context = context;
    transfer->start_ns = clock_now_ns();
    transfer->easy = curl_easy_init();
    if (!transfer->easy || !copy_headers(transfer, headers, header_count) || !configure(transfer, url) ||
        (body && !configure_body(transfer, body, body_length)) ||
        curl_multi_add_handle(client->multi, transfer->easy) != CURLM_OK) {
        transfer_destroy(transfer);
        return false;
    }
    list_append(&client->transfers, &transfer->node);
    client->transfer_count++;
    return true;
}

bool http_client_get(struct http_client *client, const char *url, const char *const *headers,
                     size_t header_count, http_client_done *done, void *context)
{
    return start(client, url, headers, header_count, NULL, 0, done, context);
}

bool http_client_post(struct http_client *client, const char *url, const char *const *headers,
                      size_t header_count, const char *body, size_t body_length, http_client_done *done,
                      void *context)
{
    return start(client, url, headers, header_count, body, body_length, done, context);
}

uint64_t http_client_retry_after_ms(const struct http_client *client)
{
    return client->retry_after_ms;
}

bool http_client_takes(const char *url)
{
    CURLU *parsed = curl_url();
    CURLUcode code = parsed ? curl_url_set(parsed, CURLUPART_URL, url, 0) : CURLUE_OUT_OF_MEMORY;
    curl_url_cleanup(parsed);
    return code == CURLUE_OK || code == CURLUE_OUT_OF_MEMORY;
}

static void append_percent_encoded(struct buffer *out, const char *bytes, size_t length)
{
    static const char unreserved[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != '\0' && strchr(unreserved, bytes[i]))
            buffer_append_byte(out, bytes[i]);
        else
            buffer_printf(out, "%%%02X", (unsigned)(unsigned char)bytes[i]);
    }
}

char *http_client_expand(const char *url_template, const char *name, const char *value, size_t value_length)
{
    if (value_length == 0 || (value_length <= 2 && strncmp(value, "..", value_length) == 0))
        return NULL;
    struct buffer url = { 0 };
    size_t name_length = strlen(name);
    const char *at = url_template;
    while (*at) {
        if (*at == '{' && strncmp(at + 1, name, name_length) == 0 && at[1 + name_length] == '}') {
            append_percent_encoded(&url, value, value_length);
            at += name_length + 2;
        } else {
            buffer_append_byte(&url, *at++);
        }
    }
    buffer_append_byte(&url, '\0');
    size_t size;
    return buffer_take(&url, &size);
}

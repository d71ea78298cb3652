/*
 * A receiver of webhooks or an origin that answers anything: one answer, bounded. Input: length of the
 * pieces, the bytes of the connection.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "outgoing/http_client.h"

#define BYTES_MAX 1024
#define WAIT_SECONDS_MAX 86400
#define TURNS_MAX 10000

struct answer {
    struct http_client *client;
    unsigned count;
};

static void on_done(void *context, long status, const char *body, size_t body_length, const char *problem)
{
    struct answer *answer = context;
    answer->count++;
    REQUIRE(body && body_length <= BYTES_MAX);
    REQUIRE((status == 0) == (problem != NULL) || (status == 0 && !problem));
    REQUIRE(http_client_retry_after_ms(answer->client) <= WAIT_SECONDS_MAX * 1000ull);
}

/* Nobody else knows the port, so whoever comes is ours. */
static int open_listener(struct sockaddr_in *address)
{
    socklen_t length = sizeof(*address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    REQUIRE(listener >= 0 && bind(listener, (struct sockaddr *)address, length) == 0 &&
            listen(listener, 8) == 0);
    REQUIRE(getsockname(listener, (struct sockaddr *)address, &length) == 0);
    return listener;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    uint8_t first = input_take_byte(&input);
    size_t piece = (size_t)(first & 0x7F) * 16 + 1;
    const struct http_client_options options = {
        .transfers_max = 2, .timeout_ms = 5000, .response_bytes_max = BYTES_MAX, .response_cut = first & 0x80
    };
    struct event_base *base = event_base_new();
    struct answer answer = { .client = http_client_create(base, &options, NULL) };
    struct sockaddr_in address;
    int listener = open_listener(&address);
    char url[64];
    REQUIRE(answer.client);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(address.sin_port));
    REQUIRE(http_client_post(answer.client, url, NULL, 0, "{}", 2, on_done, &answer));

    int peer = -1;
    bool is_over = false;
    for (int i = 0; i < TURNS_MAX && answer.count == 0; i++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        if (peer < 0)
            peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (peer < 0)
            continue;
        struct input part = input_take(&input, piece);
        if (part.length > 0 && send(peer, part.bytes, part.length, MSG_NOSIGNAL) < 0)
            break;
        if (part.length == 0 && !is_over)
            is_over = shutdown(peer, SHUT_WR) == 0;
    }
    /* A receiver that goes on for ever is ended by the timeout; here by the end. */
    http_client_destroy(answer.client);
    REQUIRE(answer.count == 1);
    if (peer >= 0)
        close(peer);
    close(listener);
    event_base_free(base);
    return 0;
}

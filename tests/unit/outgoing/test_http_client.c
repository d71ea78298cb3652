#include "outgoing/http_client.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY_MAX = 1000 };

/* A server and a client on one event loop. */
struct fixture {
    struct event_base *base;
    struct evhttp *server;
    unsigned port;
    struct http_client *client;
    char header[128]; /* the X-Test header that the server saw last */
    char path[128];   /* and the path */
};

/* What a `done` was told. */
struct outcome {
    struct fixture *fixture;
    int calls;
    long status;
    uint64_t retry_after_ms;
    size_t length;
    char body[BODY_MAX + 1];
    char problem[512];
};

static void serve(struct evhttp_request *request, void *argument)
{
    struct fixture *fixture = argument;
    const char *path = evhttp_request_get_uri(request);
    const char *header = evhttp_find_header(evhttp_request_get_input_headers(request), "X-Test");
    struct evkeyvalq *answer_headers = evhttp_request_get_output_headers(request);
    struct evbuffer *body = evbuffer_new();
    snprintf(fixture->path, sizeof fixture->path, "%s", path);
    snprintf(fixture->header, sizeof fixture->header, "%s", header ? header : "");
    if (strcmp(path, "/hello") == 0) {
        evbuffer_add(body, "hello\0there", 11);
        evhttp_send_reply(request, 200, "OK", body);
    } else if (strncmp(path, "/sized/", 7) == 0 || strncmp(path, "/chunked/", 9) == 0) {
        bool chunked = path[1] == 'c';
        for (int left = atoi(strrchr(path, '/') + 1); left > 0; left--)
            evbuffer_add(body, "x", 1);
        if (chunked) {
            evhttp_send_reply_start(request, 200, "OK");
            evhttp_send_reply_chunk(request, body);
            evhttp_send_reply_end(request);
        } else {
            evhttp_send_reply(request, 200, "OK", body);
        }
    } else if (strcmp(path, "/echo") == 0) {
        cr_assert_eq(evhttp_request_get_command(request), EVHTTP_REQ_POST);
        cr_assert_null(evhttp_find_header(evhttp_request_get_input_headers(request), "Expect"));
        evbuffer_add_buffer(body, evhttp_request_get_input_buffer(request));
        evhttp_send_reply(request, 201, "Created", body);
    } else if (strncmp(path, "/later/", 7) == 0) {
        evhttp_add_header(answer_headers, "Retry-After", path + 7);
        evhttp_send_reply(request, 429, "Too Many Requests", body);
    } else if (strcmp(path, "/moved") == 0) {
        evhttp_add_header(answer_headers, "Location", "/hello");
        evhttp_send_reply(request, 302, "Found", body);
    } else if (strcmp(path, "/circle") == 0) {
        evhttp_add_header(answer_headers, "Location", "/circle");
        evhttp_send_reply(request, 302, "Found", body);
    } else if (strcmp(path, "/to-file") == 0) {
        evhttp_add_header(answer_headers, "Location", "file:///etc/hostname");
        evhttp_send_reply(request, 302, "Found", body);
    } else {
        evhttp_send_reply(request, 404, "Not Found", body);
    }
    evbuffer_free(body);
}

static void on_done(void *context, long status, const char *body, size_t body_length, const char *problem)
{
    struct outcome *outcome = context;
    outcome->calls++;
    outcome->status = status;
    outcome->length = body_length;
    if (outcome->fixture)
        outcome->retry_after_ms = http_client_retry_after_ms(outcome->fixture->client);
    cr_assert_not_null(body);
    cr_assert_leq(body_length, BODY_MAX);
    memcpy(outcome->body, body, body_length);
    cr_assert_eq(problem != NULL, status == 0);
    snprintf(outcome->problem, sizeof outcome->problem, "%s", problem ? problem : "");
}

static struct fixture *setup_with(struct http_client_options options)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->base = event_base_new();
    fixture->server = evhttp_new(fixture->base);
    evhttp_set_gencb(fixture->server, serve, fixture);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(fixture->server, "127.0.0.1", 0);
    cr_assert_not_null(bound);
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length);
    fixture->port = ntohs(address.sin_port);
    fixture->client = http_client_create(fixture->base, &options, NULL);
    cr_assert_not_null(fixture->client);
    return fixture;
}

static struct fixture *setup(void)
{
    return setup_with((struct http_client_options){
        .transfers_max = 3, .timeout_ms = 10000, .response_bytes_max = BODY_MAX, .redirects_max = 2 });
}

static void teardown(struct fixture *fixture)
{
    http_client_destroy(fixture->client);
    evhttp_free(fixture->server);
    event_base_free(fixture->base);
    free(fixture);
}

static void wait_for(struct fixture *fixture, const struct outcome *outcome)
{
    while (outcome->calls == 0)
        cr_assert_eq(event_base_loop(fixture->base, EVLOOP_ONCE), 0, "nothing left to wait for");
    cr_assert_eq(outcome->calls, 1);
}

static bool start(struct fixture *fixture, const char *path, struct outcome *outcome)
{
    char url[256];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", fixture->port, path);
    *outcome = (struct outcome){ .fixture = fixture };
    return http_client_get(fixture->client, url, NULL, 0, on_done, outcome);
}

static void get(struct fixture *fixture, const char *path, struct outcome *outcome)
{
    cr_assert(start(fixture, path, outcome));
    cr_assert_eq(outcome->calls, 0, "done was called inside the get");
    wait_for(fixture, outcome);
}

static void get_url(struct fixture *fixture, const char *url, struct outcome *outcome)
{
    *outcome = (struct outcome){ .fixture = fixture };
    cr_assert(http_client_get(fixture->client, url, NULL, 0, on_done, outcome));
    wait_for(fixture, outcome);
}

Test(http_client, answers_with_any_status)
{
    struct fixture *fixture = setup();
    struct outcome outcome;
    get(fixture, "/hello", &outcome);
    cr_assert_eq(outcome.status, 200, "%s", outcome.problem);
    cr_assert_eq(outcome.length, 11);
    cr_assert_eq(memcmp(outcome.body, "hello\0there", 11), 0);
    get(fixture, "/nothing", &outcome);
    cr_assert_eq(outcome.status, 404);
    cr_assert_eq(outcome.length, 0);
    teardown(fixture);
}

Test(http_client, sends_headers)
{
    struct fixture *fixture = setup();
    struct outcome outcome = { .fixture = fixture };
    char url[64];
    char header[] = "X-Test: some value";
    const char *const headers[] = { "Accept: application/json", header };
    snprintf(url, sizeof url, "http://127.0.0.1:%u/hello", fixture->port);
    cr_assert(http_client_get(fixture->client, url, headers, 2, on_done, &outcome));
    memset(header, '?', sizeof header - 1); /* they were copied */
    memset(url, '?', sizeof url - 1);
    wait_for(fixture, &outcome);
    cr_assert_str_eq(fixture->header, "some value");

    const char *const smuggled[] = { "X-Test: a\r\nX-Other: b" };
    cr_assert_not(http_client_get(fixture->client, "http://127.0.0.1/", smuggled, 1, on_done, &outcome));
    teardown(fixture);
}

Test(http_client, bodies_are_bounded)
{
    struct fixture *fixture = setup();
    struct outcome outcome;
    static const char *const kinds[] = { "sized", "chunked" };
    for (size_t i = 0; i < 2; i++) {
        char path[32];
        snprintf(path, sizeof path, "/%s/%d", kinds[i], BODY_MAX);
        get(fixture, path, &outcome);
        cr_assert_eq(outcome.status, 200, "%s", outcome.problem);
        cr_assert_eq(outcome.length, BODY_MAX);
        snprintf(path, sizeof path, "/%s/%d", kinds[i], BODY_MAX + 1);
        get(fixture, path, &outcome);
        cr_assert_str_eq(outcome.problem, "The answer is larger than 1000 bytes.");
    }
    teardown(fixture);
}

Test(http_client, redirects)
{
    struct fixture *fixture = setup();
    struct outcome outcome;
    get(fixture, "/moved", &outcome);
    cr_assert_eq(outcome.status, 200);
    get(fixture, "/circle", &outcome);
    cr_assert_eq(outcome.status, 0);
    get(fixture, "/to-file", &outcome);
    cr_assert_eq(outcome.status, 0);
    cr_assert_neq(outcome.problem[0], '\0');
    teardown(fixture);

    fixture = setup_with((struct http_client_options){
        .transfers_max = 1, .timeout_ms = 10000, .response_bytes_max = BODY_MAX });
    get(fixture, "/moved", &outcome);
    cr_assert_eq(outcome.status, 302);
    teardown(fixture);
}

Test(http_client, other_schemes_and_nonsense_fail)
{
    struct fixture *fixture = setup();
    struct outcome outcome;
    static const char *const urls[] = { "file:///etc/hostname", "ftp://127.0.0.1/", "http://", "",
                                        "http://[::1" };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        get_url(fixture, urls[i], &outcome);
        cr_assert_eq(outcome.status, 0, "%s", urls[i]);
        cr_assert_gt(strlen(outcome.problem), 5);
    }
    teardown(fixture);
}

Test(http_client, plain_text_is_no_tls)
{
    struct fixture *fixture = setup();
    struct outcome outcome;
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%u/hello", fixture->port);
    get_url(fixture, url, &outcome);
    cr_assert_eq(outcome.status, 0);
    teardown(fixture);
}

/* A socket that is bound, and listens or not. It never answers. */
static int silent_socket(bool listening, unsigned *ret_port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(descriptor, (struct sockaddr *)&address, length), 0);
    if (listening)
        cr_assert_eq(listen(descriptor, 10), 0);
    getsockname(descriptor, (struct sockaddr *)&address, &length);
    *ret_port = ntohs(address.sin_port);
    return descriptor;
}

Test(http_client, no_server)
{
    struct fixture *fixture = setup();
    struct outcome outcome;
    char url[64];
    unsigned port;
    int descriptor = silent_socket(false, &port);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
    get_url(fixture, url, &outcome);
    cr_assert_eq(outcome.status, 0);
    cr_assert_not_null(strstr(outcome.problem, "127.0.0.1"), "%s", outcome.problem);
    close(descriptor);
    teardown(fixture);
}

Test(http_client, no_answer)
{
    struct fixture *fixture = setup_with(
        (struct http_client_options){ .transfers_max = 1, .timeout_ms = 50, .response_bytes_max = BODY_MAX });
    struct outcome outcome;
    char url[64];
    unsigned port;
    int descriptor = silent_socket(true, &port);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
    get_url(fixture, url, &outcome);
    cr_assert_str_eq(outcome.problem, "No complete answer came within 50 ms.");
    close(descriptor);
    teardown(fixture);
}

Test(http_client, environment_has_no_say)
{
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
    struct fixture *fixture = setup();
    struct outcome outcome;
    get(fixture, "/hello", &outcome);
    cr_assert_eq(outcome.status, 200, "%s", outcome.problem);
    teardown(fixture);
}

Test(http_client, only_so_many_at_once)
{
    struct fixture *fixture = setup();
    struct outcome outcomes[3];
    struct outcome refused;
    for (int i = 0; i < 3; i++)
        cr_assert(start(fixture, "/hello", &outcomes[i]));
    cr_assert_not(start(fixture, "/hello", &refused));
    for (int i = 0; i < 3; i++) {
        wait_for(fixture, &outcomes[i]);
        cr_assert_eq(outcomes[i].status, 200);
    }
    cr_assert_eq(refused.calls, 0);
    get(fixture, "/hello", &refused);
    cr_assert_eq(refused.status, 200);
    teardown(fixture);
}

static void on_done_start_another(void *context, long status, const char *body, size_t body_length,
                                  const char *problem)
{
    struct outcome *outcome = context;
    on_done(&outcome[0], status, body, body_length, problem);
    if (!start(outcome->fixture, "/hello", &outcome[1]))
        outcome[1].calls = -1;
}

Test(http_client, another_one_from_done)
{
    struct fixture *fixture = setup_with((struct http_client_options){
        .transfers_max = 1, .timeout_ms = 10000, .response_bytes_max = BODY_MAX });
    struct outcome outcomes[2] = { { .fixture = fixture } };
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/nothing", fixture->port);
    cr_assert(http_client_get(fixture->client, url, NULL, 0, on_done_start_another, outcomes));
    wait_for(fixture, &outcomes[0]);
    wait_for(fixture, &outcomes[1]);
    cr_assert_eq(outcomes[0].status, 404);
    cr_assert_eq(outcomes[1].status, 200);
    teardown(fixture);
}

Test(http_client, destroyed_while_running)
{
    struct fixture *fixture = setup();
    struct outcome first, second[2];
    unsigned port;
    int descriptor = silent_socket(true, &port);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
    get(fixture, "/hello", &first); /* leaves a connection for reuse */
    cr_assert(start(fixture, "/hello", &first));
    second[0] = (struct outcome){ .fixture = fixture };
    cr_assert(http_client_get(fixture->client, url, NULL, 0, on_done_start_another, second));
    event_base_loop(fixture->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    teardown(fixture);
    cr_assert_eq(second[0].calls, 1);
    cr_assert_str_eq(second[0].problem, "The gateway is shutting down.");
    cr_assert_eq(second[1].calls, -1, "a transfer was started on a client that goes");
    cr_assert_eq(first.calls, 1);
    close(descriptor);
    http_client_destroy(NULL);
}

static void expect_url(const char *url_template, const char *value, size_t length, const char *expected)
{
    char *url = http_client_expand(url_template, "id", value, length);
    if (expected)
        cr_assert_str_eq(url, expected);
    else
        cr_assert_null(url);
    free(url);
}

Test(http_client, expands_templates)
{
    expect_url("http://o/batches/{id}", "42", 2, "http://o/batches/42");
    expect_url("http://o/{id}/x?b={id}", "a-._~Z", 6, "http://o/a-._~Z/x?b=a-._~Z");
    expect_url("http://o/{id}", "a/b?c#d%e f&g", 13, "http://o/a%2Fb%3Fc%23d%25e%20f%26g");
    expect_url("http://o/{id}", "\0\xC3\xBC{id}", 7, "http://o/%00%C3%BC%7Bid%7D");
    expect_url("http://o/{other}/{id", "1", 1, "http://o/{other}/{id");
    expect_url("http://o/{", "1", 1, "http://o/{");
    expect_url("", "1", 1, "");
}

Test(http_client, values_that_are_no_segment)
{
    expect_url("http://o/{id}", "", 0, NULL);
    expect_url("http://o/{id}", ".", 1, NULL);
    expect_url("http://o/{id}", "..", 2, NULL);
    expect_url("http://o/{id}", "...", 3, "http://o/...");
    expect_url("http://o/{id}", "../x", 4, "http://o/..%2Fx");
}

Test(http_client, paths_are_sent_as_they_are)
{
    struct fixture *fixture = setup();
    struct outcome outcome;
    get(fixture, "/a/../hello", &outcome);
    cr_assert_str_eq(fixture->path, "/a/../hello");
    teardown(fixture);
}

static void post(struct fixture *fixture, const char *path, const char *body, size_t length,
                 struct outcome *outcome)
{
    static const char *const headers[] = { "Content-Type: application/json", "X-Test: posted" };
    char url[256];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", fixture->port, path);
    *outcome = (struct outcome){ .fixture = fixture };
    cr_assert(http_client_post(fixture->client, url, headers, 2, body, length, on_done, outcome));
    cr_assert_eq(outcome->calls, 0, "done was called inside the post");
    wait_for(fixture, outcome);
}

Test(http_client, posts_a_body)
{
    struct fixture *fixture = setup();
    struct outcome outcome;
    char body[] = "{\"a\":1}\0behind";
    post(fixture, "/echo", body, sizeof body - 1, &outcome);
    cr_assert_eq(outcome.status, 201, "%s", outcome.problem);
    cr_assert_eq(outcome.length, sizeof body - 1);
    cr_assert_arr_eq(outcome.body, body, sizeof body - 1);
    cr_assert_str_eq(fixture->header, "posted");
    post(fixture, "/echo", "", 0, &outcome);
    cr_assert_eq(outcome.status, 201);
    cr_assert_eq(outcome.length, 0);
    get(fixture, "/hello", &outcome); /* the same connection serves a GET afterwards */
    cr_assert_eq(outcome.status, 200);
    teardown(fixture);
}

Test(http_client, the_body_is_copied)
{
    struct fixture *fixture = setup();
    struct outcome outcome = { .fixture = fixture };
    char url[64], body[] = "before";
    snprintf(url, sizeof url, "http://127.0.0.1:%u/echo", fixture->port);
    cr_assert(http_client_post(fixture->client, url, NULL, 0, body, 6, on_done, &outcome));
    memcpy(body, "behind", 6);
    wait_for(fixture, &outcome);
    cr_assert_arr_eq(outcome.body, "before", 6);
    teardown(fixture);
}

Test(http_client, says_how_long_to_wait)
{
    struct fixture *fixture = setup();
    struct outcome outcome;
    post(fixture, "/later/120", "{}", 2, &outcome);
    cr_assert_eq(outcome.status, 429);
    cr_assert_eq(outcome.retry_after_ms, 120000);
    get(fixture, "/later/Fri,%2031%20Dec%201999%2023:59:59%20GMT",
        &outcome); /* %20 is no space in a header */
    cr_assert_eq(outcome.retry_after_ms, 0);
    get(fixture, "/later/99999999999", &outcome);
    cr_assert_eq(outcome.retry_after_ms, 21600000, "six hours are the most");
    get(fixture, "/later/-5", &outcome);
    cr_assert_eq(outcome.retry_after_ms, 0);
    get(fixture, "/hello", &outcome);
    cr_assert_eq(outcome.retry_after_ms, 0, "it is another answer");
    teardown(fixture);
}

Test(http_client, long_answers_can_be_cut)
{
    struct fixture *fixture = setup_with((struct http_client_options){
        .transfers_max = 1, .timeout_ms = 10000, .response_bytes_max = 10, .response_cut = true });
    struct outcome outcome;
    static const char *const paths[] = { "/sized/9",       "/sized/10",   "/sized/11",
                                         "/sized/1000000", "/chunked/11", "/chunked/1000000" };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        get(fixture, paths[i], &outcome);
        cr_assert_eq(outcome.status, 200, "%s: %s", paths[i], outcome.problem);
        cr_assert_eq(outcome.length, i == 0 ? 9 : 10, "%s", paths[i]);
    }
    teardown(fixture);
}

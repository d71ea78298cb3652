#include "consumers/sink_outlet.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define OUTCOMES 8

struct outcome {
    int calls;
    enum outlet_end end;
    char reason[600];
};

/* A receiver and an outlet on one event loop. */
struct fixture {
    struct event_base *base;
    struct evhttp *server;
    struct sink_options options;
    struct sink_figures figures;
    struct outlet *outlet;
    char url[64];
    int status;       /* what the receiver answers; 0: nothing, until it is told */
    const char *text; /* with this body */
    int requests;
    struct evhttp_request *open[OUTCOMES]; /* not answered yet */
    int open_count;
    char attempts[64]; /* of all requests, in the order they came */
    char last_body[64];
    char last_event[64];
    struct outcome outcomes[OUTCOMES];
};

static void answer(struct fixture *fixture, struct evhttp_request *request)
{
    struct evbuffer *body = evbuffer_new();
    evbuffer_add(body, fixture->text, strlen(fixture->text));
    evhttp_send_reply(request, fixture->status, "x", body);
    evbuffer_free(body);
}

static void serve(struct evhttp_request *request, void *argument)
{
    struct fixture *fixture = argument;
    struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
    struct evbuffer *body = evhttp_request_get_input_buffer(request);
    const char *event = evhttp_find_header(headers, "sluice-event");
    size_t used = strlen(fixture->attempts);
    cr_assert_eq(evhttp_request_get_command(request), EVHTTP_REQ_POST);
    cr_assert_str_eq(evhttp_find_header(headers, "content-type"), "application/json");
    snprintf(fixture->attempts + used, sizeof(fixture->attempts) - used, "%s,",
             evhttp_find_header(headers, "sluice-attempt"));
    snprintf(fixture->last_event, sizeof(fixture->last_event), "%s", event ? event : "");
    size_t length = evbuffer_get_length(body);
    evbuffer_copyout(body, fixture->last_body, length);
    fixture->last_body[length] = '\0';
    fixture->requests++;
    if (fixture->status)
        answer(fixture, request);
    else
        fixture->open[fixture->open_count++] = request;
}

static void answer_open(struct fixture *fixture, int status)
{
    fixture->status = status;
    while (fixture->open_count > 0)
        answer(fixture, fixture->open[--fixture->open_count]);
}

static struct fixture *set_up(size_t concurrency, uint64_t retries)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->base = event_base_new();
    fixture->server = evhttp_new(fixture->base);
    fixture->status = 200;
    fixture->text = "";
    evhttp_set_gencb(fixture->server, serve, fixture);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(fixture->server, "127.0.0.1", 0);
    struct sockaddr_in address;
    socklen_t length = sizeof(address);
    getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length);
    snprintf(fixture->url, sizeof(fixture->url), "http://127.0.0.1:%u/hook", ntohs(address.sin_port));
    fixture->options = (struct sink_options){
        .name = "w",
        .topic = "s",
        .url = fixture->url,
        .headers = "",
        .timeout_ms = 20000,
        .retries = retries,
        .wait_first_ms = 2,
        .wait_last_ms = 4,
        .concurrency = concurrency,
    };
    fixture->outlet = outlet_create(fixture->base, &fixture->options, &fixture->figures, NULL);
    cr_assert_not_null(fixture->outlet);
    return fixture;
}

static void tear_down(struct fixture *fixture)
{
    outlet_destroy(fixture->outlet);
    evhttp_free(fixture->server);
    event_base_free(fixture->base);
    free(fixture);
}

static void on_done(void *context, enum outlet_end end, const char *reason)
{
    struct outcome *outcome = context;
    outcome->calls++;
    outcome->end = end;
    snprintf(outcome->reason, sizeof(outcome->reason), "%s", reason ? reason : "");
}

static void post(struct fixture *fixture, int index, const char *body, uint64_t failures)
{
    const struct outlet_message message = { .id = "id",
                                            .event = "e",
                                            .event_length = 1,
                                            .body = body,
                                            .body_length = strlen(body),
                                            .failures = failures };
    cr_assert(outlet_post(fixture->outlet, &message, on_done, &fixture->outcomes[index]));
    cr_assert_eq(fixture->outcomes[index].calls, 0, "done was called inside the post");
}

static void turn(struct fixture *fixture)
{
    cr_assert_eq(event_base_loop(fixture->base, EVLOOP_ONCE), 0, "nothing left to wait for");
}

static void expect_end(struct fixture *fixture, int index, enum outlet_end end, const char *reason)
{
    struct outcome *outcome = &fixture->outcomes[index];
    while (outcome->calls == 0)
        turn(fixture);
    cr_assert_eq(outcome->calls, 1);
    cr_assert_eq(outcome->end, end);
    cr_assert_str_eq(outcome->reason, reason);
}

Test(sink_outlet, delivers)
{
    struct fixture *fixture = set_up(1, 0);
    post(fixture, 0, "{\"a\":1}", 0);
    cr_assert_eq(outlet_count(fixture->outlet), 1);
    expect_end(fixture, 0, OUTLET_DELIVERED, "");
    cr_assert_str_eq(fixture->last_body, "{\"a\":1}");
    cr_assert_str_eq(fixture->last_event, "e");
    cr_assert_eq(outlet_count(fixture->outlet), 0);
    cr_assert_eq(fixture->figures.attempts[SINK_ACCEPTED], 1);
    cr_assert_eq(fixture->figures.duration.count, 1);
    tear_down(fixture);
}

Test(sink_outlet, an_answer_may_be_of_any_length)
{
    static char text[1 << 20];
    memset(text, 'x', sizeof(text) - 1);
    struct fixture *fixture = set_up(1, 0);
    fixture->text = text;
    post(fixture, 0, "{}", 0);
    expect_end(fixture, 0, OUTLET_DELIVERED, "");
    fixture->status = 400;
    post(fixture, 1, "{}", 0);
    char reason[600];
    snprintf(reason, sizeof(reason), "HTTP 400: %.200s", text);
    expect_end(fixture, 1, OUTLET_REFUSED, reason);
    tear_down(fixture);
}

Test(sink_outlet, a_refusal_is_not_tried_again)
{
    struct fixture *fixture = set_up(1, 5);
    fixture->status = 410;
    fixture->text = "gone\r\n\tfor good \xc3\xbc\n";
    post(fixture, 0, "{}", 0);
    expect_end(fixture, 0, OUTLET_REFUSED, "HTTP 410: gone   for good");
    cr_assert_eq(fixture->requests, 1);
    tear_down(fixture);
}

Test(sink_outlet, failures_are_tried_again_and_counted_on)
{
    struct fixture *fixture = set_up(1, 2);
    fixture->status = 500;
    post(fixture, 0, "{}", 6);
    expect_end(fixture, 0, OUTLET_EXHAUSTED, "HTTP 500");
    cr_assert_str_eq(fixture->attempts, "7,8,9,");
    cr_assert_eq(fixture->figures.attempts[SINK_FAILED], 3);
    cr_assert_eq(outlet_count(fixture->outlet), 0);
    tear_down(fixture);
}

Test(sink_outlet, success_forgets_what_was_wrong)
{
    struct fixture *fixture = set_up(1, 100000);
    fixture->status = 503;
    post(fixture, 0, "{}", 0);
    while (fixture->requests < 3)
        turn(fixture);
    fixture->status = 204;
    expect_end(fixture, 0, OUTLET_DELIVERED, "");
    tear_down(fixture);
}

Test(sink_outlet, nobody_there)
{
    struct fixture *fixture = set_up(1, 1);
    snprintf(fixture->url, sizeof(fixture->url), "http://127.0.0.1:1/secret");
    post(fixture, 0, "{}", 0);
    while (fixture->outcomes[0].calls == 0)
        turn(fixture);
    cr_assert_eq(fixture->outcomes[0].end, OUTLET_EXHAUSTED);
    cr_assert_not_null(strstr(fixture->outcomes[0].reason, "127.0.0.1"), "%s", fixture->outcomes[0].reason);
    cr_assert_null(strstr(fixture->outcomes[0].reason, "secret"));
    tear_down(fixture);
}

Test(sink_outlet, so_many_at_a_time_in_their_order)
{
    struct fixture *fixture = set_up(2, 0);
    fixture->status = 0;
    for (int i = 0; i < 4; i++)
        post(fixture, i, i == 3 ? "last" : "{}", 0);
    while (fixture->open_count < 2)
        turn(fixture);
    for (int i = 0; i < 5; i++)
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
    cr_assert_eq(fixture->requests, 2);
    answer_open(fixture, 200);
    for (int i = 0; i < 4; i++)
        expect_end(fixture, i, OUTLET_DELIVERED, "");
    cr_assert_str_eq(fixture->last_body, "last");
    tear_down(fixture);
}

Test(sink_outlet, names_of_events_may_be_missing_or_too_long)
{
    char name[OUTLET_EVENT_MAX + 1];
    memset(name, 'n', sizeof(name));
    struct fixture *fixture = set_up(1, 0);
    struct outlet_message message = { .id = "id", .body = "", .event = name, .event_length = sizeof(name) };
    cr_assert(outlet_post(fixture->outlet, &message, on_done, &fixture->outcomes[0]));
    expect_end(fixture, 0, OUTLET_DELIVERED, "");
    cr_assert_str_eq(fixture->last_event, "");
    cr_assert_str_eq(fixture->last_body, "");
    message.event = NULL;
    message.event_length = 0;
    cr_assert(outlet_post(fixture->outlet, &message, on_done, &fixture->outcomes[1]));
    expect_end(fixture, 1, OUTLET_DELIVERED, "");
    tear_down(fixture);
}

Test(sink_outlet, draining_finishes_what_is_being_sent)
{
    struct fixture *fixture = set_up(2, 100000);
    fixture->status = 0;
    for (int i = 0; i < 3; i++)
        post(fixture, i, "{}", 0);
    while (fixture->open_count < 2)
        turn(fixture);
    outlet_drain(fixture->outlet);
    expect_end(fixture, 2, OUTLET_STOPPED, "");
    cr_assert_eq(outlet_count(fixture->outlet), 2);
    const struct outlet_message message = { .id = "id", .body = "" };
    cr_assert_not(outlet_post(fixture->outlet, &message, on_done, NULL));
    fixture->status = 200;
    answer(fixture, fixture->open[--fixture->open_count]);
    answer_open(fixture, 500);
    while (outlet_count(fixture->outlet) > 0)
        turn(fixture);
    cr_assert_eq(fixture->outcomes[0].calls + fixture->outcomes[1].calls, 2);
    cr_assert_eq(
        (fixture->outcomes[0].end == OUTLET_DELIVERED) + (fixture->outcomes[1].end == OUTLET_DELIVERED), 1);
    cr_assert_eq((fixture->outcomes[0].end == OUTLET_STOPPED) + (fixture->outcomes[1].end == OUTLET_STOPPED),
                 1);
    cr_assert_eq(fixture->requests, 2);
    tear_down(fixture);
}

Test(sink_outlet, draining_ends_what_waits_for_its_next_attempt)
{
    struct fixture *fixture = set_up(1, 5);
    fixture->options.wait_first_ms = fixture->options.wait_last_ms = 3600000;
    fixture->status = 500;
    post(fixture, 0, "{}", 0);
    while (fixture->figures.attempts[SINK_FAILED] == 0)
        turn(fixture);
    outlet_drain(fixture->outlet);
    expect_end(fixture, 0, OUTLET_STOPPED, "HTTP 500");
    cr_assert_eq(outlet_count(fixture->outlet), 0);
    tear_down(fixture);
}

Test(sink_outlet, destroyed_in_every_state)
{
    struct fixture *fixture = set_up(1, 5);
    fixture->options.wait_first_ms = fixture->options.wait_last_ms = 3600000;
    fixture->status = 500;
    post(fixture, 0, "{}", 0);
    while (fixture->figures.attempts[SINK_FAILED] == 0)
        turn(fixture);
    post(fixture, 1, "{}", 0);
    post(fixture, 2, "{}", 0);
    tear_down(fixture); /* one waits, one is being sent, one is ready */
    outlet_destroy(NULL);
}

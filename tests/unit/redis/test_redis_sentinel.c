#include "redis/redis_sentinel.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/redis_target.h"
#include "redis_fixture.h"

#define SENTINELS_MAX 3
#define QUESTION "*3\r\n$8\r\nSENTINEL\r\n$23\r\nGET-MASTER-ADDR-BY-NAME\r\n$8\r\nmymaster\r\n"
#define ADDRESS "*2\r\n$9\r\n127.0.0.9\r\n$4\r\n6390\r\n"

/* Answers whatever it is asked with the same bytes; NULL: it says nothing. */
struct fake_sentinel {
    struct evconnlistener *listener;
    const char *answer;
    uint16_t port;
    unsigned connections;
    char heard[512];
};

struct fixture {
    struct event_base *base;
    struct fake_sentinel fakes[SENTINELS_MAX];
    size_t fake_count;
    struct redis_url url;
    struct redis_sentinel *sentinel;
    unsigned answers;
    char host[256];
    uint16_t port;
    char problem[512];
};

static void on_question(struct bufferevent *connection, void *context)
{
    struct fake_sentinel *fake = context;
    size_t heard = strlen(fake->heard);
    size_t got = bufferevent_read(connection, fake->heard + heard, sizeof(fake->heard) - 1 - heard);
    fake->heard[heard + got] = '\0';
    if (fake->answer)
        bufferevent_write(connection, fake->answer, strlen(fake->answer));
}

static void on_end(struct bufferevent *connection, short what, void *context)
{
    (void)what;
    (void)context;
    bufferevent_free(connection);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t descriptor, struct sockaddr *address,
                      int length, void *context)
{
    (void)address;
    (void)length;
    struct fake_sentinel *fake = context;
    struct bufferevent *connection =
        bufferevent_socket_new(evconnlistener_get_base(listener), descriptor, BEV_OPT_CLOSE_ON_FREE);
    fake->connections++;
    fake->heard[0] = '\0';
    bufferevent_setcb(connection, on_question, NULL, on_end, fake);
    bufferevent_enable(connection, EV_READ | EV_WRITE);
}

static void add_fake(struct fixture *fixture, const char *answer)
{
    struct fake_sentinel *fake = &fixture->fakes[fixture->fake_count++];
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t length = sizeof(address);
    fake->answer = answer;
    fake->listener = evconnlistener_new_bind(fixture->base, on_accept, fake, LEV_OPT_CLOSE_ON_FREE, 8,
                                             (struct sockaddr *)&address, sizeof(address));
    cr_assert_not_null(fake->listener);
    getsockname(evconnlistener_get_fd(fake->listener), (struct sockaddr *)&address, &length);
    fake->port = ntohs(address.sin_port);
}

static void on_done(void *context, const char *host, uint16_t port, const char *problem)
{
    struct fixture *fixture = context;
    fixture->answers++;
    fixture->port = port;
    snprintf(fixture->host, sizeof(fixture->host), "%s", host ? host : "");
    snprintf(fixture->problem, sizeof(fixture->problem), "%s", problem ? problem : "");
}

static bool is_answered(void *context)
{
    return ((struct fixture *)context)->answers > 0;
}

/* Sentinels that give these answers, and what is to be known of them, asked once. */
static void ask(struct fixture *fixture)
{
    fixture->answers = 0;
    redis_sentinel_ask(fixture->sentinel);
    cr_assert_eq(fixture->answers, 0u, "not inside");
    cr_assert(wait_until(fixture->base, is_answered, fixture, 5000));
    cr_assert_eq(fixture->answers, 1u);
}

static void open_fixture(struct fixture *fixture, size_t count, const char *const *answers,
                         const char *parameters)
{
    *fixture = (struct fixture){ .base = event_base_new() };
    char text[512] = "redis+sentinel://";
    for (size_t i = 0; i < count; i++) {
        add_fake(fixture, answers[i]);
        size_t length = strlen(text);
        snprintf(text + length, sizeof(text) - length, "%s127.0.0.1:%u", i > 0 ? "," : "",
                 (unsigned)fixture->fakes[i].port);
    }
    strcat(text, "/mymaster");
    strcat(text, parameters);
    const char *problem = NULL;
    cr_assert(redis_url_parse(text, &fixture->url, &problem), "%s: %s", text, problem);
    const struct redis_sentinel_options options = { .url = &fixture->url };
    fixture->sentinel = redis_sentinel_create(fixture->base, NULL, &options, on_done, fixture);
    cr_assert_not_null(fixture->sentinel);
}

static void close_fixture(struct fixture *fixture)
{
    redis_sentinel_destroy(fixture->sentinel);
    for (size_t i = 0; i < fixture->fake_count; i++)
        if (fixture->fakes[i].listener)
            evconnlistener_free(fixture->fakes[i].listener);
    wait_ms(fixture->base, 20);
    redis_url_clear(&fixture->url);
    event_base_free(fixture->base);
}

Test(redis_sentinel, gives_the_masters_address)
{
    struct fixture fixture;
    const char *const answers[] = { ADDRESS };
    open_fixture(&fixture, 1, answers, "");
    ask(&fixture);
    cr_assert_str_eq(fixture.host, "127.0.0.9");
    cr_assert_eq(fixture.port, 6390);
    cr_assert_str_eq(fixture.fakes[0].heard, QUESTION);
    close_fixture(&fixture);
}

Test(redis_sentinel, gives_its_password)
{
    struct fixture fixture;
    const char *const answers[] = { "+OK\r\n" ADDRESS };
    open_fixture(&fixture, 1, answers, "?sentinel_user=u&sentinel_password=pw");
    ask(&fixture);
    cr_assert_str_eq(fixture.host, "127.0.0.9");
    cr_assert_str_eq(fixture.fakes[0].heard, "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$2\r\npw\r\n" QUESTION);
    close_fixture(&fixture);
}

Test(redis_sentinel, asks_the_next_one_and_stays_with_it)
{
    struct fixture fixture;
    const char *const answers[] = { "*-1\r\n", "-NOAUTH Authentication required.\r\n", ADDRESS };
    open_fixture(&fixture, 3, answers, "");
    ask(&fixture);
    cr_assert_str_eq(fixture.host, "127.0.0.9");
    cr_assert_eq(fixture.fakes[0].connections, 1u);
    cr_assert_eq(fixture.fakes[1].connections, 1u);
    ask(&fixture);
    cr_assert_eq(fixture.fakes[0].connections, 1u);
    cr_assert_eq(fixture.fakes[2].connections, 2u);
    close_fixture(&fixture);
}

Test(redis_sentinel, says_why_none_is_of_use)
{
    static const struct {
        const char *answer, *words;
    } cases[] = {
        { "*-1\r\n", "knows no master of this name" },
        { "-NOAUTH Authentication required.\r\n", "NOAUTH" },
        { "+OK\r\n", "no address" },
        { "*2\r\n$1\r\nh\r\n$5\r\n65536\r\n", "no address" },
        { "*2\r\n$0\r\n\r\n$1\r\n1\r\n", "no address" },
        { "*1\r\n$1\r\nh\r\n", "no address" },
        { "HTTP/1.1 400 Bad Request\r\n", "Protocol error" },
        { "$629145600\r\n", "larger than allowed" },
        { NULL, "no answer within 1 s" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture fixture;
        open_fixture(&fixture, 1, &cases[i].answer, "");
        ask(&fixture);
        cr_assert_str_eq(fixture.host, "");
        cr_assert_not_null(strstr(fixture.problem, cases[i].words), "%s: %s", cases[i].words,
                           fixture.problem);
        close_fixture(&fixture);
    }
}

Test(redis_sentinel, goes_past_one_that_is_away)
{
    struct fixture fixture;
    const char *const answers[] = { ADDRESS, ADDRESS };
    open_fixture(&fixture, 2, answers, "");
    evconnlistener_free(fixture.fakes[0].listener);
    fixture.fakes[0].listener = NULL;
    ask(&fixture);
    cr_assert_eq(fixture.port, 6390);
    cr_assert_eq(fixture.fakes[1].connections, 1u);
    close_fixture(&fixture);
}

Test(redis_sentinel, cancelled_it_says_nothing)
{
    struct fixture fixture;
    const char *const answers[] = { ADDRESS };
    open_fixture(&fixture, 1, answers, "");
    redis_sentinel_ask(fixture.sentinel);
    redis_sentinel_cancel(fixture.sentinel);
    wait_ms(fixture.base, 100);
    cr_assert_eq(fixture.answers, 0u);
    close_fixture(&fixture);
}

/* --- the target, which asks them ------------------------------------------------------------------------ */

struct attempt {
    unsigned ends;
    int descriptor;
};

static void on_connected(void *context, int descriptor, const char *problem)
{
    (void)problem;
    struct attempt *attempt = context;
    attempt->ends++;
    attempt->descriptor = descriptor;
    if (descriptor >= 0)
        evutil_closesocket(descriptor);
}

static bool has_ended(void *context)
{
    return ((struct attempt *)context)->ends > 0;
}

static bool connects(struct fixture *fixture, struct redis_target *target, struct attempt *attempt)
{
    attempt->ends = 0;
    redis_target_connect(target, 1000);
    cr_assert(wait_until(fixture->base, has_ended, attempt, 5000));
    return attempt->descriptor >= 0;
}

Test(redis_sentinel, one_that_names_the_wrong_master_for_ever_is_not_asked_for_ever)
{
    struct fixture fixture;
    struct attempt attempt;
    char wrong[64], right[64];
    const char *const answers[] = { wrong, right };
    snprintf(wrong, sizeof(wrong), "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%05d\r\n", free_port());
    open_fixture(&fixture, 2, answers, "");
    snprintf(right, sizeof(right), "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%05u\r\n",
             (unsigned)fixture.fakes[1].port);
    const struct redis_target_options options = { .url = &fixture.url };
    const struct redis_target_events events = { .on_connected = on_connected, .context = &attempt };
    struct redis_target *target = redis_target_create(fixture.base, NULL, &options, &events);
    cr_assert_not_null(target);
    cr_assert(!connects(&fixture, target, &attempt));
    cr_assert(connects(&fixture, target, &attempt));
    redis_target_watch(target);
    cr_assert(connects(&fixture, target, &attempt), "it stays with whose word was good");
    cr_assert_eq(fixture.fakes[0].connections, 1u);
    redis_target_destroy(target);
    close_fixture(&fixture);
}

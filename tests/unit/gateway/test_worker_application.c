/*
 * A question on its way between a worker's thread and the main thread, called off and dropped wherever it is.
 * Both loops are run by hand. Freed twice or not at all is what the address sanitizer is for.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../access/source_fixture.h"
#include "base/clock.h"
#include "gateway/event_loop.h"
#include "gateway/shared_access.h"
#include "gateway/worker.h"

#define PATIENCE_MS 10000

struct fixture {
    struct settings settings;
    char url[64];
    int application; /* listens */
    struct gateway gateway;
    struct worker workers[2];
    struct access_source sources[2];
};

static void listen_as_application(struct fixture *fixture)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    fixture->application = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(fixture->application, (struct sockaddr *)&address, length), 0);
    cr_assert_eq(listen(fixture->application, 8), 0);
    cr_assert_eq(getsockname(fixture->application, (struct sockaddr *)&address, &length), 0);
    snprintf(fixture->url, sizeof fixture->url, "http://127.0.0.1:%u/may", ntohs(address.sin_port));
}

static void setup(struct fixture *fixture, bool is_local)
{
    memset(fixture, 0, sizeof *fixture);
    listen_as_application(fixture);
    fixture->settings.access_authorize_url = fixture->url;
    fixture->settings.access_authorize_timeout_ms = PATIENCE_MS;
    fixture->settings.access_authorize_ttl_ms = PATIENCE_MS;
    fixture->settings.access_authorize_concurrency_max = 4;
    fixture->settings.access_authorize_entries_max = 4;
    fixture->settings.jwt_jwks_url = "";
    struct gateway *gateway = &fixture->gateway;
    gateway->base = event_loop_create();
    gateway->mailbox = mailbox_create(gateway->base);
    gateway->metrics = metrics_create();
    gateway->shared_access = shared_access_create(gateway->base, &fixture->settings, gateway->metrics, NULL);
    cr_assert_not_null(gateway->shared_access);
    for (int i = 0; i < 2; i++) {
        struct worker *worker = &fixture->workers[i];
        worker->gateway = gateway;
        worker->is_local = is_local;
        worker->base = is_local ? gateway->base : event_loop_create();
        worker->mailbox = mailbox_create(worker->base);
        fixture->sources[i] = worker_application_source(worker);
    }
}

/* As gateway_destroy() does it, behind the threads. */
static void teardown(struct fixture *fixture)
{
    shared_access_destroy(fixture->gateway.shared_access);
    for (int i = 0; i < 2; i++) {
        mailbox_destroy(fixture->workers[i].mailbox);
        if (!fixture->workers[i].is_local)
            event_base_free(fixture->workers[i].base);
        memset(&fixture->workers[i], 0, sizeof fixture->workers[i]);
    }
    mailbox_destroy(fixture->gateway.mailbox);
    event_base_free(fixture->gateway.base);
    metrics_destroy(fixture->gateway.metrics);
    close(fixture->application);
}

static void ask(struct fixture *fixture, int worker, struct access_check *check)
{
    const struct access_topic topic = { .kind = ACCESS_CHANNEL, .name = TEXT("news") };
    const struct access_question question = { .action = ACCESS_SUBSCRIBE,
                                              .topics = &topic,
                                              .topic_count = 1 };
    const struct access_credentials credentials = { .cookie = TEXT("sid=1"),
                                                    .origin = ACCESS_ORIGIN_ALLOWED };
    fixture->sources[worker].ask(fixture->sources[worker].context, check, &credentials, &question);
}

static void call_off(struct fixture *fixture, int worker, struct access_check *check)
{
    fixture->sources[worker].cancel(fixture->sources[worker].context, check);
}

static void run_main(struct fixture *fixture)
{
    event_base_loop(fixture->gateway.base, EVLOOP_NONBLOCK);
}

static void run_worker(struct fixture *fixture, int worker)
{
    event_base_loop(fixture->workers[worker].base, EVLOOP_NONBLOCK);
}

/* The main thread and a worker go on until the worker is told. */
static void until_told(struct fixture *fixture, int worker, const struct access_check *check)
{
    uint64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    while (!check->told && clock_now_ms() < deadline_ms) {
        run_main(fixture);
        run_worker(fixture, worker);
        usleep(1000);
    }
    cr_assert_eq(check->told, 1);
}

static void answer(struct fixture *fixture)
{
    static const char yes[] = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    uint64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    int connection = -1;
    char request[4096];
    ssize_t got = -1;
    while (got < 0 && clock_now_ms() < deadline_ms) {
        run_main(fixture);
        if (connection < 0)
            connection = accept4(fixture->application, NULL, NULL, SOCK_NONBLOCK);
        if (connection >= 0)
            got = recv(connection, request, sizeof request, 0);
        usleep(1000);
    }
    cr_assert_gt(got, 0);
    cr_assert_eq(send(connection, yes, sizeof yes - 1, 0), sizeof yes - 1);
    close(connection);
}

/* Where a question of worker 0 is. Worker 1 asks the same, and shows when it is answered. */
enum stage { SENT, WAITING, ANSWERED, STAGES };

static void bring_to(struct fixture *fixture, enum stage stage, struct access_check *check)
{
    struct access_check other = { 0 };
    ask(fixture, 0, check);
    if (stage >= WAITING)
        run_main(fixture);
    if (stage < ANSWERED)
        return;
    ask(fixture, 1, &other);
    answer(fixture);
    until_told(fixture, 1, &other);
    cr_assert(check_covers(&other, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "news"));
    check_clear(&other);
}

Test(worker_application, all_workers_are_told_what_was_asked_once)
{
    struct fixture fixture;
    struct access_check check = { 0 }, later = { 0 };
    setup(&fixture, false);
    bring_to(&fixture, ANSWERED, &check);
    cr_expect_eq(check.told, 0, "nothing is said in another thread");
    run_worker(&fixture, 0);
    cr_assert(check_covers(&check, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "news"));
    ask(&fixture, 0, &later);
    cr_expect_eq(later.told, 0);
    until_told(&fixture, 0, &later);
    cr_expect(check_covers(&later, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "news"));
    cr_expect_eq(fixture.gateway.metrics->authorizer_asks, 1);
    cr_expect_eq(fixture.gateway.metrics->authorizer_hits, 2);
    check_clear(&check);
    check_clear(&later);
    teardown(&fixture);
}

Test(worker_application, one_that_is_called_off_is_told_nothing_wherever_it_is)
{
    for (enum stage stage = SENT; stage < STAGES; stage++) {
        struct fixture fixture;
        struct access_check check = { 0 }, other = { 0 };
        setup(&fixture, false);
        bring_to(&fixture, stage, &check);
        call_off(&fixture, 0, &check);
        call_off(&fixture, 0, &check);
        cr_expect(list_empty(&fixture.workers[0].application_requests));
        for (int i = 0; i < 3; i++) {
            run_main(&fixture);
            run_worker(&fixture, 0);
        }
        ask(&fixture, 1, &other);
        if (stage < ANSWERED)
            answer(&fixture);
        until_told(&fixture, 1, &other);
        run_worker(&fixture, 0);
        cr_expect_eq(check.told, 0);
        check_clear(&other);
        teardown(&fixture);
    }
}

Test(worker_application, the_end_finds_it_wherever_it_is)
{
    for (enum stage stage = SENT; stage < STAGES; stage++)
        for (int turns = 0; turns < 4; turns++) {
            struct fixture fixture;
            struct access_check check = { 0 };
            setup(&fixture, false);
            bring_to(&fixture, stage, &check);
            if (turns > 0)
                call_off(&fixture, 0, &check);
            if (turns > 1)
                run_main(&fixture);
            if (turns > 2)
                run_worker(&fixture, 0);
            teardown(&fixture);
            cr_expect_eq(check.told, 0);
        }
}

Test(worker_application, the_only_worker_asks_directly)
{
    struct fixture fixture;
    struct access_check check = { 0 }, gone = { 0 }, known = { 0 };
    setup(&fixture, true);
    ask(&fixture, 0, &check);
    ask(&fixture, 0, &gone);
    cr_expect_eq(fixture.gateway.metrics->authorizer_asks, 1, "within the call");
    call_off(&fixture, 0, &gone);
    answer(&fixture);
    until_told(&fixture, 0, &check);
    cr_expect(check_covers(&check, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "news"));
    ask(&fixture, 0, &known);
    cr_expect_eq(known.told, 1, "within the call");
    cr_expect_eq(gone.told, 0);
    cr_expect(list_empty(&fixture.workers[0].application_requests));
    check_clear(&check);
    check_clear(&known);
    teardown(&fixture);
}

Test(worker_application, who_shows_nothing_is_refused_without_a_question)
{
    struct fixture fixture;
    struct access_check check = { 0 };
    const struct access_question question = { .action = ACCESS_ADMIN };
    const struct access_credentials nothing = { .origin = ACCESS_ORIGIN_NONE };
    setup(&fixture, false);
    fixture.sources[0].ask(fixture.sources[0].context, &check, &nothing, &question);
    cr_expect_eq(check.told, 1);
    cr_expect_eq(check.verdict, ACCESS_UNKNOWN);
    cr_expect_eq(check.reason, REFUSAL_NO_CREDENTIAL);
    teardown(&fixture);
}

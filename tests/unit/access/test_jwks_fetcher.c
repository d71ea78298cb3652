#include "access/jwks_fetcher.h"

#include <criterion/criterion.h>

#include "access/jwks.h"
#include "base/clock.h"

#define JWKS                                                                                                 \
    "{\"keys\":[{\"kid\":\"a\",\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"                   \
    "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"
#define GETS_MAX 16

/* Who has keys, and answers when told. */
struct get {
    char url[32];
    jwks_got *done;
    void *context;
};

struct fixture {
    struct metrics *metrics;
    struct jwks_fetcher *fetcher;
    struct get gets[GETS_MAX];
    int get_count;
    bool is_closed;
};

struct thread {
    struct jwks_taker taker;
    int told;
    char jwks[256];
    uint64_t fetched_ms;
};

static bool get(void *context, const char *url, jwks_got *done, void *done_context)
{
    struct fixture *fixture = context;
    if (fixture->is_closed)
        return false;
    cr_assert_lt(fixture->get_count, GETS_MAX);
    struct get *made = &fixture->gets[fixture->get_count++];
    snprintf(made->url, sizeof made->url, "%s", url);
    made->done = done;
    made->context = done_context;
    return true;
}

static void answer(struct fixture *fixture, int number, long status, const char *body)
{
    struct get *made = &fixture->gets[number];
    jwks_got *done = made->done;
    cr_assert_not_null(done);
    made->done = NULL;
    done(made->context, status, body, strlen(body), status ? NULL : "no answer");
}

static void setup(struct fixture *fixture)
{
    *fixture = (struct fixture){ .metrics = metrics_create() };
    const struct jwks_fetcher_client client = { get, fixture };
    fixture->fetcher = jwks_fetcher_create(&client, fixture->metrics, NULL);
    cr_assert_not_null(fixture->fetcher);
}

static void teardown(struct fixture *fixture)
{
    fixture->is_closed = true;
    for (int i = 0; i < fixture->get_count; i++)
        if (fixture->gets[i].done)
            answer(fixture, i, 0, "");
    jwks_fetcher_destroy(fixture->fetcher);
    metrics_destroy(fixture->metrics);
}

static void on_taken(struct jwks_taker *taker, struct text jwks, uint64_t fetched_ms)
{
    struct thread *thread = LIST_OWNER(taker, struct thread, taker);
    thread->told++;
    snprintf(thread->jwks, sizeof thread->jwks, "%.*s", (int)jwks.length, jwks.bytes ? jwks.bytes : "");
    thread->fetched_ms = fetched_ms;
}

static void ask(struct fixture *fixture, const char *url, struct thread *thread)
{
    *thread = (struct thread){ .taker.done = on_taken };
    jwks_fetcher_get(fixture->fetcher, url, &thread->taker);
}

Test(jwks_fetcher, one_request_answers_all_who_ask_within_the_time)
{
    struct fixture fixture;
    struct thread threads[4];
    setup(&fixture);
    uint64_t before_ms = clock_now_ms();
    for (int i = 0; i < 3; i++)
        ask(&fixture, "http://id/a", &threads[i]);
    cr_assert_eq(fixture.get_count, 1);
    cr_assert_str_eq(fixture.gets[0].url, "http://id/a");
    cr_assert_eq(threads[0].told, 0);
    answer(&fixture, 0, 200, JWKS);
    ask(&fixture, "http://id/a", &threads[3]);
    cr_assert_eq(fixture.get_count, 1, "it is younger than that");
    for (int i = 0; i < 4; i++) {
        cr_expect_eq(threads[i].told, 1);
        cr_expect_str_eq(threads[i].jwks, JWKS);
        cr_expect_eq(threads[i].fetched_ms, threads[0].fetched_ms, "as old as it is");
    }
    cr_expect_geq(threads[0].fetched_ms, before_ms);
    cr_expect_leq(threads[0].fetched_ms, clock_now_ms());
    cr_expect_eq(fixture.metrics->jwks_fetches, 1);
    cr_expect_eq(fixture.metrics->jwks_failures, 0);
    teardown(&fixture);
}

Test(jwks_fetcher, what_is_no_jwks_is_shared_and_not_asked_for_again_so_soon)
{
    static const struct {
        long status;
        const char *body;
    } answers[] = { { 0, "" }, { 500, JWKS }, { 302, "" }, { 200, "" }, { 200, "<html>" }, { 200, "{}" } };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct fixture fixture;
        struct thread first, second, late;
        setup(&fixture);
        ask(&fixture, "http://id/a", &first);
        ask(&fixture, "http://id/a", &second);
        answer(&fixture, 0, answers[i].status, answers[i].body);
        ask(&fixture, "http://id/a", &late);
        cr_expect_eq(first.told + second.told + late.told, 3);
        cr_expect(!*first.jwks && !*second.jwks && !*late.jwks, "%s", answers[i].body);
        cr_expect_eq(fixture.get_count, 1);
        cr_expect_eq(fixture.metrics->jwks_fetches, 1);
        cr_expect_eq(fixture.metrics->jwks_failures, 1, "once, however many threads");
        teardown(&fixture);
    }
}

Test(jwks_fetcher, another_address_is_another_request_and_two_are_kept)
{
    struct fixture fixture;
    struct thread threads[6];
    setup(&fixture);
    ask(&fixture, "http://id/a", &threads[0]);
    ask(&fixture, "http://id/b", &threads[1]);
    cr_assert_eq(fixture.get_count, 2);
    ask(&fixture, "http://id/c", &threads[2]);
    cr_expect_eq(fixture.get_count, 2, "both are being fetched");
    cr_expect_eq(threads[2].told, 1);
    cr_expect_str_empty(threads[2].jwks);
    answer(&fixture, 1, 200, JWKS);
    cr_expect_eq(threads[0].told, 0);
    cr_expect_str_eq(threads[1].jwks, JWKS);
    ask(&fixture, "http://id/c", &threads[3]);
    cr_expect_eq(fixture.get_count, 3, "in the place of the one that nobody waits for");
    cr_expect_str_eq(fixture.gets[2].url, "http://id/c");
    answer(&fixture, 0, 200, JWKS);
    ask(&fixture, "http://id/a", &threads[4]);
    cr_expect_eq(threads[4].told, 1);
    ask(&fixture, "http://id/b", &threads[5]);
    cr_expect_eq(fixture.get_count, 4);
    teardown(&fixture);
}

Test(jwks_fetcher, a_client_that_is_gone_is_a_failure)
{
    struct fixture fixture;
    struct thread thread;
    setup(&fixture);
    fixture.is_closed = true;
    ask(&fixture, "http://id/a", &thread);
    cr_expect_eq(thread.told, 1);
    cr_expect_str_empty(thread.jwks);
    cr_expect_eq(fixture.metrics->jwks_failures, 1);
    teardown(&fixture);
}

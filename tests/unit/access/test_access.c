#include "access/access.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "../front/front_text.h"
#include "access/jwks.h"
#include "base/clock.h"
#include "token_fixture.h"

/* --- a fixture: an access whose sources and fetches the test plays --- */

static struct event_base *base;
static struct access *access_;
static struct access_check *asked; /* what a source was asked last; NULL after it was called off */
static access_fetched *fetched;    /* waits for the answer of the JWKS' address */
static void *fetched_context;
static unsigned fetches;
static bool answers_at_once;
static struct access_decision last; /* of what was answered later */
static unsigned answers;

static struct grant *some_grant(const char *pattern)
{
    const struct text text = text_of(pattern, strlen(pattern));
    struct grant_draft draft = { .means = GRANT_APPLICATION, .subject = TEXT("ann") };
    draft.lists[ACCESS_SUBSCRIBE] = (struct grant_list){ .patterns = &text, .count = 1 };
    char problem[GRANT_PROBLEM_MAX];
    return grant_create(&draft, problem);
}

static void ask_source(void *context, struct access_check *check,
                       const struct access_credentials *credentials, const struct access_question *question)
{
    (void)context;
    (void)credentials;
    cr_assert_eq(question->topic_count, 1);
    CHECK_TEXT(question->topics[0].name, "news");
    if (answers_at_once)
        access_know(check, some_grant("news"));
    else
        asked = check;
}

static void cancel_source(void *context, struct access_check *check)
{
    (void)context;
    cr_assert_eq(check, asked);
    asked = NULL;
}

static bool fetch(void *context, const char *url, access_fetched *done, void *done_context)
{
    (void)context;
    cr_assert_str_eq(url, "https://id.example/jwks");
    fetched = done;
    fetched_context = done_context;
    fetches++;
    return true;
}

static struct access_options options(void)
{
    return (struct access_options){ .jwt_secret = "",
                                    .jwt_key_file = "",
                                    .jwt_jwks_url = "",
                                    .jwt_audience = "",
                                    .jwt_issuer = "",
                                    .jwt_cookie = "t",
                                    .jwt_leeway_ms = 5000,
                                    .jwks_refresh_ms = 600000,
                                    .machine_keys_file = "" };
}

static void make(struct access_options chosen, bool with_sources)
{
    char *problem;
    struct access_source source = { .ask = ask_source, .cancel = cancel_source };
    struct access_bindings bindings = { .fetch = fetch };
    if (with_sources)
        bindings.ticket = bindings.application = source;
    base = event_base_new();
    access_ = access_create(base, &chosen, &bindings, NULL, &problem);
    cr_assert_not_null(access_, "%s", problem);
}

static void unmake(void)
{
    access_destroy(access_);
    event_base_free(base);
}

static void on_done(void *context, struct access_decision *decision)
{
    (void)context;
    last = *decision;
    grant_release(last.grant);
    answers++;
}

static struct access_check *ask(struct access_credentials credentials, enum access_action action,
                                struct access_decision *ret_decision)
{
    const struct access_topic topic = { .kind = ACCESS_CHANNEL, .name = TEXT("news") };
    const struct access_question question = { .action = action, .topics = &topic, .topic_count = 1 };
    struct access_check *check = access_ask(access_, &credentials, &question, on_done, NULL, ret_decision);
    if (!check)
        grant_release(ret_decision->grant);
    return check;
}

static enum access_verdict verdict_of(struct access_credentials credentials, enum access_action action)
{
    struct access_decision decision;
    cr_assert_null(ask(credentials, action, &decision));
    cr_assert_eq(decision.verdict == ACCESS_ALLOWED, decision.detail[0] == '\0', "%s", decision.detail);
    cr_assert_eq(decision.verdict == ACCESS_UNKNOWN, decision.challenge[0] != '\0', "%s", decision.detail);
    return decision.verdict;
}

/* --- open --- */

Test(access, open_is_open)
{
    struct access_options chosen = options();
    chosen.open = true;
    chosen.jwt_secret = TOKEN_FIXTURE_SECRET;
    make(chosen, true);
    cr_assert(access_is_open(access_));
    cr_assert_eq(verdict_of((struct access_credentials){ 0 }, ACCESS_ADMIN), ACCESS_ALLOWED);
    cr_assert_eq(verdict_of((struct access_credentials){ .authorization = TEXT("Bearer x"),
                                                         .ticket = TEXT("t"),
                                                         .origin = ACCESS_ORIGIN_FOREIGN },
                            ACCESS_PUBLISH),
                 ACCESS_ALLOWED);
    unmake();
}

/* --- tokens, at once --- */

Test(access, a_token_by_header_and_by_cookie)
{
    struct access_options chosen = options();
    char storage[1024], bearer[1100], cookie[1100];
    chosen.jwt_secret = TOKEN_FIXTURE_SECRET;
    make(chosen, false);
    token_fixture_make(TOKEN_FIXTURE_HEADER, "{\"sluice\":{\"subscribe\":[\"news\"]}}", storage,
                       sizeof(storage));
    int bearer_length = snprintf(bearer, sizeof(bearer), "Bearer %s", storage);
    int cookie_length = snprintf(cookie, sizeof(cookie), "a=b; t=%s", storage);
    struct text by_header = text_of(bearer, (size_t)bearer_length);
    struct text by_cookie = text_of(cookie, (size_t)cookie_length);

    cr_expect_eq(verdict_of((struct access_credentials){ .authorization = by_header }, ACCESS_SUBSCRIBE),
                 ACCESS_ALLOWED);
    cr_expect_eq(
        verdict_of((struct access_credentials){ .authorization = by_header, .origin = ACCESS_ORIGIN_FOREIGN },
                   ACCESS_SUBSCRIBE),
        ACCESS_ALLOWED, "a page that has the token may use it");
    cr_expect_eq(verdict_of((struct access_credentials){ .authorization = by_header }, ACCESS_PUBLISH),
                 ACCESS_DENIED);
    cr_expect_eq(verdict_of((struct access_credentials){ .authorization = by_header }, ACCESS_ADMIN),
                 ACCESS_DENIED);
    cr_expect_eq(verdict_of((struct access_credentials){ .cookie = by_cookie }, ACCESS_SUBSCRIBE),
                 ACCESS_ALLOWED);
    cr_expect_eq(
        verdict_of((struct access_credentials){ .cookie = by_cookie, .origin = ACCESS_ORIGIN_FOREIGN },
                   ACCESS_SUBSCRIBE),
        ACCESS_DENIED);
    cr_expect_eq(
        verdict_of((struct access_credentials){ .cookie = by_cookie, .authorization = TEXT("Bearer a.b.c") },
                   ACCESS_SUBSCRIBE),
        ACCESS_UNKNOWN, "a bad credential is not made good by another");
    cr_expect_eq(
        verdict_of((struct access_credentials){ .cookie = by_cookie, .ticket = TEXT("x") }, ACCESS_SUBSCRIBE),
        ACCESS_UNKNOWN);
    cr_expect_eq(verdict_of((struct access_credentials){ 0 }, ACCESS_SUBSCRIBE), ACCESS_UNKNOWN);
    const struct access_credentials nothing = { .cookie = TEXT("a=b") };
    cr_expect(access_is_anonymous(access_, &nothing));
    unmake();
}

/* --- sources --- */

Test(access, a_source_answers_later_at_once_or_never)
{
    struct access_decision decision;
    make(options(), true);
    const struct access_credentials ticket = { .ticket = TEXT("x") };
    answers_at_once = true;
    cr_assert_null(ask(ticket, ACCESS_SUBSCRIBE, &decision));
    cr_expect_eq(decision.verdict, ACCESS_ALLOWED);
    cr_assert_null(ask(ticket, ACCESS_PUBLISH, &decision));
    cr_expect_eq(decision.verdict, ACCESS_DENIED);

    answers_at_once = false;
    cr_assert_not_null(ask((struct access_credentials){ 0 }, ACCESS_SUBSCRIBE, &decision));
    access_know(asked, some_grant("news"));
    cr_expect_eq(answers, 1);
    cr_expect_eq(last.verdict, ACCESS_ALLOWED);
    cr_assert_not_null(ask((struct access_credentials){ 0 }, ACCESS_SUBSCRIBE, &decision));
    access_know(asked, some_grant("other"));
    cr_expect_eq(last.verdict, ACCESS_DENIED);
    cr_assert_not_null(ask((struct access_credentials){ 0 }, ACCESS_SUBSCRIBE, &decision));
    access_refuse(asked, ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, "Nobody is there.");
    cr_expect_eq(last.verdict, ACCESS_UNAVAILABLE);
    cr_expect_str_eq(last.detail, "Nobody is there.");

    struct access_check *check = ask(ticket, ACCESS_SUBSCRIBE, &decision);
    cr_assert_not_null(check);
    access_cancel(check);
    cr_expect_null(asked);
    cr_expect_eq(answers, 3);

    const struct access_credentials foreign = { .cookie = TEXT("session=1"),
                                                .origin = ACCESS_ORIGIN_FOREIGN };
    cr_expect_eq(verdict_of(foreign, ACCESS_SUBSCRIBE), ACCESS_DENIED, "the application's cookie as well");
    cr_assert_not_null(ask(ticket, ACCESS_SUBSCRIBE, &decision));
    unmake(); /* answers what waits */
    cr_expect_eq(answers, 4);
    cr_expect_eq(last.verdict, ACCESS_UNAVAILABLE);
}

/* --- keys by an address --- */

#define JWKS                                                                                                 \
    "{\"keys\":[{\"kid\":\"a\",\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"                   \
    "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"
/* {"alg":"EdDSA","kid":"b"}, and any signature */
#define BY_UNKNOWN_KEY "Bearer eyJhbGciOiJFZERTQSIsImtpZCI6ImIifQ.e30.AAAA"

static struct access_options options_with_jwks(void)
{
    struct access_options chosen = options();
    chosen.jwt_jwks_url = "https://id.example/jwks";
    return chosen;
}

Test(access, an_unknown_key_is_looked_for_once_for_all_who_wait)
{
    struct access_decision decision;
    const struct access_options chosen = options_with_jwks();
    make(chosen, false);
    const struct access_credentials credentials = { .authorization = TEXT(BY_UNKNOWN_KEY) };
    cr_assert_not_null(ask(credentials, ACCESS_SUBSCRIBE, &decision));
    struct access_check *second = ask(credentials, ACCESS_SUBSCRIBE, &decision);
    cr_assert_not_null(second);
    cr_assert_not_null(ask(credentials, ACCESS_SUBSCRIBE, &decision));
    cr_expect_eq(fetches, 1);
    access_cancel(second);
    fetched(fetched_context, TEXT(JWKS), clock_now_ms());
    cr_expect_eq(answers, 2);
    cr_expect_eq(last.verdict, ACCESS_UNKNOWN);
    for (int i = 0; i < 100; i++)
        cr_expect_eq(verdict_of(credentials, ACCESS_SUBSCRIBE), ACCESS_UNKNOWN,
                     "not asked for again so soon");
    cr_expect_eq(fetches, 1);
    unmake();
}

/* Another thread had them fetched: what counts is when that was. */
Test(access, keys_that_others_asked_for_are_as_old_as_they_are)
{
    struct access_decision decision;
    const struct access_options chosen = options_with_jwks();
    make(chosen, false);
    const struct access_credentials credentials = { .authorization = TEXT(BY_UNKNOWN_KEY) };
    cr_assert_not_null(ask(credentials, ACCESS_SUBSCRIBE, &decision));
    fetched(fetched_context, TEXT(JWKS), clock_now_ms() - JWKS_AGAIN_AFTER_MS / 2);
    cr_expect_eq(last.verdict, ACCESS_UNKNOWN);
    cr_expect_eq(verdict_of(credentials, ACCESS_SUBSCRIBE), ACCESS_UNKNOWN,
                 "too young to be asked for again");
    unmake();
    make(chosen, false);
    cr_assert_not_null(ask(credentials, ACCESS_SUBSCRIBE, &decision));
    cr_expect_eq(fetches, 2);
    fetched(fetched_context, TEXT(JWKS), clock_now_ms() - JWKS_AGAIN_AFTER_MS);
    cr_assert_not_null(ask(credentials, ACCESS_SUBSCRIBE, &decision), "old enough");
    cr_expect_eq(fetches, 3);
    access_fetched *rest = fetched;
    void *rest_context = fetched_context;
    unmake();
    rest(rest_context, (struct text){ 0 }, clock_now_ms());
}

Test(access, at_the_end_nobody_waits_and_nobody_is_asked)
{
    struct access_decision decision;
    make(options(), true);
    const struct access_credentials ticket = { .ticket = TEXT("x") };
    cr_assert_not_null(ask(ticket, ACCESS_SUBSCRIBE, &decision));
    access_stop(access_);
    cr_expect_null(asked, "called off");
    cr_expect_eq(answers, 1);
    cr_expect_eq(last.verdict, ACCESS_UNAVAILABLE);
    cr_expect_eq(verdict_of(ticket, ACCESS_SUBSCRIBE), ACCESS_UNAVAILABLE);
    cr_expect_null(asked);
    unmake();
    cr_expect_eq(answers, 1);
}

Test(access, keys_that_cannot_be_had_decide_nothing)
{
    struct access_decision decision;
    const struct access_options chosen = options_with_jwks();
    make(chosen, false);
    const struct access_credentials credentials = { .authorization = TEXT(BY_UNKNOWN_KEY) };
    cr_assert_not_null(ask(credentials, ACCESS_SUBSCRIBE, &decision));
    fetched(fetched_context, (struct text){ 0 }, clock_now_ms());
    cr_expect_eq(last.verdict, ACCESS_UNAVAILABLE);
    cr_expect_eq(verdict_of(credentials, ACCESS_SUBSCRIBE), ACCESS_UNAVAILABLE);
    unmake();
}

Test(access, an_answer_after_the_end_or_a_reload_is_nobodys)
{
    struct access_decision decision;
    char *problem;
    const struct access_options chosen = options_with_jwks();
    make(chosen, false);
    const struct access_credentials credentials = { .authorization = TEXT(BY_UNKNOWN_KEY) };
    cr_assert_not_null(ask(credentials, ACCESS_SUBSCRIBE, &decision));
    access_fetched *old = fetched;
    void *old_context = fetched_context;
    cr_assert(access_set_options(access_, &chosen, &problem));
    cr_expect_eq(answers, 1, "told before the old keys are gone");
    old(old_context, TEXT(JWKS), clock_now_ms());
    cr_expect_eq(verdict_of((struct access_credentials){ 0 }, ACCESS_SUBSCRIBE), ACCESS_UNKNOWN);
    cr_assert_not_null(ask(credentials, ACCESS_SUBSCRIBE, &decision));
    old = fetched;
    old_context = fetched_context;
    unmake();
    cr_expect_eq(answers, 2);
    old(old_context, TEXT(JWKS), clock_now_ms());
}

/* --- reload --- */

Test(access, known_keys_stay_while_they_are_fetched_anew)
{
    char *problem;
    struct access_decision decision;
    const struct access_options chosen = options_with_jwks();
    make(chosen, false);
    event_base_loop(base, EVLOOP_ONCE);
    fetched(fetched_context, TEXT(JWKS), clock_now_ms());
    cr_assert(access_set_options(access_, &chosen, &problem));
    event_base_loop(base, EVLOOP_ONCE);
    cr_expect_eq(fetches, 2);
    fetched(fetched_context, (struct text){ 0 }, clock_now_ms());
    /* By keys that are there it is a stranger's; without any nobody could tell. */
    const struct access_credentials credentials = { .authorization = TEXT(BY_UNKNOWN_KEY) };
    cr_assert_null(ask(credentials, ACCESS_SUBSCRIBE, &decision));
    cr_expect_eq(decision.verdict, ACCESS_UNKNOWN);
    unmake();
}

Test(access, what_cannot_be_read_changes_nothing)
{
    char path[] = "/tmp/sluice-keys-XXXXXX", *problem;
    struct access_options chosen = options();
    int file = mkstemp(path);
    cr_assert_geq(file, 0);
    chosen.machine_keys_file = path;
    chosen.jwt_secret = TOKEN_FIXTURE_SECRET;
    make(chosen, false);
    cr_assert_eq(write(file, "nonsense\n", 9), 9);
    cr_assert_not(access_set_options(access_, &chosen, &problem));
    cr_expect_not_null(strstr(problem, "Line 1"), "%s", problem);
    free(problem);
    cr_expect_not(access_is_open(access_));
    chosen.machine_keys_file = "/nonexistent";
    cr_assert_not(access_set_options(access_, &chosen, &problem));
    free(problem);
    const struct access_topic topic = { .kind = ACCESS_CHANNEL, .name = TEXT("news") };
    cr_expect(access_still_covers(access_, 0, ACCESS_SUBSCRIBE, &topic), "a token's stream");
    cr_expect_not(access_still_covers(access_, 5, ACCESS_SUBSCRIBE, &topic), "of a key that is gone");
    close(file);
    unlink(path);
    unmake();
}

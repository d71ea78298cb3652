#include "access/authorizer.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "access/authorizer_answer.h"
#include "base/clock.h"

#define POSTS_MAX 64
#define TEXT(literal) text_of(literal, sizeof(literal) - 1)

/* An application that answers when told. */
struct post {
    char headers[512];
    char body[1024];
    authorizer_posted *done;
    void *context;
};

struct fixture {
    struct metrics *metrics;
    struct authorizer *authorizer;
    struct post posts[POSTS_MAX];
    int post_count;
    bool is_closed;
};

/* Who asked, and what came of it. */
struct asker {
    struct authorizer_waiter waiter;
    int told;
    enum access_verdict verdict;
    enum refusal_reason reason;
    struct grant *grant;
};

static void on_outcome(struct authorizer_waiter *waiter, const struct authorizer_outcome *outcome)
{
    struct asker *asker = LIST_OWNER(waiter, struct asker, waiter);
    asker->told++;
    asker->verdict = outcome->verdict;
    asker->reason = outcome->reason;
    asker->grant = grant_hold(outcome->grant);
    cr_assert_eq(outcome->verdict == ACCESS_ALLOWED, outcome->grant != NULL);
    cr_assert_eq(outcome->verdict == ACCESS_ALLOWED, outcome->detail == NULL);
}

static void asker_clear(struct asker *asker)
{
    grant_release(asker->grant);
    *asker = (struct asker){ 0 };
}

static bool asker_covers(const struct asker *asker, enum access_action action, enum access_topic_kind kind,
                         const char *name)
{
    const struct access_topic topic = { .kind = kind, .name = text_of(name, strlen(name)) };
    return asker->told == 1 && asker->verdict == ACCESS_ALLOWED && grant_covers(asker->grant, action, &topic);
}

static bool post(void *context, const char *url, const char *const *headers, size_t header_count,
                 const char *body, size_t length, authorizer_posted *done, void *done_context)
{
    struct fixture *fixture = context;
    cr_assert_str_eq(url, "http://app/may");
    if (fixture->is_closed)
        return false;
    cr_assert_lt(fixture->post_count, POSTS_MAX);
    struct post *sent = &fixture->posts[fixture->post_count++];
    size_t at = 0;
    for (size_t i = 0; i < header_count; i++)
        at += (size_t)snprintf(sent->headers + at, sizeof sent->headers - at, "%s\n", headers[i]);
    snprintf(sent->body, sizeof sent->body, "%.*s", (int)length, body);
    sent->done = done;
    sent->context = done_context;
    return true;
}

static void answer(struct fixture *fixture, int number, long status, const char *body)
{
    struct post *sent = &fixture->posts[number];
    authorizer_posted *done = sent->done;
    cr_assert_not_null(done);
    sent->done = NULL;
    done(sent->context, status, body, strlen(body), status ? NULL : "no answer");
}

static struct authorizer_options options(void)
{
    return (struct authorizer_options){ .url = "http://app/may",
                                        .timeout_ms = 1000,
                                        .ttl_ms = 30000,
                                        .refusal_ttl_ms = 5000,
                                        .concurrency_max = 2,
                                        .entries_max = 4,
                                        .waiting_max = 8 };
}

static void setup_with(struct fixture *fixture, const struct authorizer_options *wanted)
{
    *fixture = (struct fixture){ .metrics = metrics_create() };
    const struct authorizer_client client = { post, fixture };
    fixture->authorizer = authorizer_create(wanted, &client, fixture->metrics, NULL);
    cr_assert_not_null(fixture->authorizer);
}

static void setup(struct fixture *fixture)
{
    const struct authorizer_options usual = options();
    setup_with(fixture, &usual);
}

static void teardown(struct fixture *fixture)
{
    fixture->is_closed = true;
    for (int i = 0; i < fixture->post_count; i++)
        if (fixture->posts[i].done)
            answer(fixture, i, 0, "");
    authorizer_destroy(fixture->authorizer);
    metrics_destroy(fixture->metrics);
}

static void put(struct fixture *fixture, const struct access_credentials *credentials,
                const struct access_question *question, struct asker *asker)
{
    asker->waiter.done = on_outcome;
    authorizer_ask(fixture->authorizer, credentials, question, &asker->waiter);
}

static void ask_as(struct fixture *fixture, const struct access_credentials *credentials,
                   enum access_topic_kind kind, const char *name, struct asker *asker)
{
    const struct access_topic topic = { .kind = kind, .name = text_of(name, strlen(name)) };
    const struct access_question question = { .action = ACCESS_SUBSCRIBE,
                                              .topics = &topic,
                                              .topic_count = 1 };
    put(fixture, credentials, &question, asker);
}

static void ask(struct fixture *fixture, const char *cookie, const char *name, struct asker *asker)
{
    const struct access_credentials credentials = { .cookie = text_of(cookie, strlen(cookie)),
                                                    .origin = ACCESS_ORIGIN_ALLOWED };
    ask_as(fixture, &credentials, ACCESS_CHANNEL, name, asker);
}

/* Asks anew and has it answered. */
static void decide(struct fixture *fixture, enum access_topic_kind kind, const char *name, long status,
                   const char *body, struct asker *asker)
{
    static const struct access_credentials credentials = { .authorization = { "Bearer abc", 10 } };
    int before = fixture->post_count;
    ask_as(fixture, &credentials, kind, name, asker);
    cr_assert_eq(fixture->post_count, before + 1, "a new question");
    answer(fixture, before, status, body);
    cr_assert_eq(asker->told, 1);
}

Test(authorizer, is_asked_with_the_callers_headers_and_the_topic_in_json)
{
    struct fixture fixture;
    struct asker asker = { 0 };
    setup(&fixture);
    ask(&fixture, "sid=1", "batch:42", &asker);
    cr_assert_str_eq(fixture.posts[0].headers,
                     "Content-Type: application/json\nAccept: application/json\nCookie: sid=1\n");
    cr_assert_str_eq(fixture.posts[0].body,
                     "{\"action\":\"subscribe\",\"topics\":[{\"kind\":\"channel\",\"name\":\"batch:42\"}]}");
    cr_assert_eq(asker.told, 0);
    answer(&fixture, 0, 204, "");
    cr_assert(asker_covers(&asker, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "batch:42"));
    cr_assert_not(asker_covers(&asker, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "batch:421"));
    cr_assert_not(asker_covers(&asker, ACCESS_SUBSCRIBE, ACCESS_STREAM, "batch:42"));
    cr_assert_not(asker_covers(&asker, ACCESS_PUBLISH, ACCESS_CHANNEL, "batch:42"));
    cr_assert_eq(strncmp(grant_subject(asker.grant).bytes, "session:", 8), 0);
    cr_assert_null(memmem(grant_subject(asker.grant).bytes, grant_subject(asker.grant).length, "sid=1", 5));
    asker_clear(&asker);
    teardown(&fixture);
}

Test(authorizer, names_cannot_reach_into_headers_or_out_of_their_string)
{
    struct fixture fixture;
    struct asker asker = { 0 };
    setup(&fixture);
    ask(&fixture, "sid=1", "x\r\nX-Admin: 1\"}],\"action\":\"admin\n\x01", &asker);
    cr_assert_null(strstr(fixture.posts[0].headers, "X-Admin"));
    cr_assert_null(strpbrk(fixture.posts[0].body, "\r\n\x01"));
    cr_assert_not_null(strstr(fixture.posts[0].body,
                              "\"name\":\"x\\r\\nX-Admin: 1\\\"}],\\\"action\\\":\\\"admin\\n\\u0001\""));
    struct asker broken = { 0 };
    ask(&fixture, "sid=1\r\nX-Admin: 1", "x", &broken);
    cr_assert_eq(fixture.post_count, 1);
    cr_assert_eq(broken.verdict, ACCESS_UNAVAILABLE);
    teardown(&fixture);
}

Test(authorizer, what_is_no_yes_allows_nothing)
{
    static const struct {
        long status;
        const char *body;
        enum access_verdict verdict;
        enum refusal_reason reason;
        bool fails;
    } answers[] = {
        { 401, "", ACCESS_UNKNOWN, REFUSAL_APPLICATION, false },
        { 403, "", ACCESS_DENIED, REFUSAL_APPLICATION, false },
        { 302, "", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 404, "", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 500, "", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 0, "", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "<html>Welcome</html>", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "{", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "true", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "[]", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "{}{}", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "{\"user\": 1}", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "{\"subscibe\": []}", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "{\"subscribe\": \"*\"}", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "{\"subscribe\": [\"a*b\"]}", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "{\"subscribe\": [\"a\"], \"topics\": [\"b\"]}", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "{\"subscribe\": [\"*\"], \"subscribe\": []}", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "{\"admin\": \"true\"}", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "{\"ttl\": -1}", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "{\"ttl\": \"60\"}", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "{\"ttl\": 1e300}", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "{\"exp\": 0}", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "{\"subject\": 7}", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
        { 200, "{\"subject\": \"\"}", ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, true },
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct fixture fixture;
        struct asker asker = { 0 };
        setup(&fixture);
        decide(&fixture, ACCESS_CHANNEL, "b", answers[i].status, answers[i].body, &asker);
        cr_assert_eq(asker.verdict, answers[i].verdict, "%ld %s", answers[i].status, answers[i].body);
        cr_assert_eq(asker.reason, answers[i].reason);
        cr_assert_eq(fixture.metrics->authorizer_failures, answers[i].fails);
        asker_clear(&asker);
        teardown(&fixture);
    }
}

Test(authorizer, an_answer_may_say_who_and_what_and_until_when)
{
    struct fixture fixture;
    struct asker asker = { 0 };
    setup(&fixture);
    decide(&fixture, ACCESS_CHANNEL, "batch:42", 200,
           "{\"subject\": \"u1\", \"topics\": [\"batch:4*\", \"stream:x\"], \"publish\": [\"p\"], \"exp\": "
           "1900000000.5}",
           &asker);
    cr_assert(asker_covers(&asker, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "batch:42"));
    cr_assert(asker_covers(&asker, ACCESS_SUBSCRIBE, ACCESS_STREAM, "x"));
    cr_assert_not(asker_covers(&asker, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "batch:5"));
    cr_assert(asker_covers(&asker, ACCESS_PUBLISH, ACCESS_CHANNEL, "p"));
    cr_assert_eq(grant_expires_wall_ms(asker.grant), 1900000000500);
    cr_assert(text_is(grant_subject(asker.grant), "u1"));
    cr_assert_eq(grant_means(asker.grant), GRANT_APPLICATION);
    asker_clear(&asker);
    teardown(&fixture);
}

Test(authorizer, an_empty_yes_never_allows_more_than_was_asked)
{
    struct fixture fixture;
    struct asker asker = { 0 };
    setup(&fixture);
    decide(&fixture, ACCESS_GLOB, "orders.*", 200, " \n", &asker);
    cr_assert(asker_covers(&asker, ACCESS_SUBSCRIBE, ACCESS_GLOB, "orders.*"));
    cr_assert_not(asker_covers(&asker, ACCESS_SUBSCRIBE, ACCESS_GLOB, "order*"));
    asker_clear(&asker);
    decide(&fixture, ACCESS_STREAM, "x", 200, "{}", &asker);
    cr_assert(asker_covers(&asker, ACCESS_SUBSCRIBE, ACCESS_STREAM, "x"));
    asker_clear(&asker);
    /* A grant cannot say exactly these, so an empty yes is not enough. */
    static const struct {
        enum access_topic_kind kind;
        const char *name;
    } inexact[] = { { ACCESS_GLOB, "a?c*" },        { ACCESS_GLOB, "*" },    { ACCESS_GLOB, "a[b]" },
                    { ACCESS_GLOB, "a*b*" },        { ACCESS_CHANNEL, "*" }, { ACCESS_CHANNEL, "a*" },
                    { ACCESS_CHANNEL, "stream:x" }, { ACCESS_STREAM, "a*" } };
    for (size_t i = 0; i < sizeof inexact / sizeof inexact[0]; i++) {
        decide(&fixture, inexact[i].kind, inexact[i].name, 204, "", &asker);
        cr_assert_eq(asker.verdict, ACCESS_UNAVAILABLE, "%s", inexact[i].name);
        asker_clear(&asker);
    }
    decide(&fixture, ACCESS_GLOB, "a?d*", 200, "{\"subscribe\": [\"a*\"]}", &asker);
    cr_assert(asker_covers(&asker, ACCESS_SUBSCRIBE, ACCESS_GLOB, "a?d*"));
    asker_clear(&asker);
    teardown(&fixture);
}

Test(authorizer, is_asked_once_by_all_who_wait_and_remembers)
{
    struct fixture fixture;
    struct asker askers[4] = { 0 };
    setup(&fixture);
    for (int i = 0; i < 3; i++)
        ask(&fixture, "sid=1", "a", &askers[i]);
    cr_assert_eq(fixture.post_count, 1);
    answer(&fixture, 0, 200, "{\"subject\": \"u1\"}");
    ask(&fixture, "sid=1", "a", &askers[3]);
    cr_assert_eq(fixture.post_count, 1);
    for (int i = 0; i < 4; i++) {
        cr_assert(asker_covers(&askers[i], ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "a"));
        asker_clear(&askers[i]);
    }
    cr_assert_eq(fixture.metrics->authorizer_asks, 1);
    cr_assert_eq(fixture.metrics->authorizer_hits, 3);
    teardown(&fixture);
}

Test(authorizer, an_answer_is_for_its_credential_and_its_question)
{
    struct fixture fixture;
    struct asker askers[4] = { 0 };
    setup(&fixture);
    ask(&fixture, "sid=1", "a", &askers[0]);
    answer(&fixture, 0, 204, "");
    ask(&fixture, "sid=2", "a", &askers[1]);
    cr_assert_eq(fixture.post_count, 2, "another session");
    answer(&fixture, 1, 403, "");
    ask(&fixture, "sid=1", "b", &askers[2]);
    cr_assert_eq(fixture.post_count, 3, "another topic");
    answer(&fixture, 2, 403, "");
    const struct access_credentials stream = { .cookie = TEXT("sid=1") };
    ask_as(&fixture, &stream, ACCESS_STREAM, "a", &askers[3]);
    cr_assert_eq(fixture.post_count, 4, "a stream is no channel");
    answer(&fixture, 3, 403, "");
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(askers[i].verdict == ACCESS_ALLOWED, i == 0);
        asker_clear(&askers[i]);
    }
    teardown(&fixture);
}

Test(authorizer, an_answer_that_may_not_be_kept_is_not)
{
    struct fixture fixture;
    struct asker askers[2] = { 0 };
    setup(&fixture);
    ask(&fixture, "sid=1", "a", &askers[0]);
    answer(&fixture, 0, 200, "{\"ttl\": 0}");
    cr_assert_eq(askers[0].verdict, ACCESS_ALLOWED);
    ask(&fixture, "sid=1", "a", &askers[1]);
    cr_assert_eq(fixture.post_count, 2);
    answer(&fixture, 1, 403, "");
    cr_assert_eq(askers[1].verdict, ACCESS_DENIED);
    asker_clear(&askers[0]);
    teardown(&fixture);
}

Test(authorizer, an_answer_is_not_kept_beyond_its_end)
{
    struct fixture fixture;
    struct asker asker = { 0 };
    setup(&fixture);
    decide(&fixture, ACCESS_CHANNEL, "a", 200, "{\"ttl\": 3600, \"exp\": 1000000000}", &asker);
    asker_clear(&asker);
    decide(&fixture, ACCESS_CHANNEL, "a", 200, "{\"ttl\": 3600, \"exp\": 4000000000}", &asker);
    cr_assert_eq(asker.verdict, ACCESS_ALLOWED);
    asker_clear(&asker);
    teardown(&fixture);
}

Test(authorizer, a_stream_ends_after_the_hold_or_sooner)
{
    struct authorizer_options held = options();
    struct fixture fixture;
    struct asker asker = { 0 };
    held.hold_ms = 3600000;
    setup_with(&fixture, &held);
    uint64_t now_ms = clock_wall_ms();
    decide(&fixture, ACCESS_CHANNEL, "a", 204, "", &asker);
    cr_assert_geq(grant_expires_wall_ms(asker.grant), now_ms + 3600000);
    cr_assert_leq(grant_expires_wall_ms(asker.grant), now_ms + 3660000);
    asker_clear(&asker);
    decide(&fixture, ACCESS_CHANNEL, "b", 200, "{\"exp\": 1000000000}", &asker);
    cr_assert_eq(grant_expires_wall_ms(asker.grant), 1000000000000);
    asker_clear(&asker);
    decide(&fixture, ACCESS_CHANNEL, "c", 200, "{\"exp\": 4000000000}", &asker);
    cr_assert_leq(grant_expires_wall_ms(asker.grant), now_ms + 3660000);
    asker_clear(&asker);
    teardown(&fixture);
}

Test(authorizer, a_cookie_from_a_foreign_page_is_never_shown)
{
    struct fixture fixture;
    struct asker asker = { 0 };
    setup(&fixture);
    const struct access_credentials foreign = { .cookie = TEXT("sid=1"), .origin = ACCESS_ORIGIN_FOREIGN };
    ask_as(&fixture, &foreign, ACCESS_CHANNEL, "a", &asker);
    cr_assert_eq(fixture.post_count, 0);
    cr_assert_eq(asker.verdict, ACCESS_DENIED);
    cr_assert_eq(asker.reason, REFUSAL_FOREIGN_ORIGIN);
    asker_clear(&asker);
    const struct access_credentials both = { .authorization = TEXT("Bearer x"),
                                             .cookie = TEXT("sid=1"),
                                             .origin = ACCESS_ORIGIN_FOREIGN };
    ask_as(&fixture, &both, ACCESS_CHANNEL, "a", &asker);
    cr_assert_eq(fixture.post_count, 1);
    cr_assert_null(strstr(fixture.posts[0].headers, "Cookie"));
    cr_assert_not_null(strstr(fixture.posts[0].headers, "Authorization: Bearer x\n"));
    struct asker nobody = { 0 };
    ask_as(&fixture, &(struct access_credentials){ 0 }, ACCESS_CHANNEL, "a", &nobody);
    cr_assert_eq(nobody.verdict, ACCESS_UNKNOWN);
    cr_assert_eq(nobody.reason, REFUSAL_NO_CREDENTIAL);
    teardown(&fixture);
}

Test(authorizer, questions_under_way_answers_and_waiters_are_bounded)
{
    struct fixture fixture;
    struct asker askers[12] = { 0 };
    char name[] = "a";
    setup(&fixture);
    for (int i = 0; i < 5; i++, name[0]++)
        ask(&fixture, "sid=1", name, &askers[i]);
    cr_assert_eq(fixture.post_count, 2, "two at a time");
    cr_assert_eq(askers[4].verdict, ACCESS_UNAVAILABLE, "four of them are kept at most");
    for (int i = 5; i < 10; i++)
        ask(&fixture, "sid=1", "a", &askers[i]);
    cr_assert_eq(askers[8].told, 0);
    cr_assert_eq(askers[9].verdict, ACCESS_UNAVAILABLE, "eight wait at most");
    answer(&fixture, 0, 204, "");
    cr_assert_eq(fixture.post_count, 3, "the next in turn");
    /* An answer is pushed out by a new question, one under way is not. */
    name[0] = 'x';
    ask(&fixture, "sid=1", name, &askers[10]);
    cr_assert_eq(askers[10].told, 0);
    ask(&fixture, "sid=1", "y", &askers[11]);
    cr_assert_eq(askers[11].verdict, ACCESS_UNAVAILABLE);
    for (int i = 0; i < 12; i++)
        if (askers[i].told)
            asker_clear(&askers[i]);
    teardown(&fixture);
}

Test(authorizer, who_was_called_off_is_told_nothing)
{
    struct fixture fixture;
    struct asker stays = { 0 }, gone = { 0 };
    setup(&fixture);
    ask(&fixture, "sid=1", "a", &stays);
    ask(&fixture, "sid=1", "a", &gone);
    authorizer_cancel(fixture.authorizer, &gone.waiter);
    answer(&fixture, 0, 403, "");
    cr_assert_eq(stays.told, 1);
    cr_assert_eq(gone.told, 0);
    authorizer_cancel(fixture.authorizer, &gone.waiter);
    authorizer_cancel(fixture.authorizer, &stays.waiter);
    struct asker askers[9] = { 0 };
    for (int i = 0; i < 8; i++)
        ask(&fixture, "sid=2", "a", &askers[i]);
    cr_assert_eq(askers[7].told, 0, "the places of those who are gone are free");
    ask(&fixture, "sid=2", "a", &askers[8]);
    cr_assert_eq(askers[8].verdict, ACCESS_UNAVAILABLE);
    authorizer_cancel(fixture.authorizer, &askers[0].waiter);
    asker_clear(&askers[8]);
    ask(&fixture, "sid=2", "a", &askers[8]);
    cr_assert_eq(askers[8].told, 0);
    teardown(&fixture);
}

Test(authorizer, forgets_what_it_knew_of_a_revoked_subject_and_asks_again)
{
    struct fixture fixture;
    struct asker before = { 0 }, other = { 0 }, meanwhile = { 0 }, after = { 0 };
    setup(&fixture);
    ask(&fixture, "sid=1", "a", &before);
    answer(&fixture, 0, 200, "{\"subject\": \"u1\"}");
    ask(&fixture, "sid=2", "a", &other);
    answer(&fixture, 1, 200, "{\"subject\": \"u2\"}");
    ask(&fixture, "sid=1", "b", &meanwhile); /* on its way while u1 is revoked */
    authorizer_forget(fixture.authorizer, TEXT("u1"));
    answer(&fixture, 2, 200, "{\"subject\": \"u1\"}");
    cr_assert_eq(meanwhile.told, 0, "that was from before");
    cr_assert_eq(fixture.post_count, 4);
    answer(&fixture, 3, 401, "");
    cr_assert_eq(meanwhile.verdict, ACCESS_UNKNOWN);
    ask(&fixture, "sid=1", "a", &after);
    cr_assert_eq(fixture.post_count, 5);
    answer(&fixture, 4, 401, "");
    cr_assert_eq(after.verdict, ACCESS_UNKNOWN);
    asker_clear(&other);
    ask(&fixture, "sid=2", "a", &other);
    cr_assert_eq(other.verdict, ACCESS_ALLOWED);
    cr_assert_eq(fixture.post_count, 5);
    asker_clear(&before);
    asker_clear(&other);
    teardown(&fixture);
}

Test(authorizer, a_failure_is_not_asked_again_at_once)
{
    struct fixture fixture;
    struct asker first = { 0 }, second = { 0 };
    setup(&fixture);
    ask(&fixture, "sid=1", "a", &first);
    answer(&fixture, 0, 500, "");
    ask(&fixture, "sid=1", "a", &second);
    cr_assert_eq(second.verdict, ACCESS_UNAVAILABLE);
    cr_assert_eq(fixture.post_count, 1);
    teardown(&fixture);
}

Test(authorizer, many_topics_are_one_question)
{
    struct fixture fixture;
    struct asker asker = { 0 };
    setup(&fixture);
    const struct access_topic topics[] = { { ACCESS_CHANNEL, TEXT("a") }, { ACCESS_STREAM, TEXT("s") } };
    const struct access_question question = { ACCESS_SUBSCRIBE, topics, 2 };
    const struct access_credentials credentials = { .cookie = TEXT("sid=1") };
    put(&fixture, &credentials, &question, &asker);
    cr_assert_str_eq(fixture.posts[0].body,
                     "{\"action\":\"subscribe\",\"topics\":[{\"kind\":\"channel\",\"name\":\"a\"},"
                     "{\"kind\":\"stream\",\"name\":\"s\"}]}");
    answer(&fixture, 0, 204, "");
    cr_assert(asker_covers(&asker, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "a"));
    cr_assert(asker_covers(&asker, ACCESS_SUBSCRIBE, ACCESS_STREAM, "s"));
    cr_assert_not(asker_covers(&asker, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "s"));
    asker_clear(&asker);
    teardown(&fixture);
}

Test(authorizer, an_administrator_is_asked_for_too)
{
    struct fixture fixture;
    struct asker asker = { 0 };
    setup(&fixture);
    const struct access_question question = { .action = ACCESS_ADMIN };
    const struct access_credentials credentials = { .cookie = TEXT("sid=1") };
    put(&fixture, &credentials, &question, &asker);
    cr_assert_str_eq(fixture.posts[0].body, "{\"action\":\"admin\",\"topics\":[]}");
    answer(&fixture, 0, 204, "");
    cr_assert_eq(asker.verdict, ACCESS_ALLOWED);
    cr_assert(grant_is_admin(asker.grant));
    asker_clear(&asker);
    teardown(&fixture);
}

#include "access/ticket.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "source_fixture.h"

/* A Redis of one ticket, which answers when told. */
struct store {
    char key[TICKET_KEY_LENGTH + 1];
    char value[2048];
    size_t length;
    char subject[64];
    uint64_t ttl_ms;
    bool is_kept, is_revoked, is_down;
    ticket_put_done *put_done;
    ticket_take_done *take_done;
    void *context;
    int takes;
};

static bool put(void *context, const char *key, struct text subject, const char *grant, size_t length,
                uint64_t ttl_ms, ticket_put_done *done, void *done_context)
{
    struct store *store = context;
    cr_assert_eq(strlen(key), TICKET_KEY_LENGTH);
    strcpy(store->key, key);
    cr_assert_lt(length, sizeof store->value);
    memcpy(store->value, grant, length);
    store->length = length;
    snprintf(store->subject, sizeof store->subject, "%.*s", (int)subject.length, subject.bytes);
    store->ttl_ms = ttl_ms;
    store->put_done = done;
    store->context = done_context;
    return true;
}

static bool take(void *context, const char *key, ticket_take_done *done, void *done_context)
{
    struct store *store = context;
    store->takes++;
    store->is_kept = store->is_kept && strcmp(key, store->key) == 0;
    store->take_done = done;
    store->context = done_context;
    return true;
}

static void answer_take(struct store *store)
{
    ticket_take_done *done = store->take_done;
    bool found = store->is_kept;
    store->take_done = NULL;
    if (store->is_down) {
        done(store->context, TICKET_UNREACHABLE, NULL, 0);
        return;
    }
    store->is_kept = false;
    if (found && store->is_revoked)
        done(store->context, TICKET_REVOKED, NULL, 0);
    else if (found)
        done(store->context, TICKET_FOUND, store->value, store->length);
    else
        done(store->context, TICKET_ABSENT, NULL, 0);
}

struct fixture {
    struct store store;
    struct metrics *metrics;
    struct tickets *tickets;
    struct access_source source;
    char ticket[64];
    int issued;
};

static void setup(struct fixture *fixture)
{
    *fixture = (struct fixture){ .metrics = metrics_create() };
    const struct ticket_store store = { put, take, &fixture->store };
    fixture->tickets = tickets_create(30000, &store, fixture->metrics);
    cr_assert_not_null(fixture->tickets);
    fixture->source = tickets_source(fixture->tickets);
}

static void teardown(struct fixture *fixture)
{
    tickets_destroy(fixture->tickets);
    metrics_destroy(fixture->metrics);
}

static void on_issued(void *context, const char *ticket)
{
    struct fixture *fixture = context;
    fixture->issued++;
    snprintf(fixture->ticket, sizeof fixture->ticket, "%s", ticket ? ticket : "");
}

static struct grant *caller(void)
{
    static const struct text subscribe[] = { { "batch:*", 7 }, { "stream:email.*", 14 } };
    static const struct text publish[] = { { "*", 1 } };
    char problem[GRANT_PROBLEM_MAX];
    const struct grant_draft draft = {
        .means = GRANT_TOKEN,
        .subject = TEXT("ann"),
        .expires_wall_ms = 1800000000000,
        .admin = true,
        .lists = { [ACCESS_SUBSCRIBE] = { subscribe, 2 }, [ACCESS_PUBLISH] = { publish, 1 } }
    };
    struct grant *grant = grant_create(&draft, problem);
    cr_assert_not_null(grant);
    return grant;
}

static void issue(struct fixture *fixture)
{
    char problem[GRANT_PROBLEM_MAX];
    struct grant *whole = caller();
    struct grant *grant = ticket_grant(whole, NULL, problem);
    cr_assert_not_null(grant);
    cr_assert(tickets_issue(fixture->tickets, grant, on_issued, fixture));
    grant_release(grant);
    grant_release(whole);
    cr_assert_eq(fixture->issued, 0, "before Redis has it");
    fixture->store.is_kept = true;
    fixture->store.put_done(fixture->store.context, true);
    cr_assert_eq(fixture->issued, 1);
}

static void ask(struct fixture *fixture, const char *ticket, struct access_check *check)
{
    const struct access_credentials credentials = { .ticket = text_of(ticket, strlen(ticket)) };
    const struct access_question question = { .action = ACCESS_SUBSCRIBE };
    fixture->source.ask(fixture->source.context, check, &credentials, &question);
}

Test(ticket, opens_once)
{
    struct fixture fixture;
    struct access_check first = { 0 }, second = { 0 };
    setup(&fixture);
    issue(&fixture);
    cr_assert_eq(strlen(fixture.ticket), TICKET_LENGTH);
    cr_assert_eq(fixture.store.ttl_ms, 30000);
    cr_assert_str_eq(fixture.store.subject, "ann");
    ask(&fixture, fixture.ticket, &first);
    cr_assert_eq(first.told, 0);
    answer_take(&fixture.store);
    cr_assert(check_covers(&first, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "batch:42"));
    cr_assert_eq(grant_expires_wall_ms(first.grant), 1800000000000);
    ask(&fixture, fixture.ticket, &second);
    answer_take(&fixture.store);
    cr_assert_eq(second.told, 1);
    cr_assert_eq(second.verdict, ACCESS_UNKNOWN);
    cr_assert_eq(second.reason, REFUSAL_BAD_TICKET);
    cr_assert_eq(fixture.metrics->tickets_issued, 1);
    cr_assert_eq(fixture.metrics->tickets_taken, 1);
    cr_assert_eq(fixture.metrics->tickets_refused, 1);
    check_clear(&first);
    teardown(&fixture);
}

Test(ticket, reads_and_no_more)
{
    struct fixture fixture;
    struct access_check check = { 0 };
    setup(&fixture);
    issue(&fixture);
    ask(&fixture, fixture.ticket, &check);
    answer_take(&fixture.store);
    cr_assert(check_covers(&check, ACCESS_SUBSCRIBE, ACCESS_STREAM, "email.new"));
    cr_assert_not(check_covers(&check, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "email.new"));
    cr_assert_not(check_covers(&check, ACCESS_PUBLISH, ACCESS_CHANNEL, "batch:42"));
    cr_assert_not(grant_is_admin(check.grant));
    check_clear(&check);
    teardown(&fixture);
}

Test(ticket, is_not_what_redis_keeps)
{
    struct fixture fixture;
    setup(&fixture);
    issue(&fixture);
    cr_assert_null(strstr(fixture.store.key, fixture.ticket));
    cr_assert_null(memmem(fixture.store.value, fixture.store.length, fixture.ticket, TICKET_LENGTH));
    char another[TICKET_LENGTH + 1];
    ticket_make(another);
    cr_assert_str_neq(another, fixture.ticket);
    teardown(&fixture);
}

Test(ticket, what_is_none_is_not_looked_for)
{
    static const char *const none[] = { "",
                                        "x",
                                        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA*A",
                                        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=A" };
    struct fixture fixture;
    setup(&fixture);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct access_check check = { 0 };
        ask(&fixture, none[i], &check);
        cr_assert_eq(check.told, 1, "%s", none[i]);
        cr_assert_eq(check.verdict, ACCESS_UNKNOWN);
    }
    cr_assert_eq(fixture.store.takes, 0);
    teardown(&fixture);
}

Test(ticket, is_none_once_its_subject_was_revoked)
{
    struct fixture fixture;
    struct access_check check = { 0 };
    setup(&fixture);
    issue(&fixture);
    fixture.store.is_revoked = true;
    ask(&fixture, fixture.ticket, &check);
    answer_take(&fixture.store);
    cr_assert_eq(check.verdict, ACCESS_UNKNOWN);
    cr_assert_eq(check.reason, REFUSAL_BAD_TICKET);
    teardown(&fixture);
}

Test(ticket, without_redis_nothing_is_allowed)
{
    struct fixture fixture;
    struct access_check check = { 0 };
    setup(&fixture);
    issue(&fixture);
    fixture.store.is_down = true;
    ask(&fixture, fixture.ticket, &check);
    answer_take(&fixture.store);
    cr_assert_eq(check.told, 1);
    cr_assert_eq(check.verdict, ACCESS_UNAVAILABLE);
    cr_assert_eq(check.reason, REFUSAL_UNDECIDED);
    teardown(&fixture);
}

Test(ticket, what_redis_has_that_is_no_grant_allows_nothing)
{
    struct fixture fixture;
    struct access_check check = { 0 };
    setup(&fixture);
    issue(&fixture);
    fixture.store.length = (size_t)sprintf(fixture.store.value, "{\"sluice\":{\"subscribe\":[\"*\"]}}");
    ask(&fixture, fixture.ticket, &check);
    answer_take(&fixture.store);
    cr_assert_eq(check.told, 1);
    cr_assert_eq(check.verdict, ACCESS_UNKNOWN);
    teardown(&fixture);
}

Test(ticket, one_that_was_called_off_is_told_nothing)
{
    struct fixture fixture;
    struct access_check check = { 0 };
    setup(&fixture);
    issue(&fixture);
    ask(&fixture, fixture.ticket, &check);
    fixture.source.cancel(fixture.source.context, &check);
    answer_take(&fixture.store);
    cr_assert_eq(check.told, 0);
    teardown(&fixture);
}

Test(ticket, could_not_be_kept)
{
    struct fixture fixture;
    setup(&fixture);
    struct grant *grant = caller();
    cr_assert(tickets_issue(fixture.tickets, grant, on_issued, &fixture));
    grant_release(grant);
    fixture.store.put_done(fixture.store.context, false);
    cr_assert_eq(fixture.issued, 1);
    cr_assert_str_eq(fixture.ticket, "");
    cr_assert_eq(fixture.metrics->tickets_issued, 0);
    teardown(&fixture);
}

static bool narrows_to(const char *pattern)
{
    char problem[GRANT_PROBLEM_MAX] = "";
    struct grant *whole = caller();
    const struct text wanted = text_of(pattern, strlen(pattern));
    const struct grant_list list = { &wanted, 1 };
    struct grant *grant = ticket_grant(whole, &list, problem);
    cr_assert(grant || *problem, "a refusal says why");
    if (grant)
        cr_assert_eq(grant_pattern_count(grant, ACCESS_SUBSCRIBE), 1);
    bool narrowed = grant != NULL;
    grant_release(grant);
    grant_release(whole);
    return narrowed;
}

Test(ticket, is_never_wider_than_its_caller)
{
    cr_assert(narrows_to("batch:42"));
    cr_assert(narrows_to("batch:*"));
    cr_assert(narrows_to("batch:4*"));
    cr_assert(narrows_to("stream:email.new"));
    cr_assert_not(narrows_to("*"));
    cr_assert_not(narrows_to("batch"));
    cr_assert_not(narrows_to("batc*"));
    cr_assert_not(narrows_to("orders"));
    cr_assert_not(narrows_to("stream:*"));
    cr_assert_not(narrows_to("stream:email*"));
    cr_assert_not(narrows_to("stream:batch:42"));
    cr_assert_not(narrows_to("email.new"));
    cr_assert_not(narrows_to("a*b"));
    cr_assert_not(narrows_to(""));
}

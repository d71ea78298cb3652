#include "hub/hub_revoke.h"

#include "hub/lease.h"
#include "hub_fixture.h"

static struct fixture fixture;

static void open_default(void)
{
    struct hub_options options = fixture_options();
    fixture_open(&fixture, &options);
}

static void close_fixture(void)
{
    fixture_close(&fixture);
}

TestSuite(hub_revoke, .init = open_default, .fini = close_fixture);

/* Opens a stream that is somebody's (NULL: nobody's), known since then, and leaves its socket to come. */
static struct subscriber *open_for(const char *subject, uint64_t known_ms)
{
    struct topic_name topic = CHANNEL("news");
    struct stream_request request = request_of(STREAM_RAW, &topic, 1);
    struct subscriber *subscriber;
    cr_assert_eq(hub_open(fixture.hub, &request, &subscriber), HUB_OPEN_OK);
    const struct lease_terms terms = { .known_ms = known_ms,
                                       .subject = subject,
                                       .subject_length = subject ? strlen(subject) : 0 };
    hub_lease(fixture.hub, subscriber, subject ? lease_create(&terms) : NULL);
    return subscriber;
}

static struct client *attach(struct subscriber *subscriber)
{
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    struct client *client = calloc(1, sizeof *client);
    client->descriptor = pair[1];
    hub_attach(fixture.hub, subscriber, pair[0]);
    return client;
}

static bool has_ended(struct client *client)
{
    dispatcher_turn_end(fixture.dispatcher);
    client_read(client);
    return client->ended;
}

static size_t revoke_of(const char *subject)
{
    return hub_revoke(fixture.hub, subject, strlen(subject));
}

Test(hub_revoke, ends_all_streams_of_one_and_nobody_elses)
{
    struct client *first = attach(open_for("ann", 0)), *second = attach(open_for("ann", 0));
    struct client *longer = attach(open_for("anna", 0)), *shorter = attach(open_for("an", 0));
    struct client *nobody = attach(open_for(NULL, 0));
    cr_expect_eq(revoke_of("ann"), 2u);
    cr_expect(has_ended(first));
    cr_expect(has_ended(second));
    cr_expect(client_saw_in_order(first, "event: expired\n", "data: {\"reason\":\"revoked\"}\n\n"));
    cr_expect_not(has_ended(longer));
    cr_expect_not(has_ended(shorter));
    cr_expect_not(has_ended(nobody));
    cr_expect_eq(fixture.metrics->streams_revoked, 2u);
    cr_expect_eq(revoke_of("ann"), 0u);
    cr_expect_eq(revoke_of(""), 0u);
    struct client *all[] = { first, second, longer, shorter, nobody };
    for (size_t i = 0; i < 5; i++)
        client_close(all[i]);
}

Test(hub_revoke, one_whose_head_is_not_out_yet_ends_with_it)
{
    struct subscriber *subscriber = open_for("ann", clock_now_ms());
    cr_expect_eq(revoke_of("ann"), 0u, "it has no socket");
    struct client *client = attach(subscriber);
    cr_expect(has_ended(client));
    cr_expect(client_saw_in_order(client, "event: expired\n", "revoked"));
    client_close(client);
}

Test(hub_revoke, what_counts_is_when_its_caller_became_known)
{
    uint64_t asked_ms = clock_now_ms();
    revoke_of("ann");
    /* Somebody was asked about it before that, and answered behind it. */
    struct client *stale = attach(open_for("ann", asked_ms));
    struct client *fresh = attach(open_for("ann", clock_now_ms() + 1));
    struct client *other = attach(open_for("bob", asked_ms));
    cr_expect(has_ended(stale));
    cr_expect_not(has_ended(fresh));
    cr_expect_not(has_ended(other));
    client_close(stale);
    client_close(fresh);
    client_close(other);
}

Test(hub_revoke, more_than_are_remembered_count_for_everybody)
{
    char name[16];
    uint64_t asked_ms = clock_now_ms();
    for (int i = 0; i < 65; i++) {
        snprintf(name, sizeof name, "user%d", i);
        revoke_of(name);
    }
    struct client *stale = attach(open_for("user0", asked_ms));
    struct client *fresh = attach(open_for("user0", clock_now_ms() + 1));
    cr_expect(has_ended(stale));
    cr_expect_not(has_ended(fresh));
    client_close(stale);
    client_close(fresh);
}

Test(hub_revoke, counts_streams_by_subject)
{
    struct client *all[] = { attach(open_for("ann", 0)), attach(open_for("ann", 0)),
                             attach(open_for("b\"b", 0)), attach(open_for(NULL, 0)) };
    struct buffer out = { 0 };
    hub_append_subjects(fixture.hub, 10, &out);
    buffer_append_byte(&out, '\0');
    cr_expect_not_null(strstr(out.data, "{\"streams\":4,\"unnamed\":1,\"subjects\":{"));
    cr_expect_not_null(strstr(out.data, "\"ann\":2"));
    cr_expect_not_null(strstr(out.data, "\"b\\\"b\":1"));
    buffer_reset(&out);
    hub_append_subjects(fixture.hub, 1, &out);
    buffer_append_byte(&out, '\0');
    cr_expect_null(strchr(strstr(out.data, "subjects"), ','), "one at most: %s", out.data);
    buffer_free(&out);
    for (size_t i = 0; i < 4; i++)
        client_close(all[i]);
}

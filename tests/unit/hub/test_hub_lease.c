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

TestSuite(hub_lease, .init = open_default, .fini = close_fixture);

/* Opens a stream of a channel that is held until `expires_ms` (0: for ever) with this credential. */
static struct client *open_held(const char *channel, uint64_t expires_ms, uint64_t credential)
{
    struct topic_name topic = CHANNEL(channel);
    struct stream_request request = request_of(STREAM_RAW, &topic, 1);
    struct subscriber *subscriber;
    int pair[2];
    cr_assert_eq(hub_open(fixture.hub, &request, &subscriber), HUB_OPEN_OK);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    const struct lease_terms terms = {
        .expires_ms = expires_ms, .credential = credential, .subject = "ann", .subject_length = 3
    };
    hub_lease(fixture.hub, subscriber, lease_create(&terms));
    struct client *client = calloc(1, sizeof *client);
    client->descriptor = pair[1];
    hub_attach(fixture.hub, subscriber, pair[0]);
    return client;
}

/* Lets the loop run until the client's stream has ended, for at most `limit_ms`. */
static void run_until_end(struct client *client, uint64_t limit_ms)
{
    uint64_t end_ms = clock_now_ms() + limit_ms;
    while (client_read(client), !client->ended && clock_now_ms() < end_ms) {
        event_base_loop(fixture.base, EVLOOP_NONBLOCK);
        usleep(5000);
    }
}

Test(hub_lease, a_stream_ends_at_its_time)
{
    uint64_t expires_ms = clock_now_ms() + 400;
    struct client *client = open_held("news", expires_ms, 0);
    struct client *forever = open_held("news", 0, 0);
    fixture_confirm(&fixture, "news");
    fixture_say(&fixture, "news", "1");
    dispatcher_turn_end(fixture.dispatcher);
    run_until_end(client, 5000);
    cr_assert(client->ended);
    cr_expect_geq(clock_now_ms(), expires_ms);
    cr_expect(client_saw_in_order(client, "data: 1\n\n", "event: expired\n"));
    cr_expect(client_saw_in_order(client, "event: expired\n", "data: {\"reason\":\"expired\"}\n\n"));
    cr_expect_eq(fixture.metrics->sse_expired, 1u);
    cr_expect_not(client_read(forever) && forever->ended);
    cr_expect_eq(hub_client_count(fixture.hub), 1u);
    client_close(client);
    client_close(forever);
}

Test(hub_lease, one_that_is_over_before_it_is_attached)
{
    struct client *client = open_held("news", clock_now_ms() - 1000, 0);
    fixture_confirm(&fixture, "news");
    run_until_end(client, 5000);
    cr_assert(client->ended);
    cr_expect_eq(client_count(client, "event: expired\n"), 1u);
    client_close(client);
}

Test(hub_lease, an_end_beyond_a_round_of_the_slots_is_not_too_early)
{
    struct client *client = open_held("news", clock_now_ms() + 64000 + 300, 0);
    fixture_confirm(&fixture, "news");
    run_until_end(client, 700);
    cr_expect_not(client->ended);
    client_close(client);
}

static bool stays(void *context, const struct lease *lease, const struct topic_name *topic)
{
    const uint64_t *gone = context;
    cr_assert_eq(lease->subject_length, 3);
    cr_assert_eq(memcmp(lease->text, "ann", 3), 0);
    cr_assert_eq(topic->kind, TOPIC_CHANNEL);
    return lease->credential != *gone;
}

Test(hub_lease, a_review_ends_those_that_may_not_stay)
{
    struct client *gone = open_held("news", 0, 7);
    struct client *kept = open_held("news", 0, 8);
    struct client *open = NULL;
    struct topic_name topic = CHANNEL("news");
    struct stream_request request = request_of(STREAM_RAW, &topic, 1);
    open = client_open(&fixture, &request, 0);
    fixture_confirm(&fixture, "news");
    uint64_t credential = 7;
    cr_expect_eq(hub_review(fixture.hub, stays, "revoked", &credential), 1u);
    cr_expect(client_saw_in_order(gone, "event: expired\n", "data: {\"reason\":\"revoked\"}\n\n"));
    cr_expect(gone->ended);
    cr_expect_eq(client_count(kept, "expired"), 0u);
    cr_expect_eq(client_count(open, "expired"), 0u);
    cr_expect_eq(hub_client_count(fixture.hub), 2u);
    client_close(gone);
    client_close(kept);
    client_close(open);
}

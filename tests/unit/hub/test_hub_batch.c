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

TestSuite(hub_batch, .init = open_default, .fini = close_fixture);

static struct stream_request batch_request(void)
{
    static struct topic_name topic = { .kind = TOPIC_CHANNEL, .name = "batch:42", .length = 8 };
    return request_of(STREAM_BATCH, &topic, 1);
}

static struct client *open_batch(void)
{
    struct stream_request request = batch_request();
    return client_open(&fixture, &request, 0);
}

static void say(const char *payload)
{
    fixture_say(&fixture, "batch:42", payload);
    dispatcher_turn_end(fixture.dispatcher);
}

static bool take_nothing(void *context, struct hub_events *events)
{
    (void)context;
    hub_events_clear(events);
    return true;
}

#define RUNNING(n) "{\"status\":\"RUNNING\",\"progress\":" #n "}"
#define COMPLETED "{\"status\":\"COMPLETED\",\"progress\":100}"

Test(hub_batch, snapshot_then_live)
{
    fixture.stored = RUNNING(10);
    struct client *client = open_batch();
    fixture_confirm(&fixture, "batch:42");
    cr_expect_eq(client_count(client, "retry"), 1u);
    cr_expect_eq(client_count(client, "progress"), 0u);
    fixture_answer(&fixture);
    cr_expect_eq(client_count(client, "event: progress\ndata: " RUNNING(10) "\n\n"), 1u);
    say(RUNNING(20));
    cr_expect(client_saw_in_order(client, RUNNING(10), RUNNING(20)));
    cr_expect_eq(client_count(client, "event: "), 2u);
    client_close(client);
}

Test(hub_batch, no_snapshot_no_event)
{
    struct client *client = open_batch();
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture);
    cr_expect_eq(client_count(client, "event"), 0u);
    say(RUNNING(1));
    cr_expect_eq(client_count(client, RUNNING(1)), 1u);
    client_close(client);
}

Test(hub_batch, messages_that_tell_the_snapshot_too_are_given_once_each)
{
    fixture.stored = RUNNING(30);
    struct client *client = open_batch();
    fixture_confirm(&fixture, "batch:42");
    /* One turn of the feed: an older message, one that the snapshot holds already, the fence, a newer one.
     * The reply comes first. */
    uint64_t token = fixture.load_tokens[0];
    snapshot_cache_loaded(fixture.cache, token, SNAPSHOT_FOUND, fixture.stored, strlen(fixture.stored), true,
                          true, clock_now_ms());
    fixture_say(&fixture, "batch:42", RUNNING(20));
    fixture_say(&fixture, "batch:42", RUNNING(30));
    dispatcher_fence(fixture.dispatcher, 0, token);
    fixture_say(&fixture, "batch:42", RUNNING(40));
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect(client_saw_in_order(client, RUNNING(20), RUNNING(30)));
    cr_expect(client_saw_in_order(client, RUNNING(30), RUNNING(40)));
    cr_expect_eq(client_count(client, "event: progress"), 3u, "the snapshot would repeat the second");
    client_close(client);
}

Test(hub_batch, reply_behind_the_fence_loses_nothing)
{
    fixture.stored = RUNNING(30);
    struct client *client = open_batch();
    fixture_confirm(&fixture, "batch:42");
    uint64_t token = fixture.load_tokens[0];
    dispatcher_fence(fixture.dispatcher, 0, token);
    say(RUNNING(40));
    snapshot_cache_loaded(fixture.cache, token, SNAPSHOT_FOUND, fixture.stored, strlen(fixture.stored), true,
                          true, clock_now_ms());
    cr_expect_eq(client_count(client, RUNNING(40)), 1u, "the newest state");
    cr_expect_eq(client_count(client, RUNNING(30)), 0u, "and nothing older");
    say(RUNNING(50));
    cr_expect(client_saw_in_order(client, RUNNING(40), RUNNING(50)));
    client_close(client);
}

Test(hub_batch, message_that_repeats_the_snapshot_is_not_sent_again)
{
    fixture.stored = RUNNING(30);
    struct client *client = open_batch();
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture); /* read between the worker's SET and its PUBLISH */
    fixture_say(&fixture, "batch:42", RUNNING(30));
    fixture_say(&fixture, "batch:42", RUNNING(31));
    fixture_say(&fixture, "batch:42", RUNNING(31));
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect_eq(client_count(client, RUNNING(30)), 1u);
    cr_expect_eq(client_count(client, RUNNING(31)), 2u, "the same published twice is two messages");
    client_close(client);
}

Test(hub_batch, read_between_publish_and_set_is_told_of_the_set)
{
    fixture.stored = RUNNING(30);
    struct client *client = open_batch();
    fixture_confirm(&fixture, "batch:42"); /* COMPLETED was published right before */
    fixture_answer(&fixture);
    cr_expect_eq(client_count(client, RUNNING(30)), 1u);
    fixture.stored = COMPLETED;
    dispatcher_invalidated(fixture.dispatcher, "42", 2);
    dispatcher_turn_end(fixture.dispatcher);
    fixture_answer(&fixture);
    cr_expect(client_saw_in_order(client, "event: progress\ndata: " COMPLETED,
                                  "event: complete\ndata: " COMPLETED));
    cr_expect(client->ended);
    client_close(client);
}

/* A viewer that has nothing but its snapshot; the state changes behind it. */
static struct client *open_joined(void)
{
    fixture.stored = RUNNING(30);
    struct client *client = open_batch();
    fixture_confirm(&fixture, "batch:42"); /* COMPLETED was published right before */
    fixture_answer(&fixture);
    cr_expect_eq(client_count(client, RUNNING(30)), 1u);
    fixture.stored = COMPLETED;
    return client;
}

Test(hub_batch, change_that_could_not_be_read_is_read_later)
{
    const struct timeval wait = { .tv_sec = 1, .tv_usec = 200000 };
    struct client *client = open_joined();
    dispatcher_invalidated(fixture.dispatcher, "42", 2);
    dispatcher_turn_end(fixture.dispatcher);
    snapshot_cache_loaded(fixture.cache, fixture.load_tokens[--fixture.loads], SNAPSHOT_UNAVAILABLE, NULL, 0,
                          false, false, clock_now_ms());
    event_base_loopexit(fixture.base, &wait);
    event_base_dispatch(fixture.base);
    fixture_answer(&fixture);
    cr_expect_eq(client_count(client, "event: complete\ndata: " COMPLETED), 1u);
    client_close(client);
}

Test(hub_batch, change_that_redis_did_not_tell_of_is_told_when_it_can_be_asked_again)
{
    struct client *client = open_joined();
    snapshot_cache_feed_down(fixture.cache, clock_now_ms()); /* the commands' connection, not the feed's */
    snapshot_cache_feed_up(fixture.cache);
    hub_refresh_all_joined(fixture.hub);
    fixture_answer(&fixture);
    cr_expect_eq(client_count(client, "event: complete\ndata: " COMPLETED), 1u);
    client_close(client);
}

Test(hub_batch, set_that_follows_no_message_is_told_once)
{
    struct client *client = open_batch();
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture); /* nothing is there */
    fixture.stored = RUNNING(1);
    dispatcher_invalidated(fixture.dispatcher, "42", 2);
    dispatcher_turn_end(fixture.dispatcher);
    fixture_answer(&fixture);
    say(RUNNING(1)); /* the worker's PUBLISH behind its SET */
    say(RUNNING(2));
    cr_expect_eq(client_count(client, RUNNING(1)), 1u);
    cr_expect_eq(client_count(client, RUNNING(2)), 1u);
    client_close(client);
}

Test(hub_batch, who_comes_back_between_set_and_publish_gets_the_message)
{
    struct client *keeper = open_batch();
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture);
    say(RUNNING(1));
    uint64_t sequence = client_sequence(keeper);
    fixture.stored = RUNNING(2);
    dispatcher_invalidated(fixture.dispatcher, "42", 2);
    dispatcher_turn_end(fixture.dispatcher);
    struct stream_request request = request_again(&fixture, batch_request(), sequence);
    struct client *again = client_open(&fixture, &request, 0);
    while (fixture.loads > 0)
        fixture_answer(&fixture);
    cr_expect_eq(client_count(again, RUNNING(2)), 0u, "it is about to be published");
    say(RUNNING(2));
    cr_expect_eq(client_count(again, RUNNING(2)), 1u);
    cr_expect_eq(client_count(keeper, RUNNING(2)), 1u);
    client_close(again);
    client_close(keeper);
}

static void other_listens(void)
{
    struct dispatcher_port *other = NULL;
    for (unsigned ports = 1; ports < 2 || snapshot_cache_owner("42", 2, ports) == 0; ports++)
        other = dispatcher_add_port(fixture.dispatcher, take_nothing, NULL);
    const struct dispatcher_wish wish = fixture_wish(&fixture, TOPIC_CHANNEL, "batch:42", 8);
    dispatcher_want(fixture.dispatcher, other, &wish);
    dispatcher_confirmed(fixture.dispatcher, TOPIC_CHANNEL, "batch:42", 8);
}

static struct client *open_here(void)
{
    struct client *client = open_batch();
    dispatcher_turn_end(fixture.dispatcher);
    while (fixture.loads > 0)
        fixture_answer(&fixture);
    return client;
}

/* Another hub listens to the batch, and answers for it: ours is told of nothing, and then of all that is
 * kept. */
Test(hub_batch, newcomer_is_not_told_what_another_hub_was_told_before)
{
    other_listens();
    say(RUNNING(1));
    say(COMPLETED);
    say(RUNNING(5));
    fixture.stored = RUNNING(5);
    struct client *client = open_here();
    cr_expect_eq(client_count(client, "event: progress"), 1u, "%s", client_read(client));
    cr_expect_eq(client_count(client, RUNNING(5)), 1u);
    cr_expect_not(client->ended);
    client_close(client);
}

Test(hub_batch, what_another_hub_was_told_last_is_the_snapshot_when_the_key_says_nothing_newer)
{
    other_listens();
    say(RUNNING(1));
    say(RUNNING(2));
    fixture.stored = NULL;
    struct client *client = open_here();
    cr_expect_eq(client_count(client, "event: progress"), 1u, "%s", client_read(client));
    cr_expect_eq(client_count(client, RUNNING(2)), 1u);
    client_close(client);
}

Test(hub_batch, what_another_hub_was_told_before_the_key_changed_is_no_snapshot)
{
    other_listens();
    say(RUNNING(1));
    dispatcher_invalidated(fixture.dispatcher, "42", 2);
    fixture.stored = RUNNING(7);
    struct client *client = open_here();
    cr_expect_eq(client_count(client, "event: progress"), 1u, "%s", client_read(client));
    cr_expect_eq(client_count(client, RUNNING(7)), 1u);
    client_close(client);
}

Test(hub_batch, what_another_hub_was_told_before_the_batch_was_dropped_is_no_snapshot)
{
    other_listens();
    say(COMPLETED);
    dispatcher_invalidated(fixture.dispatcher, "42", 2);
    fixture.stored = NULL;
    struct client *client = open_here();
    cr_expect_eq(client_count(client, "event: "), 0u, "%s", client_read(client));
    cr_expect_not(client->ended);
    client_close(client);
}

Test(hub_batch, later_viewers_join_from_memory)
{
    fixture.stored = RUNNING(10);
    struct client *first = open_batch();
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture);
    say(RUNNING(20));
    struct client *clients[10];
    for (size_t i = 0; i < 10; i++)
        clients[i] = open_batch();
    cr_expect_eq(fixture.loads, 0u, "no further read");
    for (size_t i = 0; i < 10; i++) {
        cr_expect_eq(client_count(clients[i], RUNNING(20)), 1u);
        cr_expect_eq(client_count(clients[i], "event:"), 1u);
        client_close(clients[i]);
    }
    client_close(first);
}

Test(hub_batch, complete_ends_the_stream)
{
    struct client *client = open_batch();
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture);
    fixture_say(&fixture, "batch:42", RUNNING(99));
    fixture_say(&fixture, "batch:42", COMPLETED);
    fixture_say(&fixture, "batch:42", RUNNING(0));
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect(client_saw_in_order(client, "event: progress\ndata: " RUNNING(99),
                                  "event: progress\ndata: " COMPLETED));
    cr_expect(client_saw_in_order(client, "event: progress\ndata: " COMPLETED,
                                  "event: complete\ndata: " COMPLETED));
    cr_expect_eq(client_count(client, "-c\nevent: complete"), 1u);
    cr_expect_eq(client_count(client, RUNNING(0)), 0u);
    cr_expect(client->ended);
    client_close(client);
}

Test(hub_batch, terminal_snapshot_ends_the_stream_at_once)
{
    fixture.stored = "{\"status\":\"FAILED\"}";
    struct client *client = open_batch();
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture);
    cr_expect(client_saw_in_order(client, "event: progress", "event: complete"));
    cr_expect(client->ended);
    client_close(client);
}

Test(hub_batch, opaque_payload_passes_and_never_ends)
{
    struct client *client = open_batch();
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture);
    say("status COMPLETED");
    say("[\"COMPLETED\"]");
    cr_expect_eq(client_count(client, "event: progress"), 2u);
    cr_expect_eq(client_count(client, "event: complete"), 0u);
    cr_expect_not(client->ended);
    client_close(client);
}

Test(hub_batch, comes_back_and_gets_each_step)
{
    struct client *client = open_batch();
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture);
    say(RUNNING(1));
    uint64_t sequence = client_sequence(client);
    client_close(client);
    fixture_turn(&fixture);
    say(RUNNING(2));
    say(COMPLETED);
    struct stream_request request = request_again(&fixture, batch_request(), sequence);
    struct client *again = client_open(&fixture, &request, 0);
    cr_expect_eq(client_count(again, "gap"), 0u);
    cr_expect(client_saw_in_order(again, RUNNING(2), "event: complete"));
    cr_expect_eq(client_count(again, "event: progress"), 2u);
    cr_expect(again->ended);
    client_close(again);
}

Test(hub_batch, cut_between_the_last_progress_and_complete)
{
    struct client *keeper = open_batch();
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture);
    say(COMPLETED);
    uint64_t sequence = client_sequence(keeper);
    client_close(keeper);
    struct stream_request request = request_again(&fixture, batch_request(), sequence);
    struct client *again = client_open(&fixture, &request, 0);
    if (fixture.loads > 0)
        fixture_answer(&fixture);
    cr_expect_eq(client_count(again, "event: progress"), 0u, "it has that");
    cr_expect_eq(client_count(again, "event: complete\ndata: " COMPLETED), 1u);
    cr_expect(again->ended);
    client_close(again);
}

Test(hub_batch, lost_redis_is_a_gap_and_a_fresh_snapshot)
{
    fixture.stored = RUNNING(10);
    struct client *client = open_batch();
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture);
    client_clear(client);
    snapshot_cache_feed_down(fixture.cache, clock_now_ms());
    fixture_feed_down(&fixture);
    snapshot_cache_feed_up(fixture.cache);
    fixture_feed_up(&fixture);
    fixture.stored = RUNNING(70);
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture);
    cr_expect(client_saw_in_order(client, "{\"reason\":\"redis-reconnect\"}", RUNNING(70)));
    say(RUNNING(80));
    cr_expect(client_saw_in_order(client, RUNNING(70), RUNNING(80)));
    client_close(client);
}

/* A viewer was told of a gap, and is cut before the snapshot that it is owed: it comes back with the gap's
 * id. */
static void expect_snapshot_after_cut(struct client *client)
{
    cr_assert_eq(client_count(client, "event: gap"), 1u);
    cr_assert_eq(client_count(client, "event: progress"), 0u);
    struct stream_request request = request_again(&fixture, batch_request(), client_sequence(client));
    client_close(client);
    fixture_turn(&fixture);
    struct client *again = client_open(&fixture, &request, 0);
    while (fixture.loads > 0)
        fixture_answer(&fixture);
    cr_expect_eq(client_count(again, fixture.stored), 1u, "%s", client_read(again));
    client_close(again);
}

Test(hub_batch, cut_between_the_gap_of_a_lost_redis_and_its_snapshot)
{
    fixture.stored = RUNNING(10);
    struct client *client = open_batch();
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture);
    client_clear(client);
    snapshot_cache_feed_down(fixture.cache, clock_now_ms());
    fixture_feed_down(&fixture);
    snapshot_cache_feed_up(fixture.cache);
    fixture_feed_up(&fixture);
    fixture.stored = RUNNING(70);
    fixture_confirm(&fixture, "batch:42");
    expect_snapshot_after_cut(client);
}

Test(hub_batch, cut_between_the_gap_of_a_restart_and_its_snapshot)
{
    fixture.stored = RUNNING(70);
    struct stream_request request = request_again(&fixture, batch_request(), 7);
    request.cursor.epoch++;
    struct client *client = client_open(&fixture, &request, 0);
    fixture_confirm(&fixture, "batch:42");
    expect_snapshot_after_cut(client);
}

Test(hub_batch, told_of_a_gap_when_there_is_no_snapshot_it_has_its_place)
{
    struct stream_request request = request_again(&fixture, batch_request(), 7);
    request.cursor.epoch++;
    struct client *client = client_open(&fixture, &request, 0);
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture);
    request = request_again(&fixture, batch_request(), client_sequence(client));
    client_close(client);
    fixture_turn(&fixture);
    say(RUNNING(1));
    struct client *again = client_open(&fixture, &request, 0);
    cr_expect_eq(client_count(again, "event: gap"), 0u, "%s", client_read(again));
    cr_expect_eq(client_count(again, RUNNING(1)), 1u);
    client_close(again);
}

/* A viewer that comes back, has missed nothing, and waits for the snapshot. */
static struct client *come_back_to_wait(void)
{
    struct client *client = open_batch();
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture);
    say("opaque");
    uint64_t sequence = client_sequence(client);
    client_close(client);
    snapshot_cache_drop(fixture.cache, "42", 2);
    struct stream_request request = request_again(&fixture, batch_request(), sequence);
    struct client *again = client_open(&fixture, &request, 0);
    cr_assert_eq(fixture.loads, 1u);
    cr_assert_eq(client_count(again, "gap"), 0u);
    return again;
}

Test(hub_batch, redis_is_lost_while_who_missed_nothing_waits_for_the_snapshot)
{
    struct client *client = come_back_to_wait();
    snapshot_cache_feed_down(fixture.cache, clock_now_ms());
    fixture_feed_down(&fixture);
    snapshot_cache_feed_up(fixture.cache);
    fixture_feed_up(&fixture);
    fixture.stored = RUNNING(70);
    fixture_confirm(&fixture, "batch:42");
    while (fixture.loads > 0)
        fixture_answer(&fixture);
    cr_expect(client_saw_in_order(client, "{\"reason\":\"redis-reconnect\"}", RUNNING(70)));
    client_close(client);
}

Test(hub_batch, more_comes_than_is_kept_while_who_missed_nothing_waits_for_the_snapshot)
{
    struct client *client = come_back_to_wait();
    char payload[64];
    for (int i = 0; i < 20; i++) {
        snprintf(payload, sizeof payload, "{\"status\":\"RUNNING\",\"progress\":%d}", i);
        say(payload);
    }
    fixture.stored = payload;
    fixture_answer(&fixture);
    cr_expect(client_saw_in_order(client, "{\"reason\":\"trimmed\"}", RUNNING(19)));
    cr_expect_eq(client_count(client, "event: progress"), 1u);
    client_close(client);
}

Test(hub_batch, slow_viewer_is_left_with_the_newest_state)
{
    struct stream_request request = batch_request();
    struct client *slow = client_open(&fixture, &request, 4096);
    fixture_confirm(&fixture, "batch:42");
    fixture_answer(&fixture);
    client_clear(slow);
    char payload[256];
    for (int i = 0; i < 3000; i++) {
        snprintf(payload, sizeof payload, "{\"status\":\"RUNNING\",\"progress\":%d,\"padding\":\"%0100d\"}",
                 i, 0);
        say(payload);
        cr_assert_leq(fixture.metrics->sse_backlog_bytes, 1024u, "only the newest waits");
    }
    say(COMPLETED);
    for (int i = 0; i < 100 && !slow->ended; i++) {
        client_read(slow);
        fixture_turn(&fixture);
    }
    cr_expect_gt(fixture.metrics->slow_clients[SLOW_CONFLATED], 0u);
    cr_expect_eq(fixture.metrics->slow_clients[SLOW_DISCONNECTED], 0u);
    cr_expect(
        client_saw_in_order(slow, "{\"reason\":\"slow-consumer\"}", "event: complete\ndata: " COMPLETED));
    cr_expect(slow->ended);
    /* Each block that arrived is whole. */
    cr_expect_eq(client_count(slow, "event: progress\ndata: {\"status\""),
                 client_count(slow, "event: progress"));
    client_close(slow);
}

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

TestSuite(hub, .init = open_default, .fini = close_fixture);

static struct client *open_plain(const char *channel)
{
    struct topic_name topic = CHANNEL(channel);
    struct stream_request request = request_of(STREAM_RAW, &topic, 1);
    return client_open(&fixture, &request, 0);
}

Test(hub, greets_when_the_subscription_is_confirmed)
{
    struct client *client = open_plain("news");
    cr_expect_eq(fixture.subscribes, 1u);
    cr_expect_str_eq(fixture.subscribed[0], "news");
    cr_expect_str_eq(client_read(client), "", "not live yet");
    fixture_confirm(&fixture, "news");
    unsigned retry = 0;
    cr_assert_eq(sscanf(client_read(client), "retry: %u\n\n", &retry), 1);
    cr_expect(retry >= 1000 && retry <= 5000);
    cr_expect_null(strstr(client->text, "data"));
    client_close(client);
}

Test(hub, many_viewers_are_one_subscription_and_one_framing)
{
    struct client *clients[20];
    for (size_t i = 0; i < 20; i++)
        clients[i] = open_plain("news");
    cr_expect_eq(fixture.subscribes, 1u);
    fixture_confirm(&fixture, "news");
    fixture_say(&fixture, "news", "{\"n\":1}");
    fixture_say(&fixture, "news", "{\"n\":2}");
    cr_expect_eq(client_count(clients[0], "data"), 0u, "nothing is sent before the turn ends");
    dispatcher_turn_end(fixture.dispatcher);
    for (size_t i = 0; i < 20; i++) {
        cr_expect(client_saw_in_order(clients[i], "data: {\"n\":1}\n\n", "data: {\"n\":2}\n\n"));
        cr_expect_eq(client_count(clients[i], "data:"), 2u);
        client_close(clients[i]);
    }
    cr_expect_eq(fixture.metrics->sse_events, 40u);
    cr_expect_eq(fixture.metrics->events_consumed, 2u);
    cr_expect_eq(fixture.metrics->sse_latency.count, 2u, "once a message, when its last client has it");
}

Test(hub, subscription_goes_when_its_last_viewer_has_left)
{
    struct client *one = open_plain("news");
    struct client *two = open_plain("news");
    fixture_confirm(&fixture, "news");
    client_close(one);
    fixture_turn(&fixture);
    usleep(120000);
    fixture_turn(&fixture);
    cr_expect_eq(fixture.unsubscribes, 0u);
    cr_expect_eq(fixture.metrics->sse_clients, 1u);
    client_close(two);
    fixture_turn(&fixture);
    cr_expect_eq(fixture.metrics->sse_clients, 0u, "a peer that closes is noticed at once");
    usleep(120000);
    fixture_turn(&fixture);
    cr_expect_eq(fixture.unsubscribes, 1u);
    cr_expect_eq(fixture.metrics->redis_subscriptions, 0u);
}

Test(hub, topic_that_is_not_confirmed_yet_is_not_unsubscribed)
{
    struct client *client = open_plain("news");
    client_close(client);
    fixture_turn(&fixture);
    usleep(120000);
    fixture_turn(&fixture);
    cr_expect_eq(fixture.unsubscribes, 0u);
    fixture_confirm(&fixture, "news");
    usleep(120000);
    fixture_turn(&fixture);
    cr_expect_eq(fixture.unsubscribes, 1u);
}

Test(hub, channel_and_pattern_that_overlap_give_an_event_once)
{
    struct topic_name topics[] = { CHANNEL("a.b"), PATTERN("a.*"), PATTERN("*.b"), CHANNEL("a.b") };
    struct stream_request request = request_of(STREAM_ENVELOPE, topics, 4);
    struct client *client = client_open(&fixture, &request, 0);
    cr_expect_eq(fixture.subscribes, 3u, "a topic asked for twice is one");
    fixture_confirm(&fixture, "a.b");
    dispatcher_confirmed(fixture.dispatcher, TOPIC_PATTERN, "a.*", 3);
    dispatcher_confirmed(fixture.dispatcher, TOPIC_PATTERN, "*.b", 3);
    for (int i = 0; i < 2; i++) { /* the same payload published twice is two events */
        fixture_say(&fixture, "a.b", "1");
        fixture_say_pattern(&fixture, "a.*", "a.b", "1");
        fixture_say_pattern(&fixture, "*.b", "a.b", "1");
    }
    fixture_say_pattern(&fixture, "a.*", "a.c", "2");
    fixture_say_pattern(&fixture, "a.*", "a.c", "2");
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect_eq(client_count(client, "data: {\"channel\":\"a.b\",\"data\":1}\n\n"), 2u);
    cr_expect_eq(client_count(client, "data: {\"channel\":\"a.c\",\"data\":2}\n\n"), 2u);
    cr_expect_eq(client_count(client, "data:"), 4u);
    client_close(client);
}

Test(hub, several_topics_arrive_in_the_order_of_redis)
{
    struct topic_name topics[] = { CHANNEL("a"), CHANNEL("b") };
    struct stream_request request = request_of(STREAM_NAMED, topics, 2);
    struct client *client = client_open(&fixture, &request, 0);
    fixture_confirm(&fixture, "a");
    cr_expect_str_eq(client_read(client), "");
    fixture_confirm(&fixture, "b");
    client_clear(client);
    fixture_say(&fixture, "a", "1");
    fixture_say(&fixture, "b", "2");
    fixture_say(&fixture, "a", "3");
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect(client_saw_in_order(client, "event: a\ndata: 1", "event: b\ndata: 2"));
    cr_expect(client_saw_in_order(client, "event: b\ndata: 2", "event: a\ndata: 3"));
    client_close(client);
}

/* --- coming back --- */

Test(hub, comes_back_and_gets_what_it_missed)
{
    struct client *first = open_plain("news");
    fixture_confirm(&fixture, "news");
    fixture_say(&fixture, "news", "one");
    dispatcher_turn_end(fixture.dispatcher);
    uint64_t sequence = client_sequence(first);
    client_close(first);
    fixture_turn(&fixture);
    fixture_say(&fixture, "news", "two");
    fixture_say(&fixture, "news", "three");
    dispatcher_turn_end(fixture.dispatcher);
    struct topic_name topic = CHANNEL("news");
    struct stream_request request = request_again(&fixture, request_of(STREAM_RAW, &topic, 1), sequence);
    struct client *again = client_open(&fixture, &request, 0);
    fixture_say(&fixture, "news", "four");
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect_eq(client_count(again, "gap"), 0u);
    cr_expect_eq(client_count(again, "data: one"), 0u);
    cr_expect(client_saw_in_order(again, "data: two", "data: three"));
    cr_expect(client_saw_in_order(again, "data: three", "data: four"));
    cr_expect_eq(client_count(again, "data:"), 3u);
    client_close(again);
}

Test(hub, client_that_is_cut_before_its_first_event_misses_nothing)
{
    struct client *first = open_plain("news");
    fixture_confirm(&fixture, "news");
    uint64_t sequence = client_sequence(first);
    client_close(first);
    fixture_turn(&fixture);
    fixture_say(&fixture, "news", "one");
    dispatcher_turn_end(fixture.dispatcher);
    struct topic_name topic = CHANNEL("news");
    struct stream_request request = request_again(&fixture, request_of(STREAM_RAW, &topic, 1), sequence);
    struct client *again = client_open(&fixture, &request, 0);
    cr_expect_eq(client_count(again, "data: one"), 1u);
    cr_expect_eq(client_count(again, "gap"), 0u);
    client_close(again);
}

Test(hub, coming_back_after_the_subscription_went_is_a_gap)
{
    struct client *first = open_plain("news");
    fixture_confirm(&fixture, "news");
    fixture_say(&fixture, "news", "one");
    dispatcher_turn_end(fixture.dispatcher);
    uint64_t sequence = client_sequence(first);
    client_close(first);
    fixture_turn(&fixture);
    usleep(120000);
    fixture_turn(&fixture);
    cr_assert_eq(fixture.unsubscribes, 1u);
    struct topic_name topic = CHANNEL("news");
    struct stream_request request = request_again(&fixture, request_of(STREAM_RAW, &topic, 1), sequence);
    struct client *again = client_open(&fixture, &request, 0);
    fixture_confirm(&fixture, "news");
    cr_expect_eq(client_count(again, "{\"reason\":\"trimmed\"}"), 1u,
                 "who knows what was published meanwhile");
    client_close(again);
}

Test(hub, comes_back_to_several_topics_with_one_cursor)
{
    struct topic_name topics[] = { CHANNEL("a"), CHANNEL("b"), PATTERN("*") };
    struct stream_request request = request_of(STREAM_ENVELOPE, topics, 3);
    struct client *first = client_open(&fixture, &request, 0);
    fixture_confirm(&fixture, "a");
    fixture_confirm(&fixture, "b");
    dispatcher_confirmed(fixture.dispatcher, TOPIC_PATTERN, "*", 1);
    fixture_say(&fixture, "b", "0");
    fixture_say_pattern(&fixture, "*", "b", "0");
    dispatcher_turn_end(fixture.dispatcher);
    uint64_t sequence = client_sequence(first);
    client_close(first);
    fixture_turn(&fixture);
    for (int i = 1; i <= 6; i++) {
        char payload[8];
        snprintf(payload, sizeof payload, "%d", i);
        fixture_say(&fixture, i % 2 ? "a" : "b", payload);
        fixture_say_pattern(&fixture, "*", i % 2 ? "a" : "b", payload);
    }
    dispatcher_turn_end(fixture.dispatcher);
    request = request_again(&fixture, request, sequence);
    struct client *again = client_open(&fixture, &request, 0);
    cr_expect_eq(client_count(again, "data:"), 6u);
    cr_expect(client_saw_in_order(again, "\"a\",\"data\":1}", "\"b\",\"data\":2}"));
    cr_expect(client_saw_in_order(again, "\"b\",\"data\":2}", "\"a\",\"data\":3}"));
    cr_expect(client_saw_in_order(again, "\"a\",\"data\":5}", "\"b\",\"data\":6}"));
    client_close(again);
}

Test(hub, trimmed_is_said_before_what_is_left)
{
    struct client *keeper = open_plain("news");
    fixture_confirm(&fixture, "news");
    fixture_say(&fixture, "news", "first");
    dispatcher_turn_end(fixture.dispatcher);
    uint64_t sequence = client_sequence(keeper);
    for (int i = 0; i < 9; i++)
        fixture_say(&fixture, "news", i < 8 ? "later" : "last");
    dispatcher_turn_end(fixture.dispatcher);
    struct topic_name topic = CHANNEL("news");
    struct stream_request request = request_again(&fixture, request_of(STREAM_RAW, &topic, 1), sequence);
    struct client *again = client_open(&fixture, &request, 0);
    cr_expect(client_saw_in_order(again, "event: gap\ndata: {\"reason\":\"trimmed\"}\n\n", "data: later"));
    cr_expect_eq(client_count(again, "data: later"), 7u, "the ring holds 8");
    cr_expect_eq(client_count(again, "data: last"), 1u);
    cr_expect_eq(fixture.metrics->gaps[GAP_TRIMMED], 1u);
    client_close(again);
    client_close(keeper);
}

Test(hub, id_of_another_process_or_of_nobody_is_a_gap)
{
    struct client *keeper = open_plain("news");
    fixture_confirm(&fixture, "news");
    struct topic_name topic = CHANNEL("news");
    struct stream_request request = request_again(&fixture, request_of(STREAM_RAW, &topic, 1), 0);
    request.cursor.epoch ^= 1;
    struct client *restarted = client_open(&fixture, &request, 0);
    cr_expect_eq(client_count(restarted, "{\"reason\":\"restart\"}"), 1u);
    request = request_again(&fixture, request_of(STREAM_RAW, &topic, 1), 99);
    struct client *future = client_open(&fixture, &request, 0);
    cr_expect_eq(client_count(future, "{\"reason\":\"unknown-id\"}"), 1u);
    request.resume = RESUME_UNKNOWN;
    struct client *unknown = client_open(&fixture, &request, 0);
    cr_expect_eq(client_count(unknown, "{\"reason\":\"unknown-id\"}"), 1u);
    client_close(restarted);
    client_close(future);
    client_close(unknown);
    client_close(keeper);
}

/* --- Redis goes and comes --- */

Test(hub, lost_redis_is_a_gap_and_then_live_again)
{
    struct topic_name topics[] = { CHANNEL("a"), CHANNEL("b") };
    struct stream_request request = request_of(STREAM_ENVELOPE, topics, 2);
    struct client *several = client_open(&fixture, &request, 0);
    struct client *single = open_plain("a");
    fixture_confirm(&fixture, "a");
    fixture_confirm(&fixture, "b");
    fixture_say(&fixture, "a", "before");
    dispatcher_turn_end(fixture.dispatcher);
    uint64_t sequence = client_sequence(single);
    fixture_feed_down(&fixture);
    client_clear(several);
    client_clear(single);
    fixture_feed_up(&fixture);
    cr_expect_eq(fixture.subscribes, 4u);
    fixture_confirm(&fixture, "a");
    fixture_say(&fixture, "a", "early");
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect_str_eq(client_read(single), "", "no event before the gap is told");
    fixture_confirm(&fixture, "b");
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect(
        client_saw_in_order(single, "event: gap\ndata: {\"reason\":\"redis-reconnect\"}", "data: early"));
    cr_expect(client_saw_in_order(several, "event: gap\ndata: {\"reason\":\"redis-reconnect\"}",
                                  "\"data\":\"early\""));
    cr_expect_eq(client_count(several, "gap"), 1u, "one gap, not one a topic");
    cr_expect_eq(client_count(several, "early"), 1u);
    fixture_say(&fixture, "b", "after");
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect_eq(client_count(several, "after"), 1u);
    request = request_again(&fixture, request_of(STREAM_RAW, topics, 1), sequence);
    struct client *again = client_open(&fixture, &request, 0);
    cr_expect(client_saw_in_order(again, "{\"reason\":\"redis-reconnect\"}", "data: early"));
    client_close(again);
    client_close(several);
    client_close(single);
}

Test(hub, what_the_ring_drops_while_all_is_subscribed_again_is_told)
{
    struct topic_name topics[] = { CHANNEL("a"), CHANNEL("b") };
    struct stream_request request = request_of(STREAM_ENVELOPE, topics, 2);
    struct client *several = client_open(&fixture, &request, 0);
    fixture_confirm(&fixture, "a");
    fixture_confirm(&fixture, "b");
    fixture_feed_down(&fixture);
    fixture_feed_up(&fixture);
    fixture_confirm(&fixture, "a");
    for (int i = 0; i < 20; i++)
        fixture_say(&fixture, "a", i < 19 ? "early" : "last");
    fixture_confirm(&fixture, "b");
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect(client_saw_in_order(several, "{\"reason\":\"redis-reconnect\"}", "{\"reason\":\"trimmed\"}"));
    cr_expect(client_saw_in_order(several, "{\"reason\":\"trimmed\"}", "\"data\":\"early\""));
    cr_expect_eq(client_count(several, "\"data\":"), 8u, "the ring holds 8");
    client_close(several);
}

static bool take_nothing(void *context, struct hub_events *events)
{
    (void)context;
    hub_events_clear(events);
    return true;
}

/* The other hub did not listen to the channel before: its wish knows nothing of the loss. */
Test(hub, the_gap_is_told_once_though_another_hub_subscribes_first)
{
    struct topic_name topics[] = { CHANNEL("a"), CHANNEL("b") };
    struct stream_request request = request_of(STREAM_ENVELOPE, topics, 2);
    struct dispatcher_port *other = dispatcher_add_port(fixture.dispatcher, take_nothing, NULL);
    struct client *several = client_open(&fixture, &request, 0);
    fixture_confirm(&fixture, "a");
    fixture_confirm(&fixture, "b");
    fixture_feed_down(&fixture);
    client_clear(several);
    dispatcher_feed_up(fixture.dispatcher, 7);
    struct dispatcher_wish wish = fixture_wish(&fixture, TOPIC_CHANNEL, "a", 1);
    wish.generation = dispatcher_generation(fixture.dispatcher);
    cr_assert(dispatcher_want(fixture.dispatcher, other, &wish));
    dispatcher_confirmed(fixture.dispatcher, TOPIC_CHANNEL, "a", 1);
    dispatcher_turn_end(fixture.dispatcher);
    fixture_confirm(&fixture, "b");
    dispatcher_turn_end(fixture.dispatcher);
    fixture_say(&fixture, "a", "after");
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect(client_saw_in_order(several, "{\"reason\":\"redis-reconnect\"}", "after"));
    cr_expect_eq(client_count(several, "gap"), 1u, "%s", client_read(several));
    client_close(several);
}

Test(hub, who_waited_for_redis_is_given_what_another_hub_was_told_first)
{
    struct dispatcher_port *other = dispatcher_add_port(fixture.dispatcher, take_nothing, NULL);
    fixture_feed_down(&fixture);
    struct client *waiting = open_plain("a");
    dispatcher_feed_up(fixture.dispatcher, 7);
    struct dispatcher_wish wish = fixture_wish(&fixture, TOPIC_CHANNEL, "a", 1);
    wish.generation = dispatcher_generation(fixture.dispatcher);
    cr_assert(dispatcher_want(fixture.dispatcher, other, &wish));
    dispatcher_confirmed(fixture.dispatcher, TOPIC_CHANNEL, "a", 1);
    fixture_say(&fixture, "a", "early");
    dispatcher_turn_end(fixture.dispatcher);
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect(client_saw_in_order(waiting, "{\"reason\":\"redis-reconnect\"}", "data: early"), "%s",
              client_read(waiting));
    client_close(waiting);
}

Test(hub, topics_of_other_hubs_are_no_part_of_what_is_subscribed_again)
{
    struct client *single = open_plain("a");
    fixture_confirm(&fixture, "a");
    fixture_feed_down(&fixture);
    fixture_feed_up(&fixture);
    client_clear(single);
    struct client *newcomer = open_plain("b");
    fixture_confirm(&fixture, "b"); /* as it is at once when another hub has it */
    cr_expect_str_eq(client_read(single), "", "its own topic is not confirmed yet");
    fixture_confirm(&fixture, "a");
    cr_expect_eq(client_count(single, "redis-reconnect"), 1u);
    client_close(newcomer);
    client_close(single);
}

Test(hub, client_that_came_while_redis_was_away_is_told)
{
    fixture_feed_down(&fixture);
    struct client *client = open_plain("news");
    cr_expect_eq(client_count(client, "retry: "), 1u, "greeted at once: there is nothing to wait for");
    fixture_feed_up(&fixture);
    fixture_confirm(&fixture, "news");
    cr_expect_eq(client_count(client, "{\"reason\":\"redis-reconnect\"}"), 1u);
    cr_expect_eq(client_count(client, "retry: "), 1u);
    cr_expect_eq(client_sequence(client), dispatcher_newest(fixture.dispatcher), "it is told once");
    fixture_say(&fixture, "news", "x");
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect_eq(client_count(client, "data: x"), 1u);
    client_close(client);
}

Test(hub, refused_subscription_ends_its_streams)
{
    struct client *client = open_plain("secret");
    dispatcher_refused(fixture.dispatcher, TOPIC_CHANNEL, "secret", 6, "NOPERM no \"access\"");
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect_eq(client_count(client, "event: refused\ndata: {\"reason\":\"NOPERM no \\\"access\\\"\"}\n\n"),
                 1u);
    cr_expect(client->ended);
    client_close(client);
    struct client *again = open_plain("secret");
    cr_expect_eq(fixture.subscribes, 2u, "asked again for the next client");
    client_close(again);
}

/* --- bounds --- */

Test(hub, clients_are_bounded)
{
    struct hub_options options = fixture_options();
    options.clients_max = 1;
    hub_set_options(fixture.hub, &options);
    struct client *client = open_plain("news");
    struct topic_name topic = CHANNEL("news");
    struct stream_request request = request_of(STREAM_RAW, &topic, 1);
    struct subscriber *subscriber;
    cr_expect_eq(hub_open(fixture.hub, &request, &subscriber), HUB_OPEN_FULL);
    client_close(client);
    fixture_turn(&fixture);
    cr_expect_eq(hub_open(fixture.hub, &request, &subscriber), HUB_OPEN_OK);
    hub_abandon(fixture.hub, subscriber);
}

Test(hub, reader_that_never_reads_is_bounded_and_let_go)
{
    struct hub_options options = fixture_options();
    options.backlog_bytes_max = 64 * 1024;
    hub_set_options(fixture.hub, &options);
    struct client *slow = open_plain("news");
    struct client *healthy = open_plain("news");
    fixture_confirm(&fixture, "news");
    char payload[1025];
    memset(payload, 'x', 1024);
    payload[1024] = '\0';
    for (int i = 0; i < 1000; i++) {
        fixture_say(&fixture, "news", payload);
        dispatcher_turn_end(fixture.dispatcher);
        client_clear(healthy);
        cr_assert_leq(fixture.metrics->sse_backlog_bytes, 64u * 1024);
    }
    cr_expect_eq(fixture.metrics->slow_clients[SLOW_DISCONNECTED], 1u);
    cr_expect_eq(fixture.metrics->sse_clients, 1u);
    cr_expect_not(healthy->ended);
    client_read(slow);
    cr_expect(slow->ended);
    client_close(slow);
    client_close(healthy);
}

Test(hub, slow_reader_gets_every_byte_in_order_once_it_reads)
{
    struct topic_name topic = CHANNEL("news");
    struct stream_request request = request_of(STREAM_RAW, &topic, 1);
    struct client *slow = client_open(&fixture, &request, 4096);
    fixture_confirm(&fixture, "news");
    client_clear(slow);
    char payload[64];
    for (int i = 0; i < 2000; i++) {
        snprintf(payload, sizeof payload, "number %06d", i);
        fixture_say(&fixture, "news", payload);
        if (i % 7 == 0)
            dispatcher_turn_end(fixture.dispatcher);
    }
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect_gt(fixture.metrics->sse_backlog_bytes, 0u);
    for (int i = 0; i < 1000 && fixture.metrics->sse_backlog_bytes > 0; i++) {
        client_read(slow);
        fixture_turn(&fixture);
    }
    client_read(slow);
    const char *at = slow->text;
    for (int i = 0; i < 2000; i++) {
        snprintf(payload, sizeof payload, "data: number %06d\n\n", i);
        at = strstr(at, payload);
        cr_assert_not_null(at, "event %d is missing or out of order", i);
    }
    cr_expect_eq(client_count(slow, "data:"), 2000u);
    client_close(slow);
}

/* --- the end --- */

Test(hub, draining_lets_everybody_go_with_a_retry)
{
    struct client *clients[10];
    for (size_t i = 0; i < 10; i++)
        clients[i] = open_plain("news");
    fixture_confirm(&fixture, "news");
    for (size_t i = 0; i < 10; i++)
        client_clear(clients[i]);
    hub_drain(fixture.hub, 500);
    struct topic_name topic = CHANNEL("news");
    struct stream_request request = request_of(STREAM_RAW, &topic, 1);
    struct subscriber *subscriber;
    cr_expect_eq(hub_open(fixture.hub, &request, &subscriber), HUB_OPEN_DRAINING);
    usleep(110000);
    fixture_turn(&fixture);
    cr_expect_eq(hub_client_count(fixture.hub), 8u, "a share a tick, not all at once");
    for (int i = 0; i < 20 && hub_client_count(fixture.hub) > 0; i++) {
        usleep(50000);
        fixture_turn(&fixture);
    }
    for (size_t i = 0; i < 10; i++) {
        cr_expect_eq(client_count(clients[i], "retry: "), 1u);
        cr_expect(clients[i]->ended);
        client_close(clients[i]);
    }
}

Test(hub, newcomer_is_not_greeted_by_the_next_heartbeat)
{
    struct hub_options options = fixture_options();
    options.heartbeat_ms = 800;
    hub_set_options(fixture.hub, &options);
    struct client *clients[20];
    for (size_t i = 0; i < 20; i++)
        clients[i] = open_plain("news");
    uint64_t until = clock_now_ms() + 300;
    while (clock_now_ms() < until)
        event_base_loop(fixture.base, EVLOOP_ONCE);
    fixture_confirm(&fixture, "news");
    for (size_t i = 0; i < 20; i++) {
        cr_expect_eq(client_count(clients[i], "retry: "), 1u);
        cr_expect_eq(client_count(clients[i], "gap"), 0u, "a confirmation that takes a moment is no gap");
        client_close(clients[i]);
    }
}

Test(hub, heartbeats_only_for_the_quiet)
{
    struct hub_options options = fixture_options();
    options.heartbeat_ms = 160;
    hub_set_options(fixture.hub, &options);
    struct client *quiet = open_plain("quiet");
    fixture_confirm(&fixture, "quiet");
    client_clear(quiet);
    uint64_t until = clock_now_ms() + 1000;
    while (clock_now_ms() < until) {
        event_base_loop(fixture.base, EVLOOP_ONCE);
        if (client_count(quiet, ":\n\n") >= 3)
            break;
    }
    cr_expect_geq(client_count(quiet, ":\n\n"), 3u);
    cr_expect_eq(client_count(quiet, "data"), 0u);
    cr_expect_geq(fixture.metrics->sse_heartbeats, 3u);
    client_close(quiet);
}

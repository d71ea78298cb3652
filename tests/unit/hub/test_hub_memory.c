#include "hub_fixture.h"

/* A hub whose wishes and news are lost for want of memory: nobody waits in vain, and nobody is not told. */

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

TestSuite(hub_memory, .init = open_default, .fini = close_fixture);

static struct client *open_plain(const char *channel)
{
    struct topic_name topic = CHANNEL(channel);
    struct stream_request request = request_of(STREAM_RAW, &topic, 1);
    return client_open(&fixture, &request, 0);
}

static void wait_for_housekeeping(void)
{
    const struct timeval wait = { .tv_usec = 150000 };
    event_base_loopexit(fixture.base, &wait);
    event_base_dispatch(fixture.base);
}

Test(hub_memory, what_could_not_be_asked_for_is_asked_for_again)
{
    fixture.is_memory_short = true;
    struct client *client = open_plain("a");
    wait_for_housekeeping();
    cr_expect_eq(fixture.subscribes, 0u);
    fixture.is_memory_short = false;
    wait_for_housekeeping();
    cr_expect_eq(fixture.subscribes, 1u);
    fixture_confirm(&fixture, "a");
    fixture_say(&fixture, "a", "x");
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect_eq(client_count(client, "data: x"), 1u);
    client_close(client);
}

Test(hub_memory, what_was_put_off_is_asked_for_again)
{
    struct client *client = open_plain("a");
    const struct dispatcher_wish wish = fixture_wish(&fixture, TOPIC_CHANNEL, "a", 1);
    dispatcher_leave(fixture.dispatcher, fixture.port, &wish); /* it never took it */
    dispatcher_put_off(fixture.dispatcher, fixture.port, &wish);
    wait_for_housekeeping();
    fixture_confirm(&fixture, "a");
    cr_expect_eq(client_count(client, "retry: "), 1u);
    client_close(client);
}

Test(hub_memory, the_gap_waits_for_what_could_not_be_asked_for)
{
    struct client *client = open_plain("a");
    fixture_confirm(&fixture, "a");
    fixture_feed_down(&fixture);
    client_clear(client);
    fixture.is_memory_short = true;
    fixture_feed_up(&fixture);
    cr_expect_str_eq(client_read(client), "");
    fixture.is_memory_short = false;
    wait_for_housekeeping();
    cr_expect_str_eq(client_read(client), "", "asked for, and not confirmed yet");
    fixture_confirm(&fixture, "a");
    cr_expect_eq(client_count(client, "redis-reconnect"), 1u);
    client_close(client);
}

static bool take_nothing(void *context, struct hub_events *events)
{
    (void)context;
    hub_events_clear(events);
    return true;
}

static void watched(const char *stream)
{
    dispatcher_watched(fixture.dispatcher, stream, strlen(stream), (struct entry_id){ .ms = 1 });
    dispatcher_turn_end(fixture.dispatcher);
}

Test(hub_memory, what_nobody_listens_to_when_events_were_lost_is_left)
{
    const struct hub_event lost = { .kind = HUB_LOST, .sequence = 3, .generation = 1, .feed_up = true };
    struct topic_name topics[] = { { .kind = TOPIC_STREAM, .name = "orders", .length = 6 }, CHANNEL("a") };
    struct stream_request request = request_of(STREAM_RAW, topics, 2);
    struct client *client = client_open(&fixture, &request, 0);
    fixture_confirm(&fixture, "a");
    watched("orders");
    client_close(client);
    fixture_turn(&fixture);
    cr_expect_eq(fixture.unsubscribes, 0u, "both linger");
    hub_apply(fixture.hub, &lost);
    fixture_turn(&fixture);
    wait_for_housekeeping();
    cr_expect_eq(fixture.unsubscribes, 2u);
    cr_expect_eq(fixture.metrics->redis_subscriptions, 0u);
}

Test(hub_memory, a_channel_that_was_left_before_its_answer_was_lost_is_left)
{
    const struct hub_event lost = { .kind = HUB_LOST, .sequence = 3, .generation = 1, .feed_up = true };
    struct client *client = open_plain("a");
    client_close(client);
    fixture_turn(&fixture);
    hub_apply(fixture.hub, &lost);
    fixture_confirm(&fixture, "a");
    wait_for_housekeeping();
    cr_expect_eq(fixture.unsubscribes, 1u);
    cr_expect_eq(fixture.metrics->redis_subscriptions, 0u);
}

Test(hub_memory, the_gap_does_not_wait_for_what_nobody_listens_to)
{
    const struct hub_event lost = { .kind = HUB_LOST, .sequence = 3, .generation = 1, .feed_up = true };
    struct client *client = open_plain("a");
    fixture_confirm(&fixture, "a");
    client_close(open_plain("slow"));
    fixture_turn(&fixture);
    hub_apply(fixture.hub, &lost);
    fixture_turn(&fixture);
    cr_expect_eq(client_count(client, "redis-reconnect"), 1u);
    client_close(client);
}

Test(hub_memory, a_stream_that_was_left_before_its_answer_was_lost_is_left)
{
    const struct hub_event lost = { .kind = HUB_LOST, .sequence = 3, .generation = 1, .feed_up = true };
    struct topic_name topics[] = { { .kind = TOPIC_STREAM, .name = "orders", .length = 6 } };
    struct stream_request request = request_of(STREAM_RAW, topics, 1);
    struct client *client = client_open(&fixture, &request, 0);
    client_close(client);
    fixture_turn(&fixture);
    hub_apply(fixture.hub, &lost);
    watched("orders");
    wait_for_housekeeping();
    cr_expect_eq(fixture.unsubscribes, 1u);
}

Test(hub_memory, an_answer_to_groups_is_none_to_the_hub)
{
    struct topic_name topics[] = { { .kind = TOPIC_STREAM, .name = "orders", .length = 6 } };
    struct stream_request request = request_of(STREAM_RAW, topics, 1);
    struct dispatcher_port *other = dispatcher_add_port(fixture.dispatcher, take_nothing, NULL);
    struct dispatcher_wish wish = fixture_wish(&fixture, TOPIC_STREAM, "orders", 6);
    dispatcher_want(fixture.dispatcher, other, &wish);
    watched("orders");
    /* A group here comes and goes, and an entry comes, before the client's wish is there. */
    wish.interest = INTEREST_GROUPS;
    dispatcher_want(fixture.dispatcher, fixture.port, &wish);
    dispatcher_leave(fixture.dispatcher, fixture.port, &wish);
    dispatcher_entry(fixture.dispatcher, "orders", 6, (struct entry_id){ .ms = 2 }, "{}", 2);
    struct client *client = client_open(&fixture, &request, 0);
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect_eq(client_count(client, "id: 2-0\n"), 1u, "%s", client_read(client));
    client_close(client);
}

Test(hub_memory, a_batch_is_learnt_of_though_its_topic_was_just_left)
{
    struct message *message = message_create("batch:42", 8, "{}", 2);
    message->sequence = 9;
    message->kind = payload_classify("{}", 2);
    const struct hub_event event = { .kind = HUB_MESSAGE,
                                     .topic_kind = TOPIC_CHANNEL,
                                     .name = "batch:42",
                                     .name_length = 8,
                                     .message = message,
                                     .sequence = 9 };
    hub_apply(fixture.hub, &event);
    message_release(message);
    cr_expect_eq(fixture.metrics->cache_entries, 1u);
}

Test(hub_memory, who_caught_up_when_events_were_lost_can_catch_up_again)
{
    struct client *client = open_plain("a");
    fixture_confirm(&fixture, "a");
    const struct hub_event lost = { .kind = HUB_LOST, .sequence = 3, .generation = 1, .feed_up = true };
    struct topic_name topics[] = { CHANNEL("a") };
    struct stream_request request = request_again(&fixture, request_of(STREAM_RAW, topics, 1), 3);
    struct client *ahead = client_open(&fixture, &request, 0);
    hub_apply(fixture.hub, &lost); /* the answer to its question among them */
    fixture_confirm(&fixture, "a");
    cr_expect_eq(client_count(client, "redis-reconnect"), 1u);
    cr_expect_eq(client_count(ahead, "retry: "), 1u);
    client_close(ahead);
    client_close(client);
}

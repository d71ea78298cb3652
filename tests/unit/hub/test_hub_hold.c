/* Coalescing, seen as packets: each is what one send(2) had. */
#include "hub_fixture.h"

#define HOLD_MS 150

static struct fixture fixture;

static void open_holding(void)
{
    struct hub_options options = fixture_options();
    options.coalesce_ms = HOLD_MS;
    options.linger_ms = 60000;
    fixture_open(&fixture, &options);
}

static void close_fixture(void)
{
    fixture_close(&fixture);
}

TestSuite(hub_hold, .init = open_holding, .fini = close_fixture);

static void stop_holding(void)
{
    struct hub_options options = fixture_options();
    hub_set_options(fixture.hub, &options);
}

static struct client *open_with(const struct stream_request *request)
{
    struct subscriber *subscriber;
    cr_assert_eq(hub_open(fixture.hub, request, &subscriber), HUB_OPEN_OK);
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    struct client *client = calloc(1, sizeof *client);
    client->descriptor = pair[1];
    hub_attach(fixture.hub, subscriber, pair[0]);
    return client;
}

static struct client *open_one(const char *channel, enum stream_format format)
{
    struct topic_name topic = CHANNEL(channel);
    struct stream_request request = request_of(format, &topic, 1);
    return open_with(&request);
}

/* How many packets have come since the last call; client->text is what they held. */
static size_t packets(struct client *client)
{
    size_t count = 0;
    client->length = 0;
    for (;;) {
        ssize_t got =
            read(client->descriptor, client->text + client->length, sizeof client->text - 1 - client->length);
        if (got <= 0)
            break;
        count++;
        client->length += (size_t)got;
    }
    client->text[client->length] = '\0';
    return count;
}

static void say(const char *channel, const char *payload)
{
    fixture_say(&fixture, channel, payload);
    dispatcher_turn_end(fixture.dispatcher);
}

/* Until the hub's timer must have fired; the loop sleeps, so this is no race. */
static void wait_for_timer(void)
{
    struct timeval end = { .tv_usec = 1000 * (HOLD_MS + 50) };
    event_base_loopexit(fixture.base, &end);
    event_base_dispatch(fixture.base);
}

static void expect_data(const struct client *client, const char *const *payloads, size_t count)
{
    const char *at = client->text;
    for (size_t i = 0; i < count; i++) {
        at = strstr(at, "data: ");
        cr_assert_not_null(at, "no %s in: %s", payloads[i], client->text);
        at += strlen("data: ");
        cr_expect(strncmp(at, payloads[i], strlen(payloads[i])) == 0, "%s, not: %s", payloads[i], at);
    }
    cr_expect_null(strstr(at, "data: "), "more than was expected: %s", at);
}
#define EXPECT_DATA(client, ...)                                                                             \
    expect_data(client, (const char *const[]){ __VA_ARGS__ },                                                \
                sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

Test(hub_hold, without_it_each_turn_is_one_packet)
{
    stop_holding();
    struct client *client = open_one("news", STREAM_RAW);
    fixture_confirm(&fixture, "news");
    packets(client);
    fixture_say(&fixture, "news", "1");
    fixture_say(&fixture, "news", "2");
    say("news", "3");
    cr_expect_eq(packets(client), 1u, "what came while the last turn was written goes out together");
    EXPECT_DATA(client, "1", "2", "3");
    say("news", "4");
    cr_expect_eq(packets(client), 1u);
    EXPECT_DATA(client, "4");
    client_close(client);
}

Test(hub_hold, first_goes_at_once_and_the_next_go_together)
{
    struct client *client = open_one("news", STREAM_RAW);
    fixture_confirm(&fixture, "news");
    packets(client);
    say("news", "1");
    cr_expect_eq(packets(client), 1u, "nothing came before, so nothing waits");
    say("news", "2");
    say("news", "3");
    cr_expect_eq(packets(client), 0u);
    wait_for_timer();
    cr_expect_eq(packets(client), 1u);
    EXPECT_DATA(client, "2", "3");
    wait_for_timer();
    say("news", "4");
    cr_expect_eq(packets(client), 1u, "at rest again");
    EXPECT_DATA(client, "4");
    client_close(client);
}

Test(hub_hold, quiet_topics_do_not_wait_for_chatty_ones)
{
    struct client *chatty = open_one("chatty", STREAM_RAW);
    struct client *quiet = open_one("quiet", STREAM_RAW);
    fixture_confirm(&fixture, "chatty");
    fixture_confirm(&fixture, "quiet");
    packets(chatty), packets(quiet);
    say("chatty", "1");
    say("chatty", "2");
    say("quiet", "3");
    cr_expect_eq(packets(chatty), 1u);
    cr_expect_eq(packets(quiet), 1u);
    wait_for_timer();
    cr_expect_eq(packets(chatty), 1u);
    client_close(chatty), client_close(quiet);
}

Test(hub_hold, newcomer_sends_what_is_held_to_the_others_first)
{
    struct client *client = open_one("news", STREAM_RAW);
    fixture_confirm(&fixture, "news");
    say("news", "1");
    uint64_t sequence = client_sequence(client);
    packets(client);
    say("news", "2");
    struct client *newcomer = open_one("news", STREAM_RAW);
    cr_expect_eq(packets(client), 1u);
    EXPECT_DATA(client, "2");
    struct topic_name topic = CHANNEL("news");
    struct stream_request again = request_again(&fixture, request_of(STREAM_RAW, &topic, 1), sequence);
    say("news", "3");
    struct client *back = open_with(&again);
    packets(newcomer), packets(back);
    EXPECT_DATA(newcomer, "3");
    EXPECT_DATA(back, "2", "3");
    say("news", "4");
    wait_for_timer();
    packets(newcomer), packets(back);
    EXPECT_DATA(newcomer, "4");
    EXPECT_DATA(back, "4");
    client_close(client), client_close(newcomer), client_close(back);
}

Test(hub_hold, clients_of_several_topics_are_held_in_order)
{
    struct topic_name topics[] = { CHANNEL("a"), CHANNEL("b") };
    struct stream_request request = request_of(STREAM_RAW, topics, 2);
    struct client *client = open_with(&request);
    fixture_confirm(&fixture, "a");
    fixture_confirm(&fixture, "b");
    packets(client);
    wait_for_timer();
    say("a", "1");
    cr_expect_eq(packets(client), 1u);
    say("b", "2");
    say("a", "3");
    say("b", "4");
    cr_expect_eq(packets(client), 0u);
    wait_for_timer();
    cr_expect_eq(packets(client), 1u);
    EXPECT_DATA(client, "2", "3", "4");
    client_close(client);
}

Test(hub_hold, complete_waits_for_nothing)
{
    fixture.stored = "{\"progress\":1}";
    struct client *client = open_one("batch:7", STREAM_BATCH);
    fixture_confirm(&fixture, "batch:7");
    fixture_answer(&fixture);
    say("batch:7", "{\"progress\":2}");
    packets(client);
    say("batch:7", "{\"progress\":3}");
    cr_expect_eq(packets(client), 0u);
    say("batch:7", "{\"status\":\"COMPLETED\"}");
    cr_expect_eq(packets(client), 1u);
    EXPECT_DATA(client, "{\"progress\":3}", "{\"status\":\"COMPLETED\"}", "{\"status\":\"COMPLETED\"}");
    client_close(client);
}

Test(hub_hold, what_came_before_a_loss_goes_out_before_the_gap)
{
    struct topic_name topics[] = { CHANNEL("a"), CHANNEL("b") };
    struct stream_request request = request_of(STREAM_RAW, topics, 2);
    struct client *several = open_with(&request);
    struct client *one = open_one("a", STREAM_RAW);
    fixture_confirm(&fixture, "a");
    fixture_confirm(&fixture, "b");
    say("a", "1");
    packets(one), packets(several);
    say("a", "2");
    cr_expect_eq(packets(one), 0u);
    fixture_feed_down(&fixture);
    packets(one), packets(several);
    EXPECT_DATA(one, "2");
    EXPECT_DATA(several, "1", "2");
    fixture_feed_up(&fixture);
    fixture_confirm(&fixture, "a");
    fixture_confirm(&fixture, "b");
    packets(one), packets(several);
    EXPECT_DATA(one, "{\"reason\":\"redis-reconnect\"}");
    EXPECT_DATA(several, "{\"reason\":\"redis-reconnect\"}");
    client_close(one), client_close(several);
}

Test(hub_hold, draining_clients_get_what_was_held)
{
    struct client *client = open_one("news", STREAM_RAW);
    fixture_confirm(&fixture, "news");
    say("news", "1");
    say("news", "2");
    packets(client);
    hub_drain(fixture.hub, 0);
    packets(client);
    EXPECT_DATA(client, "2");
    say("news", "3");
    packets(client);
    EXPECT_DATA(client, "3");
    client_close(client);
}

Test(hub_hold, much_is_not_held)
{
    struct client *client = open_one("news", STREAM_RAW);
    fixture_confirm(&fixture, "news");
    say("news", "1");
    packets(client);
    char *large = calloc(1, 20001);
    memset(large, 'x', 20000);
    for (int i = 0; i < 3; i++)
        say("news", large);
    cr_expect_eq(packets(client), 0u);
    say("news", large);
    cr_expect_eq(packets(client), 1u, "more would make it no cheaper");
    cr_expect_gt(client->length, 80000u);
    free(large);
    client_close(client);
}

Test(hub_hold, clients_that_leave_while_held_are_freed)
{
    struct topic_name topics[] = { CHANNEL("a"), CHANNEL("b") };
    struct stream_request request = request_of(STREAM_RAW, topics, 2);
    struct client *client = open_with(&request);
    struct client *stays = open_with(&request);
    fixture_confirm(&fixture, "a");
    fixture_confirm(&fixture, "b");
    say("a", "1");
    say("b", "2");
    client_close(client);
    fixture_turn(&fixture);
    cr_expect_eq(fixture.metrics->sse_clients, 1u);
    wait_for_timer();
    packets(stays);
    EXPECT_DATA(stays, "1", "2");
    say("a", "3"); /* held when the hub goes */
    client_close(stays);
}

/* What waits for the end of the turn is no sign of a slow client. */
Test(hub_hold, turn_larger_than_the_backlog_is_no_slow_client)
{
    struct hub_options options = fixture_options();
    options.backlog_bytes_max = 4096;
    hub_set_options(fixture.hub, &options);
    struct topic_name topics[] = { CHANNEL("a"), CHANNEL("b") };
    struct stream_request request = request_of(STREAM_RAW, topics, 2);
    struct client *client = client_open(&fixture, &request, 0);
    fixture_confirm(&fixture, "a");
    fixture_confirm(&fixture, "b");
    for (int i = 0; i < 500; i++)
        fixture_say(&fixture, i % 2 ? "a" : "b", "{\"some\":\"payload\"}");
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect_eq(client_count(client, "data: "), 500u);
    cr_expect_eq(fixture.metrics->slow_clients[SLOW_DISCONNECTED], 0u);
    cr_expect_eq(fixture.metrics->sse_clients, 1u);
    client_close(client);
}

#include "hub_fixture.h"

#include "wire/composite_cursor.h"

/*
 * A stream that the test plays: entries have ids 1-0, 2-0, … up to `last`; those below `first` are trimmed.
 * `told` is how far the tail has brought them.
 */
struct played {
    const char *name;
    uint64_t first;
    uint64_t last;
    uint64_t told;
};

static struct fixture fixture;
static struct played orders;
static struct played mails;

static void open_default(void)
{
    struct hub_options options = fixture_options();
    fixture_open(&fixture, &options);
    orders = (struct played){ .name = "orders", .first = 1 };
    mails = (struct played){ .name = "mails", .first = 1 };
}

static void close_fixture(void)
{
    fixture_close(&fixture);
}

TestSuite(hub_streams, .init = open_default, .fini = close_fixture);

static struct entry_id at(uint64_t ms)
{
    return (struct entry_id){ .ms = ms };
}

static void watched(struct played *stream)
{
    stream->told = stream->last;
    dispatcher_watched(fixture.dispatcher, stream->name, strlen(stream->name), at(stream->last));
    dispatcher_turn_end(fixture.dispatcher);
}

/* The tail brings what was added. */
static void tell(struct played *stream, uint64_t upto)
{
    if (stream->last < upto)
        stream->last = upto;
    while (stream->told < upto) {
        char json[40];
        int length = snprintf(json, sizeof(json), "{\"n\":\"%llu\"}", (unsigned long long)++stream->told);
        dispatcher_entry(fixture.dispatcher, stream->name, strlen(stream->name), at(stream->told), json,
                         (size_t)length);
    }
    dispatcher_turn_end(fixture.dispatcher);
}

/* Redis answers the oldest read. */
static void answer_read(void)
{
    cr_assert_gt(fixture.reads_count, 0u, "a read was expected");
    struct history_read read = fixture.reads[0];
    memmove(fixture.reads, fixture.reads + 1, --fixture.reads_count * sizeof(read));
    const struct played *stream = strcmp(read.stream, "orders") == 0 ? &orders : &mails;
    struct history *history = hub_history(fixture.hub);
    uint64_t from = read.after.ms + 1 > stream->first ? read.after.ms + 1 : stream->first;
    size_t given = 0;
    for (uint64_t id = from; id <= stream->last && given < read.count; id++, given++) {
        char json[40];
        int length = snprintf(json, sizeof(json), "{\"n\":\"%llu\"}", (unsigned long long)id);
        history_entry(history, read.token, at(id), json, (size_t)length);
    }
    uint64_t length = stream->last >= stream->first ? stream->last - stream->first + 1 : 0;
    struct stream_facts facts = { .exists = stream->last > 0,
                                  .first = at(length ? stream->first : 0),
                                  .last = at(stream->last),
                                  .length = length,
                                  .entries_added = stream->last };
    history_loaded(history, read.token, HISTORY_OK, &facts, from + given > stream->last, clock_now_ms());
}

/* Runs everything until nobody waits for a page. */
static void settle(struct client **clients, size_t count)
{
    for (int i = 0; i < 400; i++) {
        fixture_turn(&fixture);
        for (size_t client = 0; client < count; client++)
            client_read(clients[client]);
        if (fixture.reads_count > 0)
            answer_read();
    }
}

static struct client *open_orders(struct topic_name topic)
{
    struct stream_request request = request_of(STREAM_RAW, &topic, 1);
    return client_open(&fixture, &request, 0);
}

static struct client *open_orders_after(uint64_t position, bool proved)
{
    struct topic_name topic = STREAM("orders");
    topic.placed = true;
    topic.proved = proved;
    topic.position = at(position);
    return open_orders(topic);
}

/* That the client has each entry first..last once, in order, with its id, and nothing else. */
static void expect_exactly(struct client *client, uint64_t first, uint64_t last)
{
    const char *text = client_read(client);
    for (uint64_t id = first; id <= last; id++) {
        char event[80];
        snprintf(event, sizeof(event), "id: %llu-0\ndata: {\"n\":\"%llu\"}\n\n", (unsigned long long)id,
                 (unsigned long long)id);
        text = strstr(text, event);
        cr_assert_not_null(text, "entry %llu is missing or out of order", (unsigned long long)id);
    }
    cr_expect_eq(client_count(client, "data: {\"n\""), last - first + 1);
}

Test(hub_streams, live_from_now_on)
{
    orders.last = 10;
    struct client *client = open_orders(STREAM("orders"));
    cr_expect_str_eq(fixture.subscribed[0], "orders");
    watched(&orders);
    cr_expect_eq(client_count(client, "retry"), 1u);
    tell(&orders, 13);
    expect_exactly(client, 11, 13);
    cr_expect_eq(fixture.reads_count, 0u, "nothing to read back");
    client_close(client);
}

Test(hub_streams, comes_back_within_the_ring_without_a_read)
{
    struct client *keeper = open_orders(STREAM("orders"));
    watched(&orders);
    tell(&orders, 6);
    struct client *again = open_orders_after(3, false);
    tell(&orders, 8);
    expect_exactly(again, 4, 8);
    cr_expect_eq(fixture.reads_count, 0u);
    cr_expect_eq(client_count(again, "gap"), 0u);
    client_close(again);
    client_close(keeper);
}

Test(hub_streams, comes_back_for_thousands_while_more_arrive)
{
    orders.last = 3000;
    struct client *client = open_orders_after(7, false);
    watched(&orders);
    for (uint64_t last = 3001; last <= 3040; last++) {
        fixture_turn(&fixture);
        client_read(client);
        if (fixture.reads_count > 0)
            answer_read();
        tell(&orders, last);
    }
    settle(&client, 1);
    expect_exactly(client, 8, 3040);
    cr_expect_eq(client_count(client, "gap"), 0u);
    cr_expect_geq(fixture.metrics->stream_replayed, 2985u, "all but what the ring had");
    tell(&orders, 3041);
    cr_expect_eq(client_count(client, "id: 3041-0\n"), 1u);
    client_close(client);
}

Test(hub_streams, many_who_come_back_share_the_pages)
{
    orders.last = 1200;
    struct client *clients[50];
    for (size_t i = 0; i < 50; i++)
        clients[i] = open_orders_after(i * 7, true);
    watched(&orders);
    size_t reads = 0;
    for (int i = 0; i < 500; i++) {
        fixture_turn(&fixture);
        for (size_t client = 0; client < 50; client++)
            client_read(clients[client]);
        while (fixture.reads_count > 0) {
            answer_read();
            reads++;
        }
    }
    for (size_t i = 0; i < 50; i++) {
        expect_exactly(clients[i], i * 7 + 1, 1200);
        client_close(clients[i]);
    }
    cr_expect_lt(reads, 60u, "50 clients of 3 pages each took %zu reads", reads);
}

Test(hub_streams, page_never_brings_what_the_tail_brings_too)
{
    orders.last = 100;
    struct client *client = open_orders_after(90, false);
    watched(&orders);
    orders.last = 105; /* added, but the tail has not brought them */
    settle(&client, 1);
    cr_expect_eq(client_count(client, "id: 101-0"), 0u);
    tell(&orders, 105);
    expect_exactly(client, 91, 105);
    client_close(client);
}

Test(hub_streams, another_gateway_was_ahead)
{
    orders.last = 100;
    struct client *client = open_orders_after(102, false);
    watched(&orders);
    orders.last = 103;
    settle(&client, 1);
    cr_expect_eq(client_count(client, "gap"), 0u, "Redis has 102: only our tail has not");
    tell(&orders, 103);
    usleep(110000);
    settle(&client, 1);
    tell(&orders, 104);
    expect_exactly(client, 103, 104);
    client_close(client);
}

Test(hub_streams, trimmed_is_told_with_what_is_known)
{
    orders.first = 51;
    orders.last = 100;
    struct client *client = open_orders_after(20, false);
    struct client *from_start = open_orders_after(0, true);
    watched(&orders);
    struct client *clients[] = { client, from_start };
    settle(clients, 2);
    cr_expect_eq(
        client_count(
            client,
            "event: gap\ndata: {\"reason\":\"trimmed\",\"stream\":\"orders\",\"first\":\"51-0\"}\n\n"),
        1u);
    cr_expect(client_saw_in_order(client, "event: gap", "id: 51-0"));
    expect_exactly(client, 51, 100);
    expect_exactly(from_start, 51, 100);
    cr_expect_eq(client_count(from_start, "gap"), 0u, "it asked for what there is");
    cr_expect_eq(fixture.metrics->gaps[GAP_TRIMMED], 1u);
    client_close(client);
    client_close(from_start);
}

Test(hub_streams, id_of_a_stream_that_was_is_a_gap_and_all_there_is)
{
    orders.last = 5;
    struct client *client = open_orders_after(5000, false);
    watched(&orders);
    settle(&client, 1);
    cr_expect(client_saw_in_order(
        client, "{\"reason\":\"unknown-id\",\"stream\":\"orders\",\"first\":\"1-0\"}", "id: 1-0"));
    expect_exactly(client, 1, 5);
    client_close(client);
}

Test(hub_streams, lost_entries_are_told_to_who_listens)
{
    struct topic_name topics[] = { STREAM("orders"), CHANNEL("news") };
    struct stream_request request = request_of(STREAM_ENVELOPE, topics, 2);
    struct client *both = client_open(&fixture, &request, 0);
    struct client *single = open_orders(STREAM("orders"));
    watched(&orders);
    fixture_confirm(&fixture, "news");
    tell(&orders, 2);
    dispatcher_stream_broken(fixture.dispatcher, "orders", 6, GAP_TRIMMED, at(50));
    orders.last = orders.told = 50;
    tell(&orders, 51);
    cr_expect(client_saw_in_order(single, "{\"reason\":\"trimmed\",\"stream\":\"orders\"}", "id: 51-0"));
    cr_expect(client_saw_in_order(both, "{\"reason\":\"trimmed\",\"stream\":\"orders\"}", "\"n\":\"51\""));
    client_close(both);
    client_close(single);
}

Test(hub_streams, feed_lost_is_no_gap_of_a_stream)
{
    struct client *client = open_orders(STREAM("orders"));
    watched(&orders);
    fixture_feed_down(&fixture);
    tell(&orders, 2);
    expect_exactly(client, 1, 2);
    fixture_feed_up(&fixture);
    tell(&orders, 3);
    expect_exactly(client, 1, 3);
    cr_expect_eq(client_count(client, "gap"), 0u);
    client_close(client);
}

/* The id of the client's last event. */
static size_t last_id(struct client *client, char *ret_id, size_t size)
{
    const char *last = NULL;
    for (const char *found = client_read(client); (found = strstr(found, "id: ")) != NULL; found++)
        last = found + 4;
    cr_assert_not_null(last);
    return (size_t)snprintf(ret_id, size, "%.*s", (int)strcspn(last, "\n"), last);
}

/* Opens again what was open, with the id of its last event. */
static struct client *open_again(struct topic_name *topics, size_t count, const char *id, size_t id_length)
{
    uint32_t tag = 0;
    size_t streams = 0;
    struct entry_id positions[4];
    struct stream_request request = request_of(STREAM_ENVELOPE, topics, count);
    for (size_t i = 0; i < count; i++) {
        if (topics[i].kind != TOPIC_STREAM)
            continue;
        tag = composite_cursor_tag(tag, topics[i].name, topics[i].length);
        streams++;
    }
    bool has_channels;
    cr_assert(composite_cursor_parse(id, id_length, tag, streams, positions, &has_channels, &request.cursor),
              "%s", id);
    if (has_channels)
        request.resume = RESUME_CURSOR;
    for (size_t i = 0, stream = 0; i < count; i++) {
        if (topics[i].kind != TOPIC_STREAM)
            continue;
        topics[i].placed = true;
        topics[i].position = positions[stream++];
    }
    return client_open(&fixture, &request, 0);
}

Test(hub_streams, streams_and_channels_in_one_with_one_id)
{
    struct topic_name topics[] = { STREAM("orders"), CHANNEL("news"), STREAM("mails") };
    struct stream_request request = request_of(STREAM_ENVELOPE, topics, 3);
    struct client *client = client_open(&fixture, &request, 0);
    watched(&orders);
    fixture_confirm(&fixture, "news");
    cr_expect_str_eq(client_read(client), "", "waits for the last of its topics");
    watched(&mails);
    tell(&orders, 2);
    fixture_say(&fixture, "news", "1");
    dispatcher_turn_end(fixture.dispatcher);
    tell(&mails, 1);
    cr_expect(client_saw_in_order(client, "\"stream\":\"orders\",\"id\":\"2-0\"",
                                  "\"channel\":\"news\",\"data\":1"));
    cr_expect(client_saw_in_order(client, "\"channel\":\"news\",\"data\":1",
                                  "\"stream\":\"mails\",\"id\":\"1-0\""));
    char id[256];
    size_t id_length = last_id(client, id, sizeof(id));
    cr_expect_leq(id_length, 128u);
    cr_expect_null(strpbrk(id, "\"():<>?@[\\]{}"), "an id that costs no preflight: %s", id);
    client_close(client);
    fixture_turn(&fixture);

    tell(&orders, 3);
    fixture_say(&fixture, "news", "2");
    dispatcher_turn_end(fixture.dispatcher);
    tell(&mails, 30); /* more than the ring holds */
    struct client *again = open_again(topics, 3, id, id_length);
    settle(&again, 1);
    cr_expect_eq(client_count(again, "gap"), 0u, "%s", client_read(again));
    cr_expect_eq(client_count(again, "\"stream\":\"orders\""), 1u);
    cr_expect_eq(client_count(again, "\"channel\":\"news\",\"data\":2"), 1u);
    cr_expect_eq(client_count(again, "\"stream\":\"mails\""), 29u);
    cr_expect_eq(client_count(again, "data: "), 31u);
    tell(&orders, 4);
    cr_expect_eq(client_count(again, "\"stream\":\"orders\",\"id\":\"4-0\""), 1u);
    client_close(again);
}

Test(hub_streams, refused_behind_a_message_of_the_same_turn_it_is_let_go_all_the_same)
{
    struct topic_name topics[] = { CHANNEL("a"), STREAM("orders") };
    struct stream_request request = request_of(STREAM_ENVELOPE, topics, 2);
    struct client *client = client_open(&fixture, &request, 0);
    fixture_confirm(&fixture, "a");
    watched(&orders);
    fixture_say(&fixture, "a", "last");
    dispatcher_refused(fixture.dispatcher, TOPIC_STREAM, "orders", 6, "WRONGTYPE");
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect(client_saw_in_order(client, "last", "event: refused"));
    cr_expect(client->ended);
    client_close(client);
}

Test(hub_streams, after_a_feed_gap_streams_go_on_exactly)
{
    struct topic_name topics[] = { STREAM("orders"), CHANNEL("news") };
    struct stream_request request = request_of(STREAM_ENVELOPE, topics, 2);
    struct client *client = client_open(&fixture, &request, 0);
    watched(&orders);
    fixture_confirm(&fixture, "news");
    tell(&orders, 1);
    fixture_feed_down(&fixture);
    tell(&orders, 2);
    fixture_feed_up(&fixture);
    tell(&orders, 30); /* while the channel is not confirmed: more than the ring holds */
    fixture_confirm(&fixture, "news");
    settle(&client, 1);
    tell(&orders, 31);
    cr_expect_eq(client_count(client, "event: gap"), 1u);
    cr_expect_eq(client_count(client, "\"stream\":\"orders\""), 31u);
    for (int i = 1; i < 31; i++) {
        char first[60], second[60];
        snprintf(first, sizeof(first), "\"id\":\"%d-0\"", i);
        snprintf(second, sizeof(second), "\"id\":\"%d-0\"", i + 1);
        cr_expect(client_saw_in_order(client, first, second), "%s", second);
    }
    char id[256];
    size_t id_length = last_id(client, id, sizeof(id));
    client_close(client);
    struct client *again = open_again(topics, 2, id, id_length);
    settle(&again, 1);
    cr_expect_eq(client_count(again, "gap"), 0u);
    client_close(again);
}

Test(hub_streams, client_that_takes_nothing_gets_no_further_page)
{
    orders.last = 200000;
    struct topic_name topic = STREAM("orders");
    topic.placed = topic.proved = true;
    struct stream_request request = request_of(STREAM_RAW, &topic, 1);
    struct client *client = client_open(&fixture, &request, 4096);
    watched(&orders);
    for (int i = 0; i < 50; i++) {
        fixture_turn(&fixture);
        if (fixture.reads_count > 0)
            answer_read();
    }
    cr_expect_leq(fixture.metrics->stream_replayed, 1000u);
    cr_expect_leq(fixture.metrics->sse_backlog_bytes, 64u * 1024);
    cr_expect_eq(fixture.metrics->sse_clients, 1u);
    client_close(client);
}

Test(hub_streams, trimmed_between_two_pages_is_told)
{
    orders.last = 2000;
    struct client *client = open_orders_after(0, true);
    watched(&orders);
    for (int i = 0; i < 20 && fixture.metrics->stream_replayed == 0; i++) {
        fixture_turn(&fixture);
        if (fixture.reads_count > 0)
            answer_read();
    }
    cr_assert_eq(fixture.metrics->stream_replayed, (uint64_t)HISTORY_PAGE_ENTRIES);
    orders.first = 1901;
    settle(&client, 1);
    cr_expect_eq(client_count(client, "{\"reason\":\"trimmed\",\"stream\":\"orders\",\"first\":\"1901-0\"}"),
                 1u);
    cr_expect(client_saw_in_order(client, "id: 128-0", "event: gap"));
    cr_expect(client_saw_in_order(client, "event: gap", "id: 1901-0"));
    cr_expect_eq(client_count(client, "data: {\"n\""), (size_t)HISTORY_PAGE_ENTRIES + 100);
    client_close(client);
}

Test(hub_streams, cut_before_the_first_entry_comes_back_to_the_same_place)
{
    orders.last = 10;
    struct client *client = open_orders(STREAM("orders"));
    watched(&orders);
    cr_expect(client_saw_in_order(client, "retry: ", "\n\nid: 10-0\n\n"));
    cr_expect_eq(client_count(client, "data: "), 0u);
    client_close(client);
}

/* Comes back from another process, with thousands of entries to read and a channel beside. */
static struct client *open_from_another_process(struct topic_name *topics)
{
    topics[0].placed = true;
    topics[0].position = at(7);
    struct stream_request request = request_of(STREAM_ENVELOPE, topics, 2);
    request.resume = RESUME_CURSOR;
    request.cursor = (struct cursor){ .epoch = fixture.shared.epoch + 1, .sequence = 3 };
    return client_open(&fixture, &request, 0);
}

Test(hub_streams, gap_of_the_channels_comes_before_the_first_page)
{
    struct topic_name topics[] = { STREAM("orders"), CHANNEL("news") };
    orders.last = 2000;
    struct client *client = open_from_another_process(topics);
    watched(&orders);
    fixture_confirm(&fixture, "news");
    for (int i = 0; i < 20 && fixture.metrics->stream_replayed == 0; i++) {
        fixture_turn(&fixture);
        if (fixture.reads_count > 0)
            answer_read();
    }
    cr_expect(client_saw_in_order(client, "{\"reason\":\"restart\"}", "\"id\":\"8-0\""),
              "whoever is cut here has an id of this process");
    fixture_say(&fixture, "news", "\"during\"");
    dispatcher_turn_end(fixture.dispatcher);
    settle(&client, 1);
    cr_expect_eq(client_count(client, "event: gap"), 1u);
    cr_expect_eq(client_count(client, "\"stream\":\"orders\""), 1993u);
    cr_expect_eq(client_count(client, "\"data\":\"during\""), 1u, "what the channel says during the replay");
    client_close(client);
}

Test(hub_streams, ids_never_go_back_among_the_channels)
{
    struct topic_name topics[] = { STREAM("orders"), CHANNEL("news") };
    struct stream_request request = request_of(STREAM_ENVELOPE, topics, 2);
    struct client *keeper = client_open(&fixture, &request, 0);
    watched(&orders);
    fixture_confirm(&fixture, "news");
    tell(&orders, 3);
    fixture_say(&fixture, "news", "1");
    dispatcher_turn_end(fixture.dispatcher);
    topics[0].placed = topics[0].proved = true;
    struct client *first_time = client_open(&fixture, &request, 0);
    cr_expect_eq(client_count(first_time, "\"stream\":\"orders\""), 3u);
    char id[256];
    const char *first_id = strstr(client_read(first_time), "id: ");
    cr_assert_not_null(first_id);
    size_t id_length =
        (size_t)snprintf(id, sizeof(id), "%.*s", (int)strcspn(first_id + 4, "\n"), first_id + 4);
    client_close(first_time);
    struct client *again = open_again(topics, 2, id, id_length);
    cr_expect_eq(client_count(again, "\"channel\""), 0u, "was said before it came: %s", client_read(again));
    cr_expect_eq(client_count(again, "\"stream\":\"orders\""), 2u);
    client_close(again);
    client_close(keeper);
}

/* --- private streams --- */

static unsigned attached, gone;

static void on_attached(void *context)
{
    (void)context;
    attached++;
}

static void on_gone(void *context)
{
    (void)context;
    gone++;
}

Test(hub_streams, private_stream_is_its_owners)
{
    const struct private_stream owner = { .on_attached = on_attached,
                                          .on_room = on_attached,
                                          .on_gone = on_gone };
    struct subscriber *subscriber;
    attached = gone = 0;
    cr_assert_eq(hub_open_private(fixture.hub, &owner, &subscriber), HUB_OPEN_OK);
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    struct client *client = calloc(1, sizeof(*client));
    client->descriptor = pair[1];
    hub_attach(fixture.hub, subscriber, pair[0]);
    cr_expect_eq(attached, 1u);
    cr_expect(hub_send_private(fixture.hub, subscriber, "data: x\n\n", 9));
    cr_expect_eq(client_count(client, "data: x\n\n"), 1u);
    cr_expect(client_saw_in_order(client, "retry: ", "data: x"));
    hub_end_private(fixture.hub, subscriber, NULL);
    cr_expect_eq(gone, 0u, "not inside the call");
    usleep(110000);
    fixture_turn(&fixture);
    cr_expect_eq(gone, 1u);
    client_read(client);
    cr_expect(client->ended);
    client_close(client);
}

/* Clients that want gzip, beside such that do not. */
#include "../wire/gzip_reader.h"
#include "hub_fixture.h"

static struct fixture fixture;

static struct hub_options options_of_test(void)
{
    struct hub_options options = fixture_options();
    options.deflate_bytes_min = 256;
    return options;
}

static void open_default(void)
{
    struct hub_options options = options_of_test();
    fixture_open(&fixture, &options);
}

static void close_fixture(void)
{
    fixture_close(&fixture);
}

TestSuite(hub_gzip, .init = open_default, .fini = close_fixture);

struct reading_client {
    int descriptor;
    bool ended;
    size_t received;
    struct gzip_reader reader;
};

static struct reading_client *open_gzip(const struct stream_request *request, int send_buffer)
{
    struct subscriber *subscriber;
    cr_assert_eq(hub_open(fixture.hub, request, &subscriber), HUB_OPEN_OK);
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    if (send_buffer > 0)
        cr_assert_eq(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer), 0);
    struct reading_client *client = calloc(1, sizeof *client);
    gzip_reader_open(&client->reader);
    client->descriptor = pair[1];
    hub_compress(subscriber);
    hub_attach(fixture.hub, subscriber, pair[0]);
    return client;
}

static const char *read_gzip(struct reading_client *client)
{
    char piece[4096];
    ssize_t got;
    while ((got = read(client->descriptor, piece, sizeof piece)) > 0) {
        client->received += (size_t)got;
        gzip_reader_push(&client->reader, piece, (size_t)got);
    }
    client->ended |= got == 0;
    buffer_append_byte(&client->reader.text, '\0');
    client->reader.text.size--;
    return client->reader.text.data;
}

static void close_gzip(struct reading_client *client)
{
    close(client->descriptor);
    gzip_reader_close(&client->reader);
    free(client);
}

/* Behind the first event block, which is a `retry:` of each client's own. */
static const char *events_of(const char *text)
{
    const char *end = strstr(text, "\n\n");
    cr_assert_not_null(end, "no greeting in: %s", text);
    return end + 2;
}

/* About `length` bytes of JSON. */
static char *payload_of(int number, size_t length)
{
    char *payload = malloc(length + 64);
    size_t size = (size_t)sprintf(payload, "{\"n\":%d,\"text\":\"", number);
    while (size < length)
        size += (size_t)sprintf(payload + size, "some words ");
    strcpy(payload + size, "\"}");
    return payload;
}

static void say(const char *channel, int number, size_t length)
{
    char *payload = payload_of(number, length);
    fixture_say(&fixture, channel, payload);
    free(payload);
}

Test(hub_gzip, everybody_gets_the_same_and_it_is_deflated_once)
{
    struct topic_name topic = CHANNEL("news");
    struct stream_request request = request_of(STREAM_RAW, &topic, 1);
    struct client *plain = client_open(&fixture, &request, 0);
    struct reading_client *coded[3];
    for (size_t i = 0; i < 3; i++)
        coded[i] = open_gzip(&request, 0);
    fixture_confirm(&fixture, "news");
    for (int turn = 0; turn < 10; turn++) {
        say("news", turn, 2000);
        say("news", turn, 3000);
        dispatcher_turn_end(fixture.dispatcher);
    }
    say("news", 10, 20);
    dispatcher_turn_end(fixture.dispatcher);
    const char *expected = events_of(client_read(plain));
    for (size_t i = 0; i < 3; i++) {
        cr_expect_str_eq(events_of(read_gzip(coded[i])), expected);
        cr_expect_lt(coded[i]->received, plain->length / 10);
        close_gzip(coded[i]);
    }
    cr_expect_eq(fixture.metrics->sse_deflated, 10u, "once a turn, whatever the number of clients");
    client_close(plain);
}

Test(hub_gzip, several_topics)
{
    struct topic_name topics[] = { CHANNEL("a"), CHANNEL("b") };
    struct stream_request request = request_of(STREAM_NAMED, topics, 2);
    struct client *plain = client_open(&fixture, &request, 0);
    struct reading_client *one = open_gzip(&request, 0);
    struct reading_client *two = open_gzip(&request, 0);
    fixture_confirm(&fixture, "a");
    fixture_confirm(&fixture, "b");
    for (int turn = 0; turn < 10; turn++) {
        say("a", turn, 1000);
        say("b", turn, 10);
        say("a", turn, 2000);
        dispatcher_turn_end(fixture.dispatcher);
    }
    const char *expected = events_of(client_read(plain));
    cr_expect_str_eq(events_of(read_gzip(one)), expected);
    cr_expect_str_eq(events_of(read_gzip(two)), expected);
    cr_expect_eq(fixture.metrics->sse_deflated, 20u);
    client_close(plain);
    close_gzip(one), close_gzip(two);
}

Test(hub_gzip, coming_back_and_draining)
{
    struct topic_name topic = CHANNEL("news");
    struct stream_request request = request_of(STREAM_RAW, &topic, 1);
    struct client *plain = client_open(&fixture, &request, 0);
    fixture_confirm(&fixture, "news");
    uint64_t sequence = client_sequence(plain);
    say("news", 1, 500);
    say("news", 2, 500);
    dispatcher_turn_end(fixture.dispatcher);
    struct stream_request again = request_again(&fixture, request, sequence);
    struct reading_client *back = open_gzip(&again, 0);
    const char *text = read_gzip(back);
    cr_expect_not_null(strstr(text, "data: {\"n\":1,"));
    cr_expect_not_null(strstr(text, "data: {\"n\":2,"));
    fixture_feed_down(&fixture);
    fixture_feed_up(&fixture);
    fixture_confirm(&fixture, "news");
    cr_expect_not_null(strstr(read_gzip(back), "redis-reconnect"));
    cr_expect_not(back->reader.ended);
    hub_drain(fixture.hub, 0);
    usleep(120000);
    fixture_turn(&fixture);
    read_gzip(back);
    cr_expect(back->ended);
    cr_expect(back->reader.ended, "let go with a proper end");
    client_close(plain);
    close_gzip(back);
}

static void start_batch(const char *stored)
{
    fixture.stored = (char *)(uintptr_t)stored;
    fixture_confirm(&fixture, "batch:7");
    fixture_answer(&fixture);
}

Test(hub_gzip, complete_is_the_end_of_the_stream)
{
    struct topic_name topic = CHANNEL("batch:7");
    struct stream_request request = request_of(STREAM_BATCH, &topic, 1);
    struct reading_client *client = open_gzip(&request, 0);
    start_batch("{\"progress\":1}");
    say("batch:7", 2, 1000);
    dispatcher_turn_end(fixture.dispatcher);
    fixture_say(&fixture, "batch:7", "{\"status\":\"COMPLETED\"}");
    dispatcher_turn_end(fixture.dispatcher);
    cr_expect_not_null(strstr(read_gzip(client), "event: complete"));
    cr_expect(client->ended);
    cr_expect(client->reader.ended);
    close_gzip(client);
}

/* Whole events with rising numbers, each with its payload whole; returns how many. */
static size_t expect_whole_events(const char *text, int *ret_last)
{
    size_t count = 0;
    int last = -1;
    for (const char *at = text; (at = strstr(at, "data: {\"n\":")) != NULL; at++) {
        int number = atoi(at + strlen("data: {\"n\":"));
        cr_expect_gt(number, last);
        last = number;
        count++;
        size_t length = strcspn(at, "\n");
        cr_expect(strncmp(at + length - 2, "\"}", 2) == 0, "cut short: %.80s", at);
        cr_expect(strncmp(at + length, "\n\n", 2) == 0, "runs into the next: %.80s", at + length);
    }
    *ret_last = last;
    return count;
}

Test(hub_gzip, slow_viewer_of_a_batch_skips_whole_parts_and_ends_well)
{
    struct topic_name topic = CHANNEL("batch:7");
    struct stream_request request = request_of(STREAM_BATCH, &topic, 1);
    struct reading_client *slow = open_gzip(&request, 4096);
    start_batch("{\"progress\":1}");
    struct hub_options options = options_of_test();
    options.deflate_bytes_min = 1 << 20; /* so that the kernel's buffer is full soon */
    hub_set_options(fixture.hub, &options);
    for (int number = 0; number < 60; number++) {
        if (number == 40)
            hub_set_options(fixture.hub, (struct hub_options[]){ options_of_test() });
        say("batch:7", number, 900);
        dispatcher_turn_end(fixture.dispatcher);
        if (number == 30) /* some room, not enough for all: what waits is partly sent */
            for (int i = 0; i < 2; i++) {
                char piece[700];
                ssize_t got = read(slow->descriptor, piece, sizeof piece);
                cr_assert_gt(got, 0);
                gzip_reader_push(&slow->reader, piece, (size_t)got);
                fixture_turn(&fixture);
            }
    }
    cr_expect_gt(fixture.metrics->slow_clients[SLOW_CONFLATED], 10u);
    fixture_say(&fixture, "batch:7", "{\"status\":\"FAILED\"}");
    dispatcher_turn_end(fixture.dispatcher);
    for (int i = 0; i < 20; i++) {
        read_gzip(slow);
        fixture_turn(&fixture);
    }
    const char *text = read_gzip(slow);
    int last;
    size_t whole = expect_whole_events(text, &last);
    cr_expect(whole > 3 && whole < 60, "%zu", whole);
    cr_expect_not_null(strstr(text, "event: complete"));
    cr_expect(slow->ended);
    cr_expect(slow->reader.ended, "the check counts what was sent, not what was left out");
    close_gzip(slow);
}

/* A snapshot that the kernel took a part of must not be cut where it is when newer states come. */
Test(hub_gzip, plain_viewer_keeps_the_rest_of_its_snapshot)
{
    char *stored = payload_of(0, 300000);
    struct topic_name topic = CHANNEL("batch:7");
    struct stream_request request = request_of(STREAM_BATCH, &topic, 1);
    struct client *slow = client_open(&fixture, &request, 4096);
    start_batch(stored);
    cr_assert_gt(fixture.metrics->sse_backlog_bytes, 0u);
    for (int number = 1; number < 5; number++) {
        say("batch:7", number, 100);
        dispatcher_turn_end(fixture.dispatcher);
    }
    cr_expect_gt(fixture.metrics->slow_clients[SLOW_CONFLATED], 0u);
    for (int i = 0; i < 400; i++) {
        client_read(slow);
        fixture_turn(&fixture);
    }
    int last;
    cr_expect_eq(expect_whole_events(client_read(slow), &last), 2u, "the snapshot and the newest");
    cr_expect_eq(last, 4);
    client_close(slow);
    fixture.stored = NULL;
    free(stored);
}

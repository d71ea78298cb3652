#include "consumers/sink_headers.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct sink_options options = {
    .kind = SINK_STREAM, .name = "crm", .topic = "events:sale_closed", .headers = ""
};
static const struct sink_request request = {
    .id = "crm-1-0", .event = "sale_closed", .body = "{}", .body_length = 2, .attempt = 3, .timestamp_s = 17
};

static void expect_lines(const struct sink_options *sink, const struct sink_request *about,
                         const char *const *expected, size_t count)
{
    struct sink_headers headers;
    cr_assert(sink_headers_build(&headers, sink, about));
    cr_assert_eq(headers.count, count, "%zu", headers.count);
    for (size_t i = 0; i < count; i++)
        cr_assert_str_eq(headers.lines[i], expected[i]);
    sink_headers_free(&headers);
}
#define EXPECT_LINES(sink, about, ...)                                                                       \
    expect_lines(sink, about, (const char *const[]){ __VA_ARGS__ },                                          \
                 sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

Test(sink_headers, of_an_entry)
{
    EXPECT_LINES(&options, &request, "Content-Type: application/json", "webhook-id: crm-1-0",
                 "webhook-timestamp: 17", "sluice-sink: crm", "sluice-stream: events:sale_closed",
                 "sluice-event: sale_closed", "sluice-attempt: 3");
}

Test(sink_headers, of_a_message_without_a_name_signed_and_with_headers_of_the_settings)
{
    const char *problem;
    struct sink_keys *keys = sink_keys_create("0123456789abcdef", 16, &problem);
    struct sink_options sink = options;
    struct sink_request about = request;
    sink.kind = SINK_CHANNEL;
    sink.topic = "news";
    sink.headers = "Authorization: Bearer 1: 2\ncontent-TYPE: text/x\nX: y";
    sink.keys = keys;
    about.id = "i";
    about.event = "";
    about.timestamp_s = 5;
    about.body = "b";
    about.body_length = 1;
    EXPECT_LINES(&sink, &about, "Authorization: Bearer 1: 2", "content-TYPE: text/x", "X: y", "webhook-id: i",
                 "webhook-timestamp: 5",
                 "webhook-signature: v1,6SyQyz7Hl5Qnrf8t/ZpwBoEf0HGUW3xxJMwUz3FmloE=", "sluice-sink: crm",
                 "sluice-channel: news", "sluice-attempt: 3");
    sink_keys_destroy(keys);
}

Test(sink_headers, names_cannot_add_lines)
{
    struct sink_options sink = options;
    struct sink_request about = request;
    sink.topic = "a b\r\nX: y";
    about.event = "\x7f\xc3\xbc 100%\n";
    EXPECT_LINES(&sink, &about, "Content-Type: application/json", "webhook-id: crm-1-0",
                 "webhook-timestamp: 17", "sluice-sink: crm", "sluice-stream: a%20b%0D%0AX:%20y",
                 "sluice-event: %7F%C3%BC%20100%25%0A", "sluice-attempt: 3");
}

Test(sink_headers, not_more_than_there_is_room_for)
{
    char lines[4 * SINK_HEADERS_MAX * 2 + 1] = "";
    for (int i = 0; i < SINK_HEADERS_MAX * 2; i++)
        memcpy(lines + 4 * i, "A:b\n", 5);
    struct sink_options sink = options;
    struct sink_headers headers;
    sink.headers = lines;
    cr_assert(sink_headers_build(&headers, &sink, &request));
    cr_assert_eq(headers.count, SINK_HEADERS_MAX + 7);
    cr_assert_str_eq(headers.lines[headers.count - 1], "sluice-attempt: 3");
    sink_headers_free(&headers);
}

Test(sink_headers, events_by_their_topics)
{
    cr_assert_str_eq(sink_event_of_topic("events:a:b"), "a:b");
    cr_assert_str_eq(sink_event_of_topic("live:x"), "x");
    cr_assert_str_eq(sink_event_of_topic("events:"), "");
    cr_assert_null(sink_event_of_topic("event:x"));
    cr_assert_null(sink_event_of_topic(""));
}

#include "front/stream_start.h"

#include <criterion/criterion.h>

#include "front_text.h"
#include "wire/composite_cursor.h"

#define STREAM(text) ((struct topic_name){ .kind = TOPIC_STREAM, .name = text, .length = sizeof(text) - 1 })
#define CHANNEL(text) ((struct topic_name){ .kind = TOPIC_CHANNEL, .name = text, .length = sizeof(text) - 1 })

/* --- since --- */

static struct since parse(const char *text)
{
    return since_parse(text, strlen(text));
}

static void check_behind(const char *text, uint64_t ms, uint64_t sequence)
{
    struct since since = parse(text);
    cr_expect_eq(since.kind, SINCE_BEHIND, "%s", text);
    cr_expect_eq(since.position.ms, ms, "%s", text);
    cr_expect_eq(since.position.sequence, sequence, "%s", text);
}

Test(stream_start, since_an_id_or_from_the_start)
{
    check_behind("0", 0, 0);
    check_behind("0-0", 0, 0);
    check_behind("00000", 0, 0);
    check_behind("1517574547834-0", UINT64_C(1517574547834), 0);
    check_behind("1517574547834-17", UINT64_C(1517574547834), 17);
    check_behind("1517574547834", UINT64_C(1517574547834), 0);
    check_behind("5-1", 5, 1);
    check_behind("18446744073709551615-18446744073709551615", UINT64_MAX, UINT64_MAX);
}

Test(stream_start, since_a_time_includes_its_millisecond)
{
    check_behind("2025-01-01T00:00:00Z", UINT64_C(1735689599999), UINT64_MAX);
    check_behind("2025-01-01T00:00:00.001Z", UINT64_C(1735689600000), UINT64_MAX);
    check_behind("2025-01-01T01:00:00+01:00", UINT64_C(1735689599999), UINT64_MAX);
    check_behind("2025-01-01", UINT64_C(1735689599999), UINT64_MAX);
    check_behind("1970-01-01T00:00:00Z", 0, 0);
}

Test(stream_start, since_a_number_of_entries)
{
    cr_expect_eq(parse("1").kind, SINCE_ENTRIES);
    cr_expect_eq(parse("1").entries, 1u);
    cr_expect_eq(parse("100000").entries, 100000u);
    cr_expect_eq(parse("100000").kind, SINCE_ENTRIES);
    cr_expect_eq(parse("100001").kind, SINCE_INVALID);
    cr_expect_eq(parse("99999999999").kind, SINCE_INVALID, "too small for a time, too large for a number");
}

Test(stream_start, since_nothing_else)
{
    cr_expect_eq(parse("").kind, SINCE_NOW);
    static const char *const wrong[] = {
        "yesterday",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1-",
        "-",
        "1-2-3",
        "0x10",
        "1.5",
        "1e3",
        "$",
        "now",
        "2025-13-01T00:00:00Z",
        "18446744073709551616-0",
        "99999999999999999999999",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect_eq(parse(wrong[i]).kind, SINCE_INVALID, "%s", wrong[i]);
    cr_expect_eq(since_parse("1\0", 2).kind, SINCE_INVALID);
    cr_expect_eq(since_parse("1-1\0", 4).kind, SINCE_INVALID);
}

/* --- the id a client comes back with --- */

static struct text last_event_id(struct text header, const char *name, struct text value)
{
    struct request_parameter parameter = {
        .name = text_of(name, strlen(name)),
        .value = value,
    };
    struct request request = { .parameters = &parameter, .parameter_count = 1 };
    request.headers[HEADER_LAST_EVENT_ID] = header;
    return stream_last_event_id(&request);
}

Test(stream_start, id_by_header_or_parameter)
{
    static const char *const names[] = { "lastEventId", "last_event_id", "Last-Event-ID" };
    for (size_t i = 0; i < 3; i++) {
        CHECK_TEXT(last_event_id((struct text){ 0 }, names[i], TEXT("7-0")), "7-0");
        CHECK_TEXT(last_event_id(TEXT(""), names[i], TEXT("7-0")), "7-0");
        CHECK_TEXT(last_event_id(TEXT("8-0"), names[i], TEXT("7-0")), "8-0");
        CHECK_TEXT(last_event_id((struct text){ 0 }, names[i], TEXT("")), "");
    }
    CHECK_TEXT(last_event_id((struct text){ 0 }, "lasteventid", TEXT("7-0")), "");
}

/* --- where topics are placed behind it --- */

static struct stream_request start(struct text id, struct topic_name *topics, size_t count)
{
    struct stream_request stream = { .topics = topics, .topic_count = count };
    stream_start_behind(id, topics, &stream);
    return stream;
}

static struct text composite_id(struct buffer *out, const struct cursor *channels, uint32_t tag,
                                struct entry_id first, struct entry_id second)
{
    composite_cursor_begin(out, channels, tag);
    composite_cursor_add(out, first);
    composite_cursor_add(out, second);
    return text_of(out->data, out->size);
}

Test(stream_start, of_channels)
{
    struct topic_name topics[] = { CHANNEL("a"), CHANNEL("b") };
    cr_expect_eq(start(TEXT(""), topics, 2).resume, RESUME_NONE);
    struct stream_request stream = start(TEXT("5f3a9c2e81b04d17-1284"), topics, 2);
    cr_expect_eq(stream.resume, RESUME_CURSOR);
    cr_expect_eq(stream.cursor.sequence, 1284u);
    cr_expect_eq(start(TEXT("1517574547834-0"), topics, 2).resume, RESUME_UNKNOWN);
}

Test(stream_start, of_one_stream)
{
    struct topic_name topic = STREAM("orders");
    struct stream_request stream = start(TEXT("1517574547834-3"), &topic, 1);
    cr_expect_eq(stream.resume, RESUME_NONE);
    cr_expect(topic.placed && !topic.proved, "that nothing was lost is to be proved");
    cr_expect_eq(topic.position.ms, UINT64_C(1517574547834));
    cr_expect_eq(topic.position.sequence, 3u);

    static const char *const wrong[] = { "x", "5f3a9c2e81b04d17-1284", "~00000007~1.1", "1-2-3" };
    for (size_t i = 0; i < 4; i++) {
        topic = STREAM("orders");
        cr_expect_eq(start(text_of(wrong[i], strlen(wrong[i])), &topic, 1).resume, RESUME_UNKNOWN, "%s",
                     wrong[i]);
        cr_expect(!topic.placed);
    }
}

Test(stream_start, of_several_streams_and_channels)
{
    uint32_t tag = composite_cursor_tag(composite_cursor_tag(0, "orders", 6), "mails", 5);
    struct cursor channels = { .epoch = 1, .sequence = 2 };
    struct entry_id orders = { .ms = 10 }, mails = { .ms = 20, .sequence = 1 };
    struct buffer with = { 0 }, without = { 0 };
    struct text id_with = composite_id(&with, &channels, tag, orders, mails);
    struct text id_without = composite_id(&without, NULL, tag, orders, mails);

    struct topic_name mixed[] = { STREAM("orders"), CHANNEL("news"), STREAM("mails") };
    struct stream_request stream = start(id_with, mixed, 3);
    cr_expect_eq(stream.resume, RESUME_CURSOR);
    cr_expect_eq(stream.cursor.sequence, 2u);
    cr_expect(mixed[0].placed && mixed[2].placed && !mixed[1].placed);
    cr_expect_eq(entry_id_compare(mixed[0].position, orders), 0);
    cr_expect_eq(entry_id_compare(mixed[2].position, mails), 0);

    struct topic_name streams[] = { STREAM("orders"), STREAM("mails") };
    cr_expect_eq(start(id_without, streams, 2).resume, RESUME_NONE);
    cr_expect(streams[0].placed && streams[1].placed);
    cr_expect_eq(entry_id_compare(streams[1].position, mails), 0);

    struct topic_name other_order[] = { STREAM("mails"), STREAM("orders") };
    cr_expect_eq(start(id_without, other_order, 2).resume, RESUME_UNKNOWN);
    cr_expect(!other_order[0].placed && !other_order[1].placed);
    struct topic_name again[] = { STREAM("orders"), CHANNEL("news"), STREAM("mails") };
    cr_expect_eq(start(id_without, again, 3).resume, RESUME_UNKNOWN, "it has no place among channels");
    struct topic_name bare[] = { STREAM("orders"), STREAM("mails") };
    cr_expect_eq(start(id_with, bare, 2).resume, RESUME_UNKNOWN, "it is of a set with channels");
    cr_expect_eq(start(TEXT("1517574547834-0"), bare, 2).resume, RESUME_UNKNOWN);
    cr_expect(!bare[0].placed);
    buffer_free(&with);
    buffer_free(&without);
}

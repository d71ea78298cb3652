#include "command/event_reader.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Events as `name|data` lines. */
struct seen {
    char text[4096];
    int stop_after;
};

static bool on_event(void *context, const struct event_view *event)
{
    struct seen *seen = context;
    size_t at = strlen(seen->text);
    snprintf(seen->text + at, sizeof(seen->text) - at, "%.*s|%.*s\n", (int)event->name_length, event->name,
             (int)event->data_length, event->data);
    return --seen->stop_after != 0;
}

static void expect(const char *stream, size_t length, const char *events, const char *last_id)
{
    for (size_t piece = 1; piece <= length; piece++) {
        struct seen seen = { 0 };
        struct event_reader reader = { .on_event = on_event, .context = &seen };
        for (size_t at = 0; at < length; at += piece)
            cr_assert(event_reader_feed(&reader, stream + at, at + piece < length ? piece : length - at));
        cr_assert_str_eq(seen.text, events, "in pieces of %zu: %s", piece, seen.text);
        cr_assert_eq(reader.last_id.size, strlen(last_id));
        cr_assert(reader.last_id.size == 0 || memcmp(reader.last_id.data, last_id, reader.last_id.size) == 0);
        event_reader_free(&reader);
    }
}

#define EXPECT(stream, events, last_id) expect(stream, sizeof(stream) - 1, events, last_id)

Test(event_reader, reads_fields_whatever_the_line_ends)
{
    EXPECT("id: 1\nevent: progress\ndata: a\n\n", "progress|a\n", "1");
    EXPECT("id: 1\r\nevent: progress\r\ndata: a\r\n\r\n", "progress|a\n", "1");
    EXPECT("id: 1\revent: progress\rdata: a\r\r", "progress|a\n", "1");
    EXPECT("data: a\ndata\ndata:  b\n\n", "message|a\n\n b\n", "");
    EXPECT("data\n\n", "message|\n", "");
}

Test(event_reader, comments_unknown_fields_and_empty_blocks_are_nothing)
{
    EXPECT(":\n\nretry: 1500\n\nfoo: bar\n\nevent: x\n\ndata: y\n\n", "message|y\n", "");
}

Test(event_reader, a_block_with_only_an_id_moves_the_cursor)
{
    EXPECT("data: a\nid: 7\n\nid: 8\n\n", "message|a\n", "8");
    EXPECT("id: 7\n\nid: a\0b\n\n", "", "7");
}

Test(event_reader, a_half_event_is_nothing_and_leaves_no_id)
{
    struct seen seen = { 0 };
    struct event_reader reader = { .on_event = on_event, .context = &seen };
    static const char first[] = "id: 1\ndata: a\n\nid: 2\nevent: x\ndata: lost\n";
    cr_assert(event_reader_feed(&reader, first, sizeof(first) - 1));
    event_reader_restart(&reader);
    cr_assert(event_reader_feed(&reader, "data: b\n\n", 9));
    cr_assert_str_eq(seen.text, "message|a\nmessage|b\n");
    cr_assert_eq(reader.last_id.size, 1);
    cr_assert_eq(reader.last_id.data[0], '1');
    event_reader_free(&reader);
}

Test(event_reader, retry_is_kept_when_it_is_a_number)
{
    struct seen seen = { 0 };
    struct event_reader reader = { .on_event = on_event, .context = &seen };
    cr_assert(event_reader_feed(&reader, "retry: 2500\nretry: soon\nretry: -1\n", 34));
    cr_assert_eq(reader.retry_ms, 2500);
    event_reader_free(&reader);
}

Test(event_reader, stops_when_told)
{
    struct seen seen = { .stop_after = 2 };
    struct event_reader reader = { .on_event = on_event, .context = &seen };
    cr_assert(!event_reader_feed(&reader, "data: a\n\ndata: b\n\ndata: c\n\n", 27));
    cr_assert_str_eq(seen.text, "message|a\nmessage|b\n");
    event_reader_free(&reader);
}

Test(event_reader, an_endless_line_is_refused)
{
    struct seen seen = { 0 };
    struct event_reader reader = { .on_event = on_event, .context = &seen };
    static char piece[1 << 20];
    memset(piece, 'x', sizeof(piece));
    size_t fed = 0;
    while (event_reader_feed(&reader, piece, sizeof(piece)))
        fed += sizeof(piece);
    cr_assert_eq(fed, EVENT_READER_EVENT_BYTES_MAX);
    event_reader_free(&reader);
}

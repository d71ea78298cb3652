#include "wire/sse.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "event_source.h"

/* --- exact bytes
 * ------------------------------------------------------------------------------------------------- */

static void check_bytes(const struct sse_event *event, const char *expected, size_t expected_length)
{
    struct buffer out = { 0 };
    sse_append_event(&out, event);
    cr_assert(!out.failed);
    cr_assert_eq(out.size, expected_length, "%zu bytes instead of %zu: %.*s", out.size, expected_length,
                 (int)out.size, out.data);
    cr_assert_arr_eq(out.data, expected, expected_length);
    buffer_free(&out);
}

#define CHECK_DATA(input, expected)                                                                          \
    check_bytes(&(struct sse_event){ .data = (input), .data_length = sizeof(input) - 1 }, (expected),        \
                sizeof(expected) - 1)

Test(sse, plain_payload_is_one_line)
{
    CHECK_DATA("{\"a\":1}", "data: {\"a\":1}\n\n");
}

Test(sse, every_kind_of_line_end_splits)
{
    CHECK_DATA("a\nb", "data: a\ndata: b\n\n");
    CHECK_DATA("a\rb", "data: a\ndata: b\n\n");
    CHECK_DATA("a\r\nb", "data: a\ndata: b\n\n");
    CHECK_DATA("a\n\rb", "data: a\ndata: \ndata: b\n\n");
    CHECK_DATA("a\r\rb", "data: a\ndata: \ndata: b\n\n");
    CHECK_DATA("a\r\r\nb", "data: a\ndata: \ndata: b\n\n");
    CHECK_DATA("\n", "data: \ndata: \n\n");
    CHECK_DATA("\r\n", "data: \ndata: \n\n");
    CHECK_DATA("a\n", "data: a\ndata: \n\n");
    CHECK_DATA("a\r", "data: a\ndata: \n\n");
    CHECK_DATA("\n\n\n", "data: \ndata: \ndata: \ndata: \n\n");
}

Test(sse, no_payload_still_fires)
{
    check_bytes(&(struct sse_event){ .data = NULL }, "data: \n\n", 8);
    check_bytes(&(struct sse_event){ .data = "", .data_length = 0 }, "data: \n\n", 8);
}

Test(sse, nul_is_data_like_any_other)
{
    CHECK_DATA("a\0b", "data: a\0b\n\n");
}

Test(sse, a_payload_cannot_make_fields_of_its_own)
{
    CHECK_DATA("x\n\nevent: evil\ndata: y", "data: x\ndata: \ndata: event: evil\ndata: data: y\n\n");
}

Test(sse, invalid_utf8_is_replaced)
{
    CHECK_DATA("\xFF", "data: \xEF\xBF\xBD\n\n");
    CHECK_DATA("\xE2\x82", "data: \xEF\xBF\xBD\n\n");                             /* cut short: one */
    CHECK_DATA("\xE2\x82\n\xAC", "data: \xEF\xBF\xBD\ndata: \xEF\xBF\xBD\n\n");   /* cut by a line end */
    CHECK_DATA("\xC0\x80", "data: \xEF\xBF\xBD\xEF\xBF\xBD\n\n");                 /* overlong NUL: two */
    CHECK_DATA("\xED\xA0\x80", "data: \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\n\n"); /* surrogate: three */
    CHECK_DATA("\xF4\x90\x80\x80", "data: \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\n\n");
    CHECK_DATA("a\xF0\x9F\x98"
               "b",
               "data: a\xEF\xBF\xBD"
               "b\n\n");
    CHECK_DATA("\xF0\x9F\x98\x80\xE2\x82\xAC\xC3\xA4", "data: \xF0\x9F\x98\x80\xE2\x82\xAC\xC3\xA4\n\n");
}

Test(sse, id_and_name_stay_on_their_lines)
{
    struct sse_event event = { .id = "1\n2\r3\0"
                                     "4",
                               .id_length = 7,
                               .name = "a\r\nb\xFF",
                               .name_length = 5,
                               .data = "d",
                               .data_length = 1 };
    static const char expected[] = "id: 1\xEF\xBF\xBD"
                                   "2\xEF\xBF\xBD"
                                   "3\xEF\xBF\xBD"
                                   "4\n"
                                   "event: a\xEF\xBF\xBD\xEF\xBF\xBD"
                                   "b\xEF\xBF\xBD\n"
                                   "data: d\n\n";
    check_bytes(&event, expected, sizeof(expected) - 1);
}

Test(sse, retry_and_heartbeat_fire_nothing)
{
    struct buffer out = { 0 };
    sse_append_retry(&out, 2750);
    cr_assert_eq(out.size, strlen("retry: 2750\n\n"));
    cr_assert_arr_eq(out.data, "retry: 2750\n\n", out.size);
    buffer_append_text(&out, SSE_HEARTBEAT);

    struct event_source_summary summary = event_source_parse(out.data, out.size, NULL, NULL);
    cr_assert_eq(summary.events, 0);
    cr_assert_eq(summary.comments, 1);
    cr_assert_eq(summary.unfinished_bytes, 0);
    cr_assert(summary.has_retry);
    cr_assert_eq(summary.retry_ms, 2750);
    buffer_free(&out);
}

Test(sse, a_failed_buffer_stays_failed)
{
    struct buffer out = { .failed = true };
    sse_append_event(&out, &(struct sse_event){ .data = "x", .data_length = 1 });
    sse_append_retry(&out, 1);
    cr_assert(out.failed);
    cr_assert_eq(out.size, 0);
    buffer_free(&out);
}

Test(sse, many_lines_take_linear_time)
{
    /* 4 MiB of line feeds and not one CR: looking for the CR again on each line would take 2^43 steps. */
    size_t length = 4 * 1024 * 1024;
    char *lines = malloc(length);
    cr_assert_not_null(lines);
    memset(lines, '\n', length);
    struct buffer out = { 0 };
    sse_append_event(&out, &(struct sse_event){ .data = lines, .data_length = length });
    cr_assert_eq(out.size, (length + 1) * strlen("data: \n") + 1);
    buffer_free(&out);
    free(lines);
}

/* --- what goes in is what a parser reads back
 * -------------------------------------------------------------------- */

struct expectation {
    struct buffer type;
    struct buffer data;
    struct buffer id;
    size_t seen;
};

static void check_text(const char *what, const char *actual, size_t length, const struct buffer *expected)
{
    cr_assert_eq(length, expected->size, "%s has %zu bytes instead of %zu", what, length, expected->size);
    if (length > 0)
        cr_assert_arr_eq(actual, expected->data, length, "%s differs", what);
}

static void check_received(void *context, const struct received_event *event)
{
    struct expectation *expectation = context;
    expectation->seen++;
    check_text("data", event->data, event->data_length, &expectation->data);
    check_text("type", event->type, event->type_length, &expectation->type);
    check_text("id", event->id, event->id_length, &expectation->id);
}

/* Three times in a row, so that nothing one event leaves behind disturbs the next. */
static void check_reads_back(const struct sse_event *event)
{
    struct buffer out = { 0 };
    struct expectation expectation = { 0 };
    for (int i = 0; i < 3; i++)
        sse_append_event(&out, event);
    cr_assert(!out.failed);

    expect_data(&expectation.data, event->data, event->data_length);
    if (event->name)
        expect_field(&expectation.type, event->name, event->name_length);
    if (expectation.type.size == 0)
        buffer_append_text(&expectation.type, "message");
    if (event->id)
        expect_field(&expectation.id, event->id, event->id_length);

    struct event_source_summary summary =
        event_source_parse(out.data, out.size, check_received, &expectation);
    cr_assert_eq(summary.events, 3);
    cr_assert_eq(summary.comments, 0);
    cr_assert_eq(summary.unfinished_bytes, 0);
    cr_assert(summary.is_valid_utf8);
    buffer_free(&expectation.data);
    buffer_free(&expectation.type);
    buffer_free(&expectation.id);
    buffer_free(&out);
}

/* Pieces that are awkward next to each other: line ends, field syntax, and all the ways UTF-8 can be wrong.
 */
static const struct piece {
    const char *bytes;
    size_t length;
} pieces[] = {
#define PIECE(text)                                                                                          \
    {                                                                                                        \
        (text), sizeof(text) - 1                                                                             \
    }
    PIECE(""),
    PIECE("\n"),
    PIECE("\r"),
    PIECE("\r\n"),
    PIECE("\0"),
    PIECE(" "),
    PIECE(":"),
    PIECE("data: "),
    PIECE("id: 1"),
    PIECE("event:x"),
    PIECE("x"),
    PIECE("\xEF\xBB\xBF"),
    PIECE("\xC3"),
    PIECE("\xC3\xA4"),
    PIECE("\xE2\x82"),
    PIECE("\xE2"),
    PIECE("\xE2\x82\xAC"),
    PIECE("\xF0\x9F"),
    PIECE("\xF0\x9F\x98"),
    PIECE("\xF0\x9F\x98\x80"),
    PIECE("\x80"),
    PIECE("\xFF"),
    PIECE("\xC0\xAF"),
    PIECE("\xE0\x80\x80"),
    PIECE("\xED\xA0\x80"),
    PIECE("\xF5\x80"),
    PIECE("\xF4\x90"),
    PIECE("\xF0\x80"),
    PIECE("\xC2\x85"),
    PIECE("\xE2\x80\xA8"),
#undef PIECE
};
#define PIECE_COUNT (sizeof(pieces) / sizeof(pieces[0]))

Test(sse, reads_back_every_triple_of_hostile_pieces)
{
    for (size_t first = 0; first < PIECE_COUNT; first++) {
        for (size_t second = 0; second < PIECE_COUNT; second++) {
            for (size_t third = 0; third < PIECE_COUNT; third++) {
                struct buffer data = { 0 };
                buffer_append(&data, pieces[first].bytes, pieces[first].length);
                buffer_append(&data, pieces[second].bytes, pieces[second].length);
                buffer_append(&data, pieces[third].bytes, pieces[third].length);
                check_reads_back(&(struct sse_event){ .data = data.data,
                                                      .data_length = data.size,
                                                      .id = pieces[second].bytes,
                                                      .id_length = pieces[second].length,
                                                      .name = third % 2 ? pieces[third].bytes : NULL,
                                                      .name_length = third % 2 ? pieces[third].length : 0 });
                buffer_free(&data);
            }
        }
    }
}

Test(sse, reads_back_every_pair_of_bytes)
{
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            char bytes[] = { (char)first, (char)second };
            check_reads_back(
                &(struct sse_event){ .data = bytes, .data_length = 2, .id = bytes, .id_length = 2 });
        }
    }
}

Test(sse, reads_back_long_random_payloads)
{
    /* Dense in line ends and broken sequences, at lengths around the word sizes that fast scanning uses. */
    static const char alphabet[] = "\r\n\0 :ax\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\xFF";
    uint64_t state = 1;
    for (size_t length = 0; length < 300; length++) {
        for (int round = 0; round < 20; round++) {
            char bytes[300];
            for (size_t i = 0; i < length; i++) {
                state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                size_t choice = (state >> 33) % (round < 10 ? sizeof(alphabet) - 1 : 200);
                bytes[i] = choice < sizeof(alphabet) - 1 ? alphabet[choice] : 'x';
            }
            check_reads_back(&(struct sse_event){ .data = bytes, .data_length = length });
        }
    }
}

/* --- boundaries
 * -------------------------------------------------------------------------------------------------- */

Test(sse, boundary_at_every_offset)
{
    struct buffer out = { 0 };
    size_t starts[16];
    size_t count = 0;

    starts[count++] = out.size;
    sse_append_retry(&out, 1000);
    starts[count++] = out.size;
    sse_append_event(&out, &(struct sse_event){ .data = "" });
    starts[count++] = out.size;
    sse_append_event(&out,
                     &(struct sse_event){ .data = "a\n\n\nb\n", .data_length = 6, .id = "", .name = "" });
    starts[count++] = out.size;
    buffer_append_text(&out, SSE_HEARTBEAT);
    starts[count++] = out.size;
    buffer_append_text(&out, SSE_HEARTBEAT);
    starts[count++] = out.size;
    sse_append_event(
        &out, &(struct sse_event){ .data = "\r\n\r\n", .data_length = 4, .id = "\n\n", .id_length = 2 });
    starts[count] = out.size;

    size_t next = 0;
    for (size_t offset = 0; offset <= out.size; offset++) {
        if (offset > starts[next])
            next++;
        cr_assert_eq(sse_event_boundary(out.data, out.size, offset), starts[next], "at offset %zu", offset);
    }
    cr_assert_eq(sse_event_boundary(NULL, 0, 0), 0);
    buffer_free(&out);
}

/* The instruments must be right before what they measure can be. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#include "latency.h"
#include "payload.h"
#include "resp.h"
#include "sequence.h"
#include "sse_reader.h"

Test(payload, is_read_back_and_every_changed_byte_is_noticed)
{
    struct payload_form *form = payload_form_create(200, PAYLOAD_LETTERS);
    struct payload_stamp stamp = { 7, 4999, 1234567890123456 }, read;
    char bytes[200];
    payload_write(form, &stamp, bytes);
    cr_assert(payload_read(form, bytes, sizeof bytes, &read));
    cr_assert_eq(read.sequence, 7);
    cr_assert_eq(read.channel, 4999);
    cr_assert_eq(read.sent_us, 1234567890123456);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] ^= 1;
        cr_expect(!payload_read(form, bytes, sizeof bytes, &read), "byte %zu", i);
        bytes[i] ^= 1;
    }
    cr_assert(!payload_read(form, bytes, sizeof bytes - 1, &read));
    payload_form_destroy(form);
    cr_assert_null(payload_form_create(PAYLOAD_BYTES_MIN - 1, PAYLOAD_LETTERS));
    cr_assert_null(payload_form_create(PAYLOAD_BYTES_MAX + 1, PAYLOAD_WORDS));
}

Test(sequence, tells_late_from_twice_from_never)
{
    struct sequence sequence = { 0 };
    cr_assert_eq(sequence_take(&sequence, 0), SEQUENCE_IN_ORDER);
    cr_assert_eq(sequence_take(&sequence, 0), SEQUENCE_DUPLICATE);
    cr_assert_eq(sequence_take(&sequence, 6), SEQUENCE_IN_ORDER);
    cr_assert_eq(sequence_lost(&sequence, 7), 5);
    cr_assert_eq(sequence_take(&sequence, 3), SEQUENCE_OUT_OF_ORDER);
    cr_assert_eq(sequence_take(&sequence, 3), SEQUENCE_DUPLICATE);
    cr_assert_eq(sequence_take(&sequence, 1), SEQUENCE_OUT_OF_ORDER);
    cr_assert_eq(sequence_take(&sequence, 5), SEQUENCE_OUT_OF_ORDER);
    cr_assert_eq(sequence_lost(&sequence, 7), 2);
    cr_assert_eq(sequence_lost(&sequence, 10), 5);
    sequence_free(&sequence);
}

Test(sequence, counts_a_burst_delivered_in_reverse)
{
    struct sequence sequence = { 0 };
    cr_assert_eq(sequence_take(&sequence, 4999), SEQUENCE_IN_ORDER);
    for (uint64_t number = 4999; number-- > 0;)
        cr_assert_eq(sequence_take(&sequence, number), SEQUENCE_OUT_OF_ORDER);
    cr_assert_eq(sequence_lost(&sequence, 5000), 0);
    sequence_free(&sequence);
}

Test(sequence, counts_what_is_lost_beyond_the_gaps_it_remembers)
{
    struct sequence sequence = { 0 };
    uint64_t count = SEQUENCE_GAPS_MAX * 3;
    for (uint64_t number = 0; number < count; number++)
        sequence_take(&sequence, number * 2 + 1); /* every even one is missing */
    cr_assert_eq(sequence_lost(&sequence, count * 2), count);
    sequence_free(&sequence);
}

Test(latency, percentiles_are_within_a_hundredth)
{
    struct latency *latency = calloc(1, sizeof *latency);
    cr_assert_eq(latency_percentile_us(latency, 0.99), 0);
    for (uint64_t value = 1; value <= 100000; value++)
        latency_add(latency, value);
    const double fractions[] = { 0.5, 0.9, 0.99, 0.999 };
    for (size_t i = 0; i < sizeof fractions / sizeof fractions[0]; i++) {
        double exact = fractions[i] * 100000, measured = (double)latency_percentile_us(latency, fractions[i]);
        cr_expect(measured >= exact && measured <= exact * 1.01, "%f: %f", fractions[i], measured);
    }
    cr_assert_eq(latency_percentile_us(latency, 1), 100000);
    latency_add(latency, UINT64_MAX);
    struct latency *sum = calloc(1, sizeof *sum);
    latency_add_all(sum, latency);
    latency_add_all(sum, latency);
    cr_assert_eq(sum->count, 200002);
    cr_assert_eq(latency_percentile_us(sum, 0.5), latency_percentile_us(latency, 0.5));
    free(sum);
    cr_assert_eq(latency->max_us, (UINT64_C(1) << LATENCY_VALUE_BITS) - 1);
    free(latency);
}

struct seen {
    char text[4096];
};

static void see_head(void *context)
{
    strcat(((struct seen *)context)->text, "head;");
}

static void see_retry(void *context)
{
    strcat(((struct seen *)context)->text, "retry;");
}

static void see_event(void *context, struct sse_slice name, struct sse_slice data, unsigned data_lines)
{
    char *text = ((struct seen *)context)->text;
    sprintf(text + strlen(text), "%.*s=%.*s/%u;", (int)name.length, name.bytes ? name.bytes : "",
            (int)data.length, data.bytes, data_lines);
}

/* Feeds `bytes` in pieces of `step`; false when the reader refused. */
static bool read_format_in_steps(enum sse_format format, const char *bytes, size_t length, size_t step,
                                 struct seen *seen)
{
    struct sse_reader reader = { .format = (uint8_t)format };
    struct sse_sink sink = { see_head, see_event, see_retry, seen };
    char *buffer = malloc(4096);
    bool good = true;
    for (size_t at = 0; good && at < length; at += step) {
        size_t count = length - at < step ? length - at : step;
        memcpy(buffer, bytes + at, count);
        good = sse_reader_take(&reader, buffer, count, &sink);
    }
    sse_reader_free(&reader);
    free(buffer);
    return good;
}

static bool read_in_steps(const char *bytes, size_t step, struct seen *seen)
{
    return read_format_in_steps(SSE_FORMAT_EVENTS, bytes, strlen(bytes), step, seen);
}

Test(sse_reader, reads_what_webdis_sends)
{
    const char *bytes =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        "22\r\n{\"SUBSCRIBE\":[\"subscribe\",\"ab\",1]}\r\n"
        "2e\r\n{\"SUBSCRIBE\":[\"message\",\"ab\",\"{\\\"a\\\":\\\"b\\\"}\"]}\r\n";
    for (size_t step = 1; step <= strlen(bytes); step++) {
        struct seen seen = { "" };
        cr_assert(read_format_in_steps(SSE_FORMAT_WEBDIS, bytes, strlen(bytes), step, &seen));
        cr_assert_str_eq(seen.text, "head;retry;={\"a\":\"b\"}/1;", "by %zu: %s", step, seen.text);
    }
}

#ifdef HAVE_ZLIB
Test(sse_reader, reads_what_is_compressed_however_the_bytes_are_cut)
{
    char bytes[1024] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n";
    const char *events = "retry: 1\n\ndata: one\n\nevent: gap\ndata: two\n\n";
    z_stream stream = { .next_in = (Bytef *)events, .avail_in = (uInt)strlen(events) };
    size_t head = strlen(bytes);
    stream.next_out = (Bytef *)bytes + head;
    stream.avail_out = (uInt)(sizeof bytes - head);
    cr_assert_eq(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    cr_assert_eq(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
    size_t length = sizeof bytes - stream.avail_out;
    for (size_t step = 1; step <= length; step++) {
        struct seen seen = { "" };
        cr_assert(read_format_in_steps(SSE_FORMAT_EVENTS, bytes, length, step, &seen));
        cr_assert_str_eq(seen.text, "head;retry;=one/1;gap=two/1;", "by %zu", step);
    }
    bytes[head] ^= 1;
    struct seen seen = { "" };
    cr_assert(!read_format_in_steps(SSE_FORMAT_EVENTS, bytes, length, length, &seen));
    deflateEnd(&stream);
}
#endif

Test(sse_reader, reads_the_same_however_the_bytes_are_cut)
{
    const char *plain =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        "retry: 1000\n\n:\n\nid: 1\ndata: one\n\nevent: gap\ndata:two\r\n\r\ndata: a\ndata: b\n\ndata: cut";
    const char *chunked =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        "d\r\nretry: 1000\n\n\r\n3\r\n:\n\n\r\n8\r\nid: 1\nda\r\nB\r\nta: one\n\nev\r\n"
        "18\r\nent: gap\ndata:two\r\n\r\ndat\r\n10\r\na: a\ndata: b\n\ndx\r\n";
    for (size_t step = 1; step < strlen(chunked); step++) {
        struct seen seen = { "" };
        cr_assert(read_in_steps(plain, step, &seen));
        cr_assert_str_eq(seen.text, "head;retry;=one/1;gap=two/1;=b/2;", "plain by %zu", step);
        seen.text[0] = '\0';
        cr_assert(read_in_steps(chunked, step, &seen));
        cr_assert_str_eq(seen.text, "head;retry;=one/1;gap=two/1;=b/2;", "chunked by %zu", step);
    }
}

Test(sse_reader, refuses_what_is_no_event_stream)
{
    struct seen seen = { "" };
    cr_assert(!read_in_steps("HTTP/1.1 503 Busy\r\nContent-Type: text/event-stream\r\n\r\n", 500, &seen));
    cr_assert(!read_in_steps("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", 500, &seen));
    cr_assert(!read_in_steps(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        500, &seen));
}

Test(resp, reads_pushes_only_when_they_are_complete)
{
    const char *bytes = "*3\r\n$7\r\nmessage\r\n$2\r\nab\r\n$5\r\nhello\r\n";
    struct resp_push push;
    size_t consumed;
    for (size_t length = 1; length < strlen(bytes); length++)
        cr_assert_eq(resp_read_push(bytes, length, &push, &consumed), RESP_UNFINISHED, "%zu", length);
    cr_assert_eq(resp_read_push(bytes, strlen(bytes), &push, &consumed), RESP_COMPLETE);
    cr_assert_eq(consumed, strlen(bytes));
    cr_assert_eq(push.kind, RESP_MESSAGE);
    cr_assert_eq(memcmp(push.channel, "ab", push.channel_length), 0);
    cr_assert_eq(memcmp(push.payload, "hello", push.payload_length), 0);
    const char *confirmed = "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
    cr_assert_eq(resp_read_push(confirmed, strlen(confirmed), &push, &consumed), RESP_COMPLETE);
    cr_assert_eq(push.kind, RESP_SUBSCRIBED);
    cr_assert_eq(consumed, strlen(confirmed));
    cr_assert_eq(resp_read_push("-ERR no\r\n", 9, &push, &consumed), RESP_BROKEN);
}

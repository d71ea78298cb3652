#include "redis/reply_reader.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

#define BYTES_MAX ((size_t)1024 * 1024)

/* --- a reply as text, to compare with --- */

static void describe(const redisReply *reply, struct buffer *out)
{
    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        buffer_printf(out, ":%lld ", reply->integer);
        break;
    case REDIS_REPLY_NIL:
        buffer_append_text(out, "nil ");
        break;
    case REDIS_REPLY_ARRAY:
        buffer_append_text(out, "[ ");
        for (size_t i = 0; i < reply->elements; i++)
            describe(reply->element[i], out);
        buffer_append_text(out, "] ");
        break;
    default:
        cr_assert_eq(reply->str[reply->len], '\0');
        buffer_append_byte(out, reply->type == REDIS_REPLY_ERROR    ? '-'
                                : reply->type == REDIS_REPLY_STATUS ? '+'
                                                                    : '$');
        buffer_append(out, reply->str, reply->len);
        buffer_append_byte(out, ' ');
        break;
    }
}

static void take_all(struct reply_reader *reader, struct buffer *out)
{
    const redisReply *reply = NULL;
    while (reply_reader_next(reader, &reply)) {
        describe(reply, out);
        buffer_append_byte(out, '\n');
    }
}

static struct reply_reader *reader_with(size_t bytes_max)
{
    struct reply_reader *reader = reply_reader_create(bytes_max);
    cr_assert_not_null(reader);
    return reader;
}

static const char stream[] =
    "+OK\r\n"
    "-ERR no such thing\r\n"
    ":-42\r\n"
    "$-1\r\n"
    "*-1\r\n"
    "$0\r\n\r\n"
    "$6\r\na\0\r\nb\n\r\n"
    "*0\r\n"
    "*3\r\n$7\r\nmessage\r\n$5\r\nbatch\r\n$4\r\n{\"\"}\r\n"
    "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
    "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*-1\r\n"
    "*2\r\n*1\r\n*2\r\n:1\r\n*0\r\n-ERR inside\r\n"
    "$3\r\n\r\n\r\r\n";
static const char expected[] = "+OK \n"
                               "-ERR no such thing \n"
                               ":-42 \n"
                               "nil \n"
                               "nil \n"
                               "$ \n"
                               "$a\0\r\nb\n \n"
                               "[ ] \n"
                               "[ $message $batch ${\"\"} ] \n"
                               "[ $message $__redis__:invalidate [ $a $b ] ] \n"
                               "[ $message $__redis__:invalidate nil ] \n"
                               "[ [ [ :1 [ ] ] ] -ERR inside ] \n"
                               "$\r\n\r \n";

static void assert_reads_the_stream(const struct buffer *out, const struct reply_reader *reader, size_t cut)
{
    cr_assert_null(reply_reader_problem(reader), "cut at %zu: %s", cut, reply_reader_problem(reader));
    cr_assert_eq(out->size, sizeof(expected) - 1, "cut at %zu", cut);
    cr_assert_eq(memcmp(out->data, expected, out->size), 0, "cut at %zu", cut);
}

Test(reply_reader, reads_a_stream_cut_at_any_two_positions)
{
    size_t length = sizeof(stream) - 1;
    struct reply_reader *reader = reader_with(BYTES_MAX);
    struct buffer out = { 0 };
    for (size_t first = 0; first <= length; first++) {
        for (size_t second = first; second <= length; second += 7) {
            cr_assert(reply_reader_reset(reader));
            buffer_reset(&out);
            reply_reader_feed(reader, stream, first);
            take_all(reader, &out);
            reply_reader_feed(reader, stream + first, second - first);
            take_all(reader, &out);
            reply_reader_feed(reader, stream + second, length - second);
            take_all(reader, &out);
            assert_reads_the_stream(&out, reader, first);
        }
    }
    buffer_free(&out);
    reply_reader_destroy(reader);
}

Test(reply_reader, reads_a_stream_byte_by_byte)
{
    struct reply_reader *reader = reader_with(BYTES_MAX);
    struct buffer out = { 0 };
    for (size_t at = 0; at < sizeof(stream) - 1; at++) {
        reply_reader_feed(reader, stream + at, 1);
        take_all(reader, &out);
    }
    assert_reads_the_stream(&out, reader, 1);
    cr_assert_eq(reply_reader_held_bytes(reader), 0);
    buffer_free(&out);
    reply_reader_destroy(reader);
}

Test(reply_reader, refuses_garbage)
{
    static const char *const cases[] = {
        "HTTP/1.1 400 Bad Request\r\n",
        "\x15\x03\x03",
        "$abc\r\n",
        "$-2\r\n",
        "*-2\r\n",
        "*x\r\n",
        ":12a\r\n",
        ":\r\n",
        "$99999999999999999999\r\n",
        "*99999999999999999999\r\n",
        "*1\r\n?",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        /* RESP3, which was not asked for */
        "%1\r\n+a\r\n+b\r\n",
        ">2\r\n+a\r\n+b\r\n",
        "~1\r\n+a\r\n",
        ",3.14\r\n",
        "#t\r\n",
        "(123456789012345678901234567890\r\n",
        "=5\r\ntxt:a\r\n",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t cut = 1; cut <= strlen(cases[i]); cut++) {
            struct reply_reader *reader = reader_with(BYTES_MAX);
            const redisReply *reply = NULL;
            reply_reader_feed(reader, cases[i], cut);
            cr_assert_not(reply_reader_next(reader, &reply), "%s", cases[i]);
            reply_reader_feed(reader, cases[i] + cut, strlen(cases[i]) - cut);
            cr_assert_not(reply_reader_next(reader, &reply), "%s", cases[i]);
            cr_assert_not_null(reply_reader_problem(reader), "%s", cases[i]);
            reply_reader_feed(reader, "+OK\r\n", 5);
            cr_assert_not(reply_reader_next(reader, &reply), "a lost stream stays lost");
            reply_reader_destroy(reader);
        }
    }
}

Test(reply_reader, gives_what_came_before_garbage)
{
    struct reply_reader *reader = reader_with(BYTES_MAX);
    struct buffer out = { 0 };
    reply_reader_feed(reader, "+OK\r\n:1\r\nx", 10);
    take_all(reader, &out);
    cr_assert_eq(out.size, strlen("+OK \n:1 \n"));
    cr_assert_not_null(reply_reader_problem(reader));
    cr_assert(reply_reader_reset(reader));
    cr_assert_null(reply_reader_problem(reader));
    buffer_free(&out);
    reply_reader_destroy(reader);
}

Test(reply_reader, refuses_a_giant_when_it_is_announced)
{
    static const char *const cases[] = {
        "$629145600\r\n",    "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$629145600\r\n",
        "*2147483647\r\n",   "*131073\r\n",
        "*2\r\n*100000\r\n", "$9223372036854775807\r\n",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reply_reader *reader = reader_with(i == 4 ? BYTES_MAX / 2 : BYTES_MAX);
        size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
        const redisReply *reply = NULL;
        reply_reader_feed(reader, cases[i], strlen(cases[i]));
        cr_assert_not(reply_reader_next(reader, &reply));
        cr_assert_not_null(reply_reader_problem(reader), "%s", cases[i]);
        cr_assert_not_null(strstr(reply_reader_problem(reader), "redis_reply_bytes_max"), "%s", cases[i]);
        cr_assert_lt(mallinfo2().uordblks + mallinfo2().hblkhd, before + BYTES_MAX, "%s", cases[i]);
        reply_reader_destroy(reader);
    }
}

Test(reply_reader, bounds_a_reply_made_of_many_small_parts)
{
    struct reply_reader *reader = reader_with(BYTES_MAX);
    const redisReply *reply = NULL;
    char part[6400];
    for (size_t at = 0; at < sizeof(part); at += 4)
        memcpy(part + at, ":1\r\n", 4);
    reply_reader_feed(reader, "*100000\r\n", 9);
    cr_assert_not(reply_reader_next(reader, &reply));
    size_t fed = 0;
    while (!reply_reader_problem(reader) && fed < 100000) {
        reply_reader_feed(reader, part, sizeof(part));
        cr_assert_not(reply_reader_next(reader, &reply));
        cr_assert_leq(reply_reader_held_bytes(reader), BYTES_MAX + 2 * sizeof(part));
        fed += sizeof(part) / 4;
    }
    cr_assert_not_null(reply_reader_problem(reader));
    reply_reader_destroy(reader);
}

Test(reply_reader, refuses_a_line_without_end)
{
    struct reply_reader *reader = reader_with(BYTES_MAX);
    char part[4096];
    const redisReply *reply = NULL;
    memset(part, 'x', sizeof(part));
    reply_reader_feed(reader, "-", 1);
    size_t fed = 0;
    while (!reply_reader_problem(reader) && fed < 10 * BYTES_MAX) {
        reply_reader_feed(reader, part, sizeof(part));
        cr_assert_not(reply_reader_next(reader, &reply));
        fed += sizeof(part);
    }
    cr_assert_leq(fed, 128 * 1024);
    reply_reader_destroy(reader);
}

Test(reply_reader, takes_a_large_string_and_gives_its_memory_back)
{
    size_t length = BYTES_MAX - 4096;
    char *payload = malloc(length);
    struct reply_reader *reader = reader_with(BYTES_MAX);
    const redisReply *reply = NULL;
    char head[32];
    memset(payload, 'p', length);
    int head_length = snprintf(head, sizeof(head), "$%zu\r\n", length);
    for (int round = 0; round < 3; round++) {
        reply_reader_feed(reader, head, (size_t)head_length);
        for (size_t at = 0; at < length; at += REPLY_READER_PIECE) {
            cr_assert_not(reply_reader_next(reader, &reply));
            reply_reader_feed(reader, payload + at,
                              length - at < REPLY_READER_PIECE ? length - at : REPLY_READER_PIECE);
        }
        reply_reader_feed(reader, "\r\n", 2);
        cr_assert(reply_reader_next(reader, &reply), "%s", reply_reader_problem(reader));
        cr_assert_eq(reply->len, length);
        cr_assert_eq(memcmp(reply->str, payload, length), 0);
        cr_assert_not(reply_reader_next(reader, &reply));
        cr_assert_eq(reply_reader_held_bytes(reader), 0);
    }
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    reply_reader_destroy(reader);
    size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    cr_assert_lt(before - after, 256 * 1024, "an idle reader held %zu bytes", before - after);
    free(payload);
}

Test(reply_reader, reads_many_messages_in_one_piece)
{
    static const char message[] = "*3\r\n$7\r\nmessage\r\n$5\r\nbatch\r\n$10\r\n0123456789\r\n";
    struct buffer input = { 0 };
    for (int i = 0; i < 2000; i++)
        buffer_append(&input, message, sizeof(message) - 1);
    struct reply_reader *reader = reader_with(BYTES_MAX);
    const redisReply *reply = NULL;
    int count = 0;
    for (size_t at = 0; at < input.size; at += REPLY_READER_PIECE) {
        reply_reader_feed(reader, input.data + at,
                          input.size - at < REPLY_READER_PIECE ? input.size - at : REPLY_READER_PIECE);
        for (; reply_reader_next(reader, &reply); count++)
            cr_assert_eq(reply->element[2]->len, 10);
    }
    cr_assert_eq(count, 2000);
    buffer_free(&input);
    reply_reader_destroy(reader);
}

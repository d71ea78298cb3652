#include <criterion/criterion.h>
#include <string.h>

#include "hub/backlog.h"

static struct chunk *chunk_of(const char *text)
{
    struct chunk *chunk = chunk_create();
    cr_assert_not_null(chunk);
    buffer_append_text(&chunk->bytes, text);
    return chunk;
}

/* What would be sent, in order. */
static void expect_content(struct backlog *backlog, const char *expected)
{
    struct iovec vectors[16];
    char content[256] = "";
    int count = backlog_vectors(backlog, vectors, 16);
    for (int i = 0; i < count; i++)
        strncat(content, vectors[i].iov_base, vectors[i].iov_len);
    cr_expect_str_eq(content, expected);
    cr_expect_eq(backlog_bytes(backlog), strlen(expected));
}

Test(backlog, merges_what_continues_in_one_chunk)
{
    struct backlog *backlog = backlog_create();
    struct chunk *chunk = chunk_of("abcdefgh");
    cr_assert(backlog_append(backlog, chunk, 0, 3));
    cr_assert(backlog_append(backlog, chunk, 3, 5));
    struct iovec vectors[4];
    cr_expect_eq(backlog_vectors(backlog, vectors, 4), 1);
    cr_expect_eq(chunk->references, 2u, "one piece, one reference");
    cr_assert(backlog_append(backlog, chunk, 6, 8));
    cr_expect_eq(backlog_vectors(backlog, vectors, 4), 2);
    expect_content(backlog, "abcdegh");
    backlog_destroy(backlog);
    cr_expect_eq(chunk->references, 1u);
    chunk_release(chunk);
}

Test(backlog, consumes_at_every_cut)
{
    for (size_t cut = 0; cut <= 12; cut++) {
        struct backlog *backlog = backlog_create();
        struct chunk *one = chunk_of("abcd");
        struct chunk *two = chunk_of("efgh");
        struct chunk *three = chunk_of("ijkl");
        backlog_append(backlog, one, 0, 4);
        backlog_append(backlog, two, 0, 4);
        backlog_append(backlog, three, 0, 4);
        backlog_consume(backlog, cut);
        expect_content(backlog, &"abcdefghijkl"[cut]);
        cr_expect_eq(one->references, cut >= 4 ? 1u : 2u);
        cr_expect_eq(two->references, cut >= 8 ? 1u : 2u);
        cr_expect_eq(three->references, cut >= 12 ? 1u : 2u);
        backlog_destroy(backlog);
        chunk_release(one);
        chunk_release(two);
        chunk_release(three);
    }
}

Test(backlog, stays_small_when_always_nearly_empty)
{
    struct backlog *backlog = backlog_create();
    for (int i = 0; i < 10000; i++) {
        struct chunk *chunk = chunk_of("0123456789");
        cr_assert(backlog_append(backlog, chunk, 0, 10));
        chunk_release(chunk);
        if (i >= 3)
            backlog_consume(backlog, 10);
        cr_assert_leq(backlog_bytes(backlog), 30u);
    }
    expect_content(backlog, "012345678901234567890123456789");
    backlog_destroy(backlog);
}

Test(backlog, conflate_keeps_only_the_rest_of_a_begun_event)
{
    struct backlog *backlog = backlog_create();
    struct chunk *chunk = chunk_of("data: one\n\ndata: two\n\n");
    struct chunk *next = chunk_of("data: three\n\n");
    backlog_append(backlog, chunk, 0, chunk->bytes.size);
    backlog_append(backlog, next, 0, next->bytes.size);
    backlog_consume(backlog, 4);
    backlog_conflate(backlog, NULL);
    expect_content(backlog, ": one\n\n");
    cr_expect_eq(next->references, 1u);
    backlog_destroy(backlog);

    backlog = backlog_create();
    backlog_append(backlog, chunk, 11, chunk->bytes.size);
    backlog_append(backlog, next, 0, next->bytes.size);
    backlog_conflate(backlog, NULL);
    expect_content(backlog, "");
    backlog_conflate(backlog, NULL);
    backlog_destroy(backlog);
    cr_expect_eq(chunk->references, 1u);
    chunk_release(chunk);
    chunk_release(next);
}

/* A part of a gzip stream, of which the content does not matter here. */
static struct chunk *coded_of(const char *text, struct gzip_check *check)
{
    struct chunk *chunk = chunk_create();
    chunk->coded = true;
    chunk->part = gzip_append_stored(&chunk->bytes, text, strlen(text));
    buffer_reset(&chunk->bytes);
    buffer_append_text(&chunk->bytes, text);
    gzip_check_add(check, &chunk->part);
    return chunk;
}

Test(backlog, conflate_keeps_a_coded_part_whole_once_it_is_begun)
{
    for (size_t sent = 0; sent < 12; sent++) {
        struct backlog *backlog = backlog_create();
        struct gzip_check check = { 0 };
        struct chunk *one = coded_of("a\n\nb\n\n", &check);
        struct gzip_check with_one = check;
        struct chunk *two = coded_of("c\n\nd\n\n", &check);
        struct gzip_check with_two = check;
        struct chunk *three = coded_of("e\n\n", &check);
        backlog_append(backlog, one, 0, one->bytes.size);
        backlog_append(backlog, two, 0, two->bytes.size);
        backlog_append(backlog, three, 0, three->bytes.size);
        backlog_consume(backlog, sent);
        backlog_conflate(backlog, &check);
        struct gzip_check none = { 0 };
        struct gzip_check expected = sent == 0 ? none : sent <= 6 ? with_one : with_two;
        expect_content(backlog, sent == 0  ? ""
                                : sent < 6 ? &"a\n\nb\n\n"[sent]
                                           : (sent == 6 ? "" : &"c\n\nd\n\n"[sent - 6]));
        cr_expect_eq(check.crc, expected.crc, "%zu sent", sent);
        cr_expect_eq(check.length, expected.length);
        backlog_destroy(backlog);
        chunk_release(one);
        chunk_release(two);
        chunk_release(three);
    }
}

Test(backlog, conflate_never_drops_the_head_of_a_stream)
{
    struct backlog *backlog = backlog_create();
    struct gzip_check check = { 0 };
    struct chunk *head = coded_of("retry: 1\n\n", &check);
    struct gzip_check with_head = check;
    head->has_head = true;
    struct chunk *next = coded_of("data: 1\n\n", &check);
    backlog_append(backlog, head, 0, head->bytes.size);
    backlog_append(backlog, next, 0, next->bytes.size);
    backlog_conflate(backlog, &check);
    expect_content(backlog, "retry: 1\n\n");
    cr_expect_eq(check.crc, with_head.crc);
    backlog_destroy(backlog);
    chunk_release(head);
    chunk_release(next);
}

/* Parts of gzip streams in any order, read back by zlib's own reader of gzip. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "gzip_reader.h"
#include "wire/chunk.h"
#include "wire/gzip.h"

static struct metrics *metrics;
static struct gzip *gzip;

static void open_gzip(void)
{
    metrics = metrics_create();
    gzip = gzip_create(200, metrics);
    cr_assert_not_null(gzip);
}

static void close_gzip(void)
{
    gzip_destroy(gzip);
    metrics_destroy(metrics);
}

TestSuite(gzip, .init = open_gzip, .fini = close_gzip);

static void expect_text(const struct gzip_reader *reader, const struct buffer *expected)
{
    cr_assert_eq(reader->text.size, expected->size);
    cr_assert(expected->size == 0 || memcmp(reader->text.data, expected->data, expected->size) == 0);
}

/* Text like JSON, or noise; `seed` moves on. */
static void fill(char *bytes, size_t length, unsigned *seed)
{
    static const char words[] =
        "{\"status\":\"PROCESSING\",\"progress\":12345,\"items\":[true,false,null]}\n\n";
    bool noise = rand_r(seed) % 4 == 0;
    for (size_t i = 0; i < length; i++)
        bytes[i] =
            noise ? (char)rand_r(seed) : words[(i + (size_t)(rand_r(seed) % 16 == 0)) % (sizeof(words) - 1)];
}

/* Three clients get the same parts, each from another one on, and each something of its own in between. */
Test(gzip, any_client_reads_what_it_was_sent, .timeout = 60)
{
    enum { CLIENTS = 3, PARTS = 300, LENGTH_MAX = 200000 };
    unsigned seed = 20261121;
    struct gzip_reader readers[CLIENTS];
    struct gzip_check checks[CLIENTS] = { 0 };
    struct buffer expected[CLIENTS] = { 0 };
    char *bytes = malloc(LENGTH_MAX);
    struct buffer out = { 0 };
    gzip_append_head(&out);
    for (size_t i = 0; i < CLIENTS; i++) {
        gzip_reader_open(&readers[i]);
        gzip_reader_push(&readers[i], out.data, out.size);
    }
    for (int number = 0; number < PARTS; number++) {
        size_t length = (size_t)rand_r(&seed) % (number % 10 == 0 ? LENGTH_MAX : 1500);
        fill(bytes, length, &seed);
        buffer_reset(&out);
        bool shared = rand_r(&seed) % 3 > 0;
        struct gzip_part part =
            shared ? gzip_append_shared(gzip, &out, bytes, length) : gzip_append_stored(&out, bytes, length);
        for (size_t i = 0; i < CLIENTS; i++) {
            if (!shared && i != (size_t)number % CLIENTS)
                continue;
            gzip_reader_push(&readers[i], out.data, out.size);
            gzip_check_add(&checks[i], &part);
            buffer_append(&expected[i], bytes, length);
            expect_text(&readers[i], &expected[i]);
            cr_assert_not(readers[i].ended);
        }
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        cr_expect_eq(checks[i].crc, crc32_z(0, (const Bytef *)expected[i].data, expected[i].size));
        buffer_reset(&out);
        gzip_append_end(&out, &checks[i]);
        gzip_reader_push(&readers[i], out.data, out.size);
        cr_expect(readers[i].ended, "the end is the end, with the right check");
        gzip_reader_close(&readers[i]);
        buffer_free(&expected[i]);
    }
    cr_expect_gt(metrics->sse_deflated, 50u);
    buffer_free(&out);
    free(bytes);
}

Test(gzip, stream_without_content_ends_well)
{
    struct gzip_reader reader;
    struct gzip_check check = { 0 };
    struct buffer out = { 0 };
    gzip_reader_open(&reader);
    gzip_append_head(&out);
    gzip_append_end(&out, &check);
    gzip_reader_push(&reader, out.data, out.size);
    cr_expect(reader.ended);
    cr_expect_eq(reader.text.size, 0u);
    gzip_reader_close(&reader);
    buffer_free(&out);
}

Test(gzip, only_what_gets_smaller_is_deflated)
{
    char text[1000];
    struct buffer out = { 0 };
    memset(text, 'x', sizeof(text));
    gzip_append_shared(gzip, &out, text, 199);
    cr_expect_eq(out.size, 199u + 5, "below the least size");
    buffer_reset(&out);
    gzip_append_shared(gzip, &out, text, 200);
    cr_expect_lt(out.size, 30u);
    buffer_reset(&out);
    unsigned seed = 7;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)rand_r(&seed);
    gzip_append_shared(gzip, &out, text, sizeof(text));
    cr_expect_eq(out.size, sizeof(text) + 5, "noise");
    buffer_reset(&out);
    gzip_set_deflate_bytes_min(gzip, 0);
    gzip_append_shared(gzip, &out, "", 0);
    cr_expect_eq(out.size, 0u);
    buffer_free(&out);
}

Test(gzip, stored_block_in_place)
{
    struct buffer out = { 0 };
    struct gzip_check check = { 0 };
    struct gzip_reader reader;
    gzip_append_head(&out);
    size_t begin = gzip_open_stored(&out);
    buffer_append_text(&out, "id: 1\n");
    struct gzip_part part = gzip_close_stored(&out, begin);
    gzip_check_add(&check, &part);
    gzip_append_end(&out, &check);
    gzip_reader_open(&reader);
    gzip_reader_push(&reader, out.data, out.size);
    cr_expect(reader.ended);
    cr_expect_eq(reader.text.size, 6u);
    gzip_reader_close(&reader);

    begin = gzip_open_stored(&out);
    for (int i = 0; i < 65536; i++)
        buffer_append_byte(&out, 'x');
    gzip_close_stored(&out, begin);
    cr_expect(out.failed, "more than a block can have");
    buffer_free(&out);
}

Test(gzip, parts_are_taken_back)
{
    unsigned seed = 42;
    struct gzip_check checks[100] = { 0 };
    struct gzip_part parts[100];
    char bytes[3000];
    struct buffer out = { 0 };
    for (size_t i = 0; i < 99; i++) {
        size_t length = (size_t)rand_r(&seed) % sizeof(bytes);
        fill(bytes, length, &seed);
        parts[i] = gzip_append_stored(&out, bytes, length);
        checks[i + 1] = checks[i];
        gzip_check_add(&checks[i + 1], &parts[i]);
    }
    struct gzip_check check = checks[99];
    for (size_t i = 99; i-- > 0;) {
        gzip_check_remove(&check, &parts[i]);
        cr_assert_eq(check.crc, checks[i].crc, "back to %zu", i);
        cr_assert_eq(check.length, checks[i].length);
    }
    buffer_free(&out);
}

static unsigned done;

static void count_done(void *context, const struct chunk *chunk)
{
    (void)context;
    cr_expect_eq(chunk->messages, 3u);
    done++;
}

Test(gzip, twin_is_made_once_and_tells_when_the_last_of_both_is_done)
{
    done = 0;
    for (int twin_is_last = 0; twin_is_last < 2; twin_is_last++) {
        struct chunk *chunk = chunk_create();
        for (int i = 0; i < 100; i++)
            buffer_append_text(&chunk->bytes, "data: the same again\n\n");
        chunk->messages = 3;
        chunk->done = count_done;
        struct chunk *twin = chunk_twin(chunk, gzip);
        cr_assert_not_null(twin);
        cr_expect(twin->coded);
        cr_expect_lt(twin->bytes.size, 100u);
        cr_expect_eq(twin->part.length, chunk->bytes.size);
        cr_expect_eq(chunk_twin(chunk, gzip), twin);
        if (twin_is_last)
            chunk_retain(twin);
        chunk_release(chunk);
        if (twin_is_last) {
            cr_expect_eq(done, 1u);
            chunk_release(twin);
        }
    }
    cr_expect_eq(done, 2u);
    cr_expect_eq(metrics->sse_deflated, 2u);
}

/* The tail with many streams, many entries and large ones. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tail_fixture.h"

/* --- many streams --------------------------------------------------------------------------------------- */

#define STREAMS 1000

struct many {
    bool is_watched[STREAMS];
    uint64_t last[STREAMS];
};

static unsigned number_of(const char *stream)
{
    return (unsigned)atoi(stream + 1);
}

static void note_watched(struct reader *reader, const char *stream, struct entry_id last)
{
    struct many *many = reader->context;
    many->is_watched[number_of(stream)] = true;
    many->last[number_of(stream)] = last.ms;
}

static void expect_next_of(struct reader *reader, const char *stream, struct entry_id id,
                           const struct entry_field *fields, size_t field_count)
{
    (void)fields;
    (void)field_count;
    struct many *many = reader->context;
    unsigned number = number_of(stream);
    cr_assert(many->is_watched[number]);
    cr_assert_eq(id.ms, many->last[number] + 1, "%s: %llu after %llu", stream, (unsigned long long)id.ms,
                 (unsigned long long)many->last[number]);
    many->last[number] = id.ms;
}

static const char *name_of(unsigned number)
{
    static char name[16];
    snprintf(name, sizeof(name), "s%u", number);
    return name;
}

/* Adds entry `id` to all of them at once. */
static void add_to_all(struct private_redis *redis, unsigned id)
{
    char words[256];
    snprintf(words, sizeof(words), "EVAL for\ti=0,%d\tdo\tredis.call('XADD','s'..i,'%u-0','n',i)end 0",
             STREAMS - 1, id);
    private_redis_command(redis, words);
}

Test(tail_load, a_thousand_streams)
{
    struct private_redis redis;
    struct reader reader;
    struct many many = { 0 };
    private_redis_start(&redis, NULL);
    reader_open(&reader, &redis);
    reader.is_silent = true;
    reader.context = &many;
    reader.on_watched = note_watched;
    reader.on_entry = expect_next_of;
    for (unsigned i = 0; i < STREAMS; i++)
        reader_watch(&reader, name_of(i));
    cr_assert(reader_await_watched(&reader, STREAMS, 10000));
    for (unsigned id = 1; id <= 20; id++)
        add_to_all(&redis, id);
    cr_assert(reader_await_entries(&reader, 20 * STREAMS, 20000), "%u", reader.entries);
    /* All of them behind after an absence. */
    cut_connections(&redis);
    for (unsigned id = 21; id <= 40; id++)
        add_to_all(&redis, id);
    cr_assert(reader_await_entries(&reader, 40 * STREAMS, 20000), "%u", reader.entries);
    wait_ms(reader.base, 1500);
    cr_assert_eq(reader.entries, 40 * STREAMS);
    cr_assert_eq(reader.broken, 0);
    for (unsigned i = 0; i < STREAMS; i++)
        reader_unwatch(&reader, name_of(i));
    reader_close(&reader);
    private_redis_stop(&redis);
}

/* s0 is always watched; the others come and go while entries flow in all of them. */
Test(tail_load, a_storm_of_watches)
{
    struct private_redis redis;
    struct reader reader;
    struct many many = { 0 };
    private_redis_start(&redis, NULL);
    reader_open(&reader, &redis);
    reader.is_silent = true;
    reader.context = &many;
    reader.on_watched = note_watched;
    reader.on_entry = expect_next_of;
    reader_watch(&reader, "s0");
    cr_assert(reader_await_watched(&reader, 1, 3000));

    bool is_on[50] = { true };
    srand(7);
    unsigned last = 0;
    for (unsigned round = 0; round < 1500; round++) {
        unsigned number = 1 + (unsigned)rand() % 49;
        if (is_on[number]) {
            reader_unwatch(&reader, name_of(number));
            many.is_watched[number] = false;
        } else {
            reader_watch(&reader, name_of(number));
        }
        is_on[number] = !is_on[number];
        if (round % 3 == 0) {
            char words[256];
            snprintf(words, sizeof(words),
                     "EVAL for\ti=0,49\tdo\tredis.call('XADD','s'..i,'%u-0','n',i)end 0", ++last);
            private_redis_command(&redis, words);
        }
        event_base_loop(reader.base, round % 5 == 0 ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
    }
    wait_ms(reader.base, 300);
    cr_assert_eq(many.last[0], last);
    for (unsigned i = 1; i < 50; i++)
        if (is_on[i])
            cr_assert_eq(many.last[i], last, "s%u: %llu of %u", i, (unsigned long long)many.last[i], last);
    cr_assert_eq(reader.broken, 0);
    cr_assert_eq(reader.downs, 0);
    reader_close(&reader);
    private_redis_stop(&redis);
}

/* --- many entries --------------------------------------------------------------------------------------- */

Test(tail_load, a_long_backlog_is_read_in_pieces)
{
    struct private_redis redis;
    struct reader reader;
    struct many many = { 0 };
    private_redis_start(&redis, NULL);
    reader_open(&reader, &redis);
    reader.is_silent = true;
    reader.context = &many;
    reader.on_watched = note_watched;
    reader.on_entry = expect_next_of;
    reader_watch(&reader, "s0");
    cr_assert(reader_await_watched(&reader, 1, 3000));
    cut_connections(&redis);
    add_entries(&redis, "s0", 1, 100000, 0);
    cr_assert(reader_await_entries(&reader, 100000, 30000), "%u", reader.entries);
    cr_assert_eq(reader.broken, 0);
    cr_assert_eq(reader.downs, 1);
    reader_close(&reader);
    private_redis_stop(&redis);
}

/* --- large entries -------------------------------------------------------------------------------------- */

static void add_large(struct private_redis *redis, unsigned streams, unsigned entries, unsigned bytes)
{
    char words[512];
    snprintf(words, sizeof(words),
             "EVAL for\tn=1,%u\tdo\tfor\ti=0,%u\tdo\tredis.call('XADD','s'..i,n..'-0','v',string.rep('x',%u))"
             "end\tend 0",
             entries, streams - 1, bytes);
    private_redis_command(redis, words);
}

static void read_large(unsigned streams, unsigned entries, unsigned bytes, unsigned downs_max)
{
    struct private_redis redis;
    struct reader reader;
    struct many many = { 0 };
    private_redis_start(&redis, NULL);
    reader_create(&reader, redis.address, (size_t)1024 * 1024);
    reader_start(&reader);
    cr_assert(reader_await_up(&reader, 1));
    reader.is_silent = true;
    reader.context = &many;
    reader.on_watched = note_watched;
    reader.on_entry = expect_next_of;
    for (unsigned i = 0; i < streams; i++)
        reader_watch(&reader, name_of(i));
    cr_assert(reader_await_watched(&reader, streams, 3000));
    wait_ms(reader.base, 50);
    add_large(&redis, streams, entries, bytes);
    cr_assert(reader_await_entries(&reader, streams * entries, 30000), "%u", reader.entries);
    wait_ms(reader.base, 1000);
    cr_assert_eq(reader.entries, streams * entries);
    cr_assert_eq(reader.broken, 0);
    cr_assert_eq(reader.refused, 0);
    cr_assert_leq(reader.downs, downs_max, "%u", reader.downs);
    reader_close(&reader);
    private_redis_stop(&redis);
}

Test(tail_load, large_entries_of_one_stream)
{
    read_large(1, 100, 70000, 1);
}

Test(tail_load, large_entries_of_many_streams)
{
    read_large(30, 4, 300000, 1);
}

Test(tail_load, an_entry_that_fits_into_no_reply)
{
    struct private_redis redis;
    struct reader reader;
    private_redis_start(&redis, NULL);
    reader_create(&reader, redis.address, (size_t)1024 * 1024);
    reader_start(&reader);
    cr_assert(reader_await_up(&reader, 1));
    reader_watch_now(&reader, "s0");
    reader_watch_now(&reader, "s1");
    reader_watch_now(&reader, "s2");
    add_large(&redis, 1, 1, 2000000);
    add_entries(&redis, "s1", 1, 2, 0);
    cr_assert(reader_await(&reader, "refused s0 an, ", 20000));
    cr_assert(reader_await(&reader, "entry s1 1-0, entry s1 2-0, ", 20000));
    add_entries(&redis, "s2", 1, 1, 0);
    cr_assert(reader_await(&reader, "entry s2 1-0, ", 5000));
    cr_assert_eq(reader.entries, 3);
    reader_close(&reader);
    private_redis_stop(&redis);
}

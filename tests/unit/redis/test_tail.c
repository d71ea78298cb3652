#include "redis/tail.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tail_fixture.h"

/* --- watching ------------------------------------------------------------------------------------------- */

Test(tail, tells_the_last_id_and_what_follows)
{
    struct private_redis redis;
    struct reader reader;
    private_redis_start(&redis, NULL);
    add_entries(&redis, "some", 1, 3, 0);
    reader_open(&reader, &redis);
    reader_watch(&reader, "some");
    reader_watch(&reader, "none");
    cr_assert_eq(reader.watched, 0, "never inside the call");
    reader_expect(&reader, "watched some 3-0, watched none 0-0, ");
    add_entries(&redis, "some", 4, 5, 0);
    reader_expect(&reader, "entry some 4-0, entry some 5-0, ");
    add_entries(&redis, "none", 1, 1, 0);
    reader_expect(&reader, "entry none 1-0, ");
    reader_close(&reader);
    private_redis_stop(&redis);
}

static void check_fields(struct reader *reader, const char *stream, struct entry_id id,
                         const struct entry_field *fields, size_t field_count)
{
    (void)reader;
    (void)stream;
    (void)id;
    cr_assert_eq(field_count, 2);
    cr_assert(fields[0].name_length == 1 && fields[0].name[0] == 'a');
    cr_assert(fields[0].value_length == 0);
    cr_assert(fields[1].name_length == 1 && fields[1].name[0] == 'a');
    cr_assert_eq(memcmp(fields[1].value, "\xFF\xFE", 2), 0);
}

Test(tail, gives_fields_as_they_are)
{
    struct private_redis redis;
    struct reader reader;
    private_redis_start(&redis, NULL);
    reader_open(&reader, &redis);
    reader_watch_now(&reader, "s");
    reader.on_entry = check_fields;
    private_redis_command(&redis, "XADD s 1-1 a  a \xFF\xFE");
    reader_expect(&reader, "entry s 1-1, ");
    reader_close(&reader);
    private_redis_stop(&redis);
}

Test(tail, counts_its_watchers)
{
    struct private_redis redis;
    struct reader reader;
    private_redis_start(&redis, NULL);
    add_entries(&redis, "s", 1, 1, 0);
    reader_open(&reader, &redis);
    reader_watch(&reader, "s");
    reader_watch(&reader, "s");
    reader_expect(&reader, "watched s 1-0, watched s 1-0, ");
    add_entries(&redis, "s", 2, 2, 0);
    reader_expect(&reader, "entry s 2-0, ");
    reader_watch(&reader, "s");
    cr_assert_eq(reader.watched, 2, "never inside the call");
    reader_expect(&reader, "watched s 2-0, ");
    reader_unwatch(&reader, "s");
    reader_unwatch(&reader, "s");
    add_entries(&redis, "s", 3, 3, 0);
    reader_expect(&reader, "entry s 3-0, ");
    reader_unwatch(&reader, "s");
    reader_unwatch(&reader, "s"); /* one too many is nothing */
    add_entries(&redis, "s", 4, 4, 0);
    wait_ms(reader.base, 50);
    reader_expect(&reader, "");

    /* Unwatched before the answer: none comes. */
    reader_watch(&reader, "s");
    reader_watch(&reader, "s");
    reader_unwatch(&reader, "s");
    reader_expect(&reader, "watched s 4-0, ");
    reader_watch(&reader, "other");
    reader_unwatch(&reader, "other");
    reader_watch(&reader, "other");
    reader_expect(&reader, "watched other 0-0, ");
    reader_close(&reader);
    private_redis_stop(&redis);
}

Test(tail, watched_anew_begins_at_the_new_end)
{
    struct private_redis redis;
    struct reader reader;
    private_redis_start(&redis, NULL);
    reader_open(&reader, &redis);
    reader_watch_now(&reader, "s");
    wait_ms(reader.base, 50); /* the read under way stands at 0-0 */
    reader_unwatch(&reader, "s");
    add_entries(&redis, "s", 1, 3, 0);
    reader_watch(&reader, "s");
    reader_expect(&reader, "watched s 3-0, ");
    add_entries(&redis, "s", 4, 4, 0);
    reader_expect(&reader, "entry s 4-0, ");
    reader_close(&reader);
    private_redis_stop(&redis);
}

Test(tail, refuses_what_cannot_be_read)
{
    struct private_redis redis;
    struct reader reader;
    private_redis_start(&redis, NULL);
    private_redis_command(&redis, "SET string x");
    reader_open(&reader, &redis);
    reader_watch(&reader, "string");
    reader_watch(&reader, "string");
    reader_expect(&reader, "refused string WRONGTYPE, refused string WRONGTYPE, ");
    private_redis_command(&redis, "ACL SETUSER default resetkeys ~allowed*");
    reader_watch(&reader, "secret");
    reader_expect(&reader, "refused secret NOPERM, ");
    reader_watch(&reader, "allowed");
    reader_expect(&reader, "watched allowed 0-0, ");
    private_redis_command(&redis, "XADD allowed 1-1 a b");
    reader_expect(&reader, "entry allowed 1-1, ");
    reader_close(&reader);
    private_redis_stop(&redis);
}

Test(tail, waits_for_redis)
{
    struct private_redis redis;
    struct reader reader;
    private_redis_start(&redis, NULL);
    private_redis_kill(&redis);
    reader_create(&reader, redis.address, 1000000);
    reader_watch(&reader, "a");
    reader_start(&reader);
    reader_watch(&reader, "b");
    wait_ms(reader.base, 300);
    reader_expect(&reader, "");
    private_redis_start_again(&redis);
    cr_assert(reader_await(&reader, "watched a 0-0, ", 10000));
    cr_assert(reader_await(&reader, "watched b 0-0, ", 10000));
    cr_assert(reader_await_up(&reader, 1));
    buffer_reset(&reader.story);
    add_entries(&redis, "b", 1, 1, 0);
    reader_expect(&reader, "entry b 1-0, ");
    reader_close(&reader);
    private_redis_stop(&redis);
}

Test(tail, can_be_destroyed_at_any_moment)
{
    struct private_redis redis;
    private_redis_start(&redis, NULL);
    for (unsigned wait = 0; wait < 30; wait++) {
        struct reader reader;
        reader_create(&reader, redis.address, 1000000);
        reader_start(&reader);
        for (int i = 0; i < 200; i++) {
            char name[16];
            snprintf(name, sizeof(name), "s%d", i);
            reader_watch(&reader, name);
        }
        for (unsigned turn = 0; turn < wait; turn++)
            event_base_loop(reader.base, EVLOOP_ONCE);
        if (wait % 2) { /* the commands answer a tail that has gone */
            tail_destroy(reader.tail);
            reader.tail = NULL;
            wait_ms(reader.base, wait % 4);
        }
        reader_close(&reader);
    }
    private_redis_stop(&redis);
}

/* --- waking --------------------------------------------------------------------------------------------- */

Test(tail, a_new_stream_does_not_wait_for_the_read_under_way)
{
    struct private_redis redis;
    struct reader reader;
    private_redis_start(&redis, NULL);
    reader_open(&reader, &redis);
    reader_watch_now(&reader, "first");
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        char expected[32];
        snprintf(name, sizeof(name), "s%u", i);
        snprintf(expected, sizeof(expected), "entry s%u 1-0, ", i);
        reader_watch_now(&reader, name);
        wait_ms(reader.base, i % 7); /* now and then before the next read is blocked */
        add_entries(&redis, name, 1, 1, 0);
        uint64_t start_ms = clock_now_ms();
        cr_assert(reader_await(&reader, expected, 3000));
        cr_assert_lt(clock_now_ms() - start_ms, 700, "stream %u", i);
    }
    reader_close(&reader);
    private_redis_stop(&redis);
}

static bool is_wake_refused(void *context)
{
    return captured_log_has(&((struct reader *)context)->log, "refuses to wake");
}

Test(tail, looks_more_often_where_it_cannot_be_woken)
{
    struct private_redis redis;
    struct reader reader;
    private_redis_start(&redis, NULL);
    private_redis_command(&redis, "ACL SETUSER default -client|unblock");
    reader_open(&reader, &redis);
    reader_watch_now(&reader, "a");
    wait_ms(reader.base, 20);
    reader_watch_now(&reader, "b");
    cr_assert(wait_until(reader.base, is_wake_refused, &reader, 3000));
    wait_ms(reader.base, 900);
    reader_watch_now(&reader, "c");
    add_entries(&redis, "c", 1, 1, 0);
    uint64_t start_ms = clock_now_ms();
    reader_expect(&reader, "entry c 1-0, ");
    cr_assert_lt(clock_now_ms() - start_ms, 700);
    reader_close(&reader);
    private_redis_stop(&redis);
}

Test(tail, is_not_mistaken_for_dead_while_it_waits)
{
    struct private_redis redis;
    struct reader reader;
    private_redis_start(&redis, NULL);
    reader_open(&reader, &redis);
    wait_ms(reader.base, 2 * TAIL_PING_AFTER_MS); /* nothing to read: PINGed */
    reader_watch_now(&reader, "s");
    wait_ms(reader.base, 4 * TAIL_PING_AFTER_MS);
    cr_assert_eq(reader.downs, 0);
    cr_assert_eq(reader.metrics->redis_reconnects, 0);
    reader_unwatch(&reader, "s");
    wait_ms(reader.base, 4 * TAIL_PING_AFTER_MS);
    cr_assert_eq(reader.downs, 0);
    reader_close(&reader);
    private_redis_stop(&redis);
}

Test(tail, notices_a_dead_peer)
{
    struct private_redis redis;
    struct reader reader;
    private_redis_start(&redis, NULL);
    reader_open(&reader, &redis);
    reader_watch_now(&reader, "s");
    add_entries(&redis, "s", 1, 1, 0);
    reader_expect(&reader, "entry s 1-0, ");
    kill(redis.pid, SIGSTOP);
    uint64_t start_ms = clock_now_ms();
    cr_assert(reader_await_down(&reader, 1));
    cr_assert_leq(clock_now_ms() - start_ms, 3 * TAIL_PING_AFTER_MS + 500);
    kill(redis.pid, SIGCONT);
    cr_assert(reader_await_up(&reader, 2));
    add_entries(&redis, "s", 2, 2, 0);
    reader_expect(&reader, "entry s 2-0, ");
    reader_close(&reader);
    private_redis_stop(&redis);
}

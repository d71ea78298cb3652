/* The tail when connections, entries or streams go. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tail_fixture.h"

static const char *const append_only[] = { "--appendonly", "yes", "--appendfsync", "always", NULL };

struct scene {
    struct private_redis redis;
    struct reader reader;
};

/* Stream `s` read up to 5-0, of 5. */
static void open_at_five(struct scene *scene)
{
    private_redis_start(&scene->redis, NULL);
    reader_open(&scene->reader, &scene->redis);
    reader_watch_now(&scene->reader, "s");
    add_entries(&scene->redis, "s", 1, 5, 0);
    cr_assert(reader_await_entries(&scene->reader, 5, 3000));
    buffer_reset(&scene->reader.story);
}

static void close_scene(struct scene *scene)
{
    cr_assert_eq(scene->reader.refused, 0);
    reader_close(&scene->reader);
    private_redis_stop(&scene->redis);
}

/* --- the connection goes -------------------------------------------------------------------------------- */

Test(tail_loss, of_the_connection_loses_nothing)
{
    struct scene scene;
    open_at_five(&scene);
    for (unsigned round = 0; round < 5; round++) {
        char expected[64];
        unsigned next = 6 + 2 * round;
        cut_connections(&scene.redis);
        add_entries(&scene.redis, "s", next, next + 1, 0);
        snprintf(expected, sizeof(expected), "entry s %u-0, entry s %u-0, ", next, next + 1);
        reader_expect(&scene.reader, expected);
    }
    /* The same when the last entry that was read is gone, but none after it: the count says so. */
    cut_connections(&scene.redis);
    add_entries(&scene.redis, "s", 100, 101, 2);
    reader_expect(&scene.reader, "entry s 100-0, entry s 101-0, ");
    cr_assert_eq(scene.reader.broken, 0);
    close_scene(&scene);
}

Test(tail_loss, trimmed_while_away)
{
    struct scene scene;
    open_at_five(&scene);
    cut_connections(&scene.redis);
    add_entries(&scene.redis, "s", 6, 15, 2);
    reader_expect(&scene.reader, "trimmed s 5-0, entry s 14-0, entry s 15-0, ");
    close_scene(&scene);
}

Test(tail_loss, deleted_while_away)
{
    struct scene scene;
    open_at_five(&scene);
    cut_connections(&scene.redis);
    private_redis_command(&scene.redis, "DEL s");
    reader_expect(&scene.reader, "reset s 0-0, ");
    add_entries(&scene.redis, "s", 1, 1, 0);
    reader_expect(&scene.reader, "entry s 1-0, ");
    close_scene(&scene);
}

Test(tail_loss, restored_to_an_older_state_while_away)
{
    struct scene scene;
    open_at_five(&scene);
    cut_connections(&scene.redis);
    private_redis_command(&scene.redis, "FLUSHALL");
    add_entries(&scene.redis, "s", 1, 3, 0);
    reader_expect(&scene.reader, "reset s 3-0, ");
    add_entries(&scene.redis, "s", 4, 4, 0);
    reader_expect(&scene.reader, "entry s 4-0, ");
    close_scene(&scene);
}

Test(tail_loss, begun_again_with_greater_ids_while_away)
{
    struct scene scene;
    open_at_five(&scene);
    cut_connections(&scene.redis);
    private_redis_command(&scene.redis, "DEL s");
    add_entries(&scene.redis, "s", 10, 11, 0);
    reader_expect(&scene.reader, "reset s 5-0, entry s 10-0, entry s 11-0, ");
    close_scene(&scene);
}

Test(tail_loss, overwritten_while_away)
{
    struct scene scene;
    open_at_five(&scene);
    reader_watch_now(&scene.reader, "other");
    cut_connections(&scene.redis);
    private_redis_command(&scene.redis, "SET s string");
    add_entries(&scene.redis, "other", 1, 1, 0);
    reader_expect(&scene.reader, "refused s WRONGTYPE, entry other 1-0, ");
    scene.reader.refused = 0;
    close_scene(&scene);
}

/* --- kill -9 -------------------------------------------------------------------------------------------- */

static void expect_next(struct reader *reader, const char *stream, struct entry_id id,
                        const struct entry_field *fields, size_t field_count)
{
    (void)stream;
    (void)fields;
    (void)field_count;
    uint64_t *last = reader->context;
    cr_assert_eq(id.ms, *last + 1, "%llu after %llu", (unsigned long long)id.ms, (unsigned long long)*last);
    *last = id.ms;
}

Test(tail_loss, killed_and_restarted_redis_loses_nothing)
{
    struct private_redis redis;
    struct reader reader;
    uint64_t last = 0;
    private_redis_start(&redis, append_only);
    reader_open(&reader, &redis);
    reader_watch_now(&reader, "s");
    reader.is_silent = true;
    reader.context = &last;
    reader.on_entry = expect_next;
    unsigned next = 1;
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 50; i++, next++) {
            add_entries(&redis, "s", next, next, 0);
            event_base_loop(reader.base, EVLOOP_NONBLOCK);
        }
        private_redis_kill(&redis);
        wait_ms(reader.base, 20 * round);
        private_redis_start_again(&redis);
        for (unsigned i = 0; i < 50; i++, next++) {
            add_entries(&redis, "s", next, next, 0);
            wait_ms(reader.base, i % 3);
        }
        cr_assert(reader_await_entries(&reader, next - 1, 10000), "%u of %u", reader.entries, next - 1);
    }
    cr_assert_eq(last, next - 1);
    cr_assert_eq(reader.entries, next - 1);
    cr_assert_eq(reader.broken, 0);
    reader_close(&reader);
    private_redis_stop(&redis);
}

static void add_piped(struct reader *reader, unsigned number)
{
    char id[24];
    snprintf(id, sizeof(id), "%u-0", number);
    const char *const arguments[] = { "XADD", "s", "MAXLEN", "~", "10000", id, "n", "x" };
    const struct command add = { .count = 8, .arguments = arguments };
    cr_assert(commands_send(reader->commands, &add, 1, NULL, NULL));
}

static void cut_tail(struct private_redis *redis)
{
    char kill_words[64];
    const char *clients = private_redis_command(redis, "CLIENT LIST");
    const char *line = strstr(clients, "name=sluice-tail");
    while (line && line > clients && line[-1] != '\n')
        line--;
    snprintf(kill_words, sizeof(kill_words), "CLIENT KILL ID %d", line ? atoi(line + strlen("id=")) : 0);
    private_redis_command(redis, kill_words);
}

Test(tail_loss, of_the_connection_in_the_middle_of_a_flood)
{
    struct private_redis redis;
    struct reader reader;
    uint64_t last = 0;
    private_redis_start(&redis, NULL);
    reader_open(&reader, &redis);
    reader_watch_now(&reader, "s");
    reader.is_silent = true;
    reader.context = &last;
    reader.on_entry = expect_next;
    unsigned next = 1;
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < 200; i++)
            add_piped(&reader, next++);
        wait_ms(reader.base, round % 3);
        if (round % 4 == 0)
            cut_tail(&redis);
    }
    cr_assert(reader_await_entries(&reader, next - 1, 20000), "%u of %u", reader.entries, next - 1);
    wait_ms(reader.base, 1500);
    cr_assert_eq(reader.entries, next - 1);
    cr_assert_eq(reader.broken, 0);
    cr_assert_gt(reader.downs, 0);
    reader_close(&reader);
    private_redis_stop(&redis);
}

/* Without a file it comes back empty. */
Test(tail_loss, restarted_redis_has_forgotten_everything)
{
    struct scene scene;
    open_at_five(&scene);
    private_redis_kill(&scene.redis);
    private_redis_start_again(&scene.redis);
    reader_expect(&scene.reader, "reset s 0-0, ");
    add_entries(&scene.redis, "s", 1, 1, 0);
    reader_expect(&scene.reader, "entry s 1-0, ");
    close_scene(&scene);
}

/* --- streams go while they are read --------------------------------------------------------------------- */

Test(tail_loss, trimmed_before_it_could_be_read)
{
    struct scene scene;
    open_at_five(&scene);
    /* One command: nobody reads before it has ended. */
    add_entries(&scene.redis, "s", 6, 105, 2);
    cr_assert(reader_await(&scene.reader, "trimmed s ", 3000), "within a round of checks");
    cr_assert_eq(scene.reader.entries, 7);
    add_entries(&scene.redis, "s", 106, 107, 2);
    cr_assert(reader_await(&scene.reader, "entry s 106-0, entry s 107-0, ", 3000));
    wait_ms(scene.reader.base, 2000);
    cr_assert_eq(scene.reader.broken, 1, "told once");
    close_scene(&scene);
}

Test(tail_loss, deleted_stream_that_comes_back_flows_behind_the_gap)
{
    struct scene scene;
    open_at_five(&scene);
    private_redis_command(&scene.redis, "FLUSHALL");
    add_entries(&scene.redis, "s", 6, 7, 0);
    reader_expect(&scene.reader, "entry s 6-0, entry s 7-0, ");
    private_redis_command(&scene.redis, "DEL s");
    reader_expect(&scene.reader, "reset s 0-0, "); /* what it had that was not read, nobody knows */
    add_entries(&scene.redis, "s", 8, 9, 0);
    reader_expect(&scene.reader, "entry s 8-0, entry s 9-0, ");
    wait_ms(scene.reader.base, 2000);
    cr_assert_eq(scene.reader.broken, 1);
    close_scene(&scene);
}

Test(tail_loss, smaller_ids_are_not_invisible_for_ever)
{
    struct scene scene;
    open_at_five(&scene);
    private_redis_command(&scene.redis, "DEL s");
    add_entries(&scene.redis, "s", 1, 2, 0);
    reader_expect(&scene.reader, "reset s 2-0, ");
    add_entries(&scene.redis, "s", 3, 3, 0);
    reader_expect(&scene.reader, "entry s 3-0, ");
    close_scene(&scene);
}

Test(tail_loss, an_overwritten_key_does_not_stop_the_others)
{
    struct scene scene;
    open_at_five(&scene);
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "other%u", i);
        reader_watch_now(&scene.reader, name);
    }
    private_redis_command(&scene.redis, "SET s string");
    private_redis_command(&scene.redis, "SET other50 string");
    add_entries(&scene.redis, "other99", 1, 2, 0);
    cr_assert(reader_await(&scene.reader, "refused s WRONGTYPE, ", 5000));
    cr_assert(reader_await(&scene.reader, "refused other50 WRONGTYPE, ", 5000));
    add_entries(&scene.redis, "other99", 3, 3, 0);
    cr_assert(reader_await(&scene.reader, "entry other99 3-0, ", 5000));
    cr_assert_eq(scene.reader.entries, 5 + 3);
    /* Watched again once it is a stream again. */
    private_redis_command(&scene.redis, "DEL s");
    add_entries(&scene.redis, "s", 50, 50, 0);
    reader_watch_now(&scene.reader, "s");
    add_entries(&scene.redis, "s", 51, 51, 0);
    cr_assert(reader_await(&scene.reader, "entry s 51-0, ", 5000));
    scene.reader.refused = 0;
    close_scene(&scene);
}

Test(tail_loss, of_the_right_to_read)
{
    struct scene scene;
    open_at_five(&scene);
    reader_watch_now(&scene.reader, "t");
    private_redis_command(&scene.redis, "ACL SETUSER default resetkeys ~t");
    private_redis_command(&scene.redis, "XADD t 1-0 a b");
    cr_assert(reader_await(&scene.reader, "refused s NOPERM, ", 5000));
    cr_assert(reader_await(&scene.reader, "entry t 1-0, ", 5000));
    private_redis_command(&scene.redis, "ACL SETUSER default -xread");
    cr_assert(reader_await(&scene.reader, "refused t NOPERM, ", 5000));
    scene.reader.refused = 0;
    close_scene(&scene);
}

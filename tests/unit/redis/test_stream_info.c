#include "redis/stream_info.h"

#include <criterion/criterion.h>
#include <string.h>

#include "redis/reply_reader.h"

static bool parse(const char *bytes, struct stream_info *ret_info)
{
    const struct redisReply *source = NULL;
    struct reply_reader *reader = reply_reader_create(65536);
    reply_reader_feed(reader, bytes, strlen(bytes));
    cr_assert(reply_reader_next(reader, &source), "%s", reply_reader_problem(reader));
    struct reply reply = reply_view(source);
    bool is_sound = stream_info_parse(&reply, ret_info);
    reply_reader_destroy(reader);
    return is_sound;
}

#define LENGTH(n) "$6\r\nlength\r\n:" #n "\r\n"
#define LAST(id) "$17\r\nlast-generated-id\r\n+" id "\r\n"
#define ADDED(n) "$13\r\nentries-added\r\n:" #n "\r\n"
#define FIRST "$11\r\nfirst-entry\r\n"
#define OTHER "$6\r\ngroups\r\n:0\r\n"

Test(stream_info, of_redis_7)
{
    struct stream_info info;
    cr_assert(parse("*10\r\n" LENGTH(2) OTHER LAST("7-1") ADDED(5) FIRST "*2\r\n+3-0\r\n*2\r\n+a\r\n+1\r\n",
                    &info));
    cr_assert(info.exists);
    cr_assert_eq(info.length, 2);
    cr_assert(info.last.ms == 7 && info.last.sequence == 1);
    cr_assert(info.first.ms == 3 && info.first.sequence == 0);
    cr_assert(info.has_entries_added);
    cr_assert_eq(info.entries_added, 5);
}

Test(stream_info, of_redis_6_and_of_an_empty_stream)
{
    struct stream_info info;
    cr_assert(parse("*6\r\n" LENGTH(0) LAST("7-1") FIRST "$-1\r\n", &info));
    cr_assert(info.exists);
    cr_assert(!info.has_entries_added);
    cr_assert(info.first.ms == 0 && info.first.sequence == 0);
    cr_assert(parse("*6\r\n" LENGTH(0) LAST("7-1") FIRST "*-1\r\n", &info));
}

Test(stream_info, no_stream_is_an_answer)
{
    struct stream_info info;
    cr_assert(parse("-ERR no such key\r\n", &info));
    cr_assert(!info.exists);
    cr_assert(info.last.ms == 0 && info.last.sequence == 0);
}

Test(stream_info, refuses_anything_else)
{
    static const char *const strange[] = {
        "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        "-NOPERM this user has no permissions\r\n",
        "$-1\r\n",
        "*0\r\n",
        ":1\r\n",
        "+OK\r\n",
        "*2\r\n" LENGTH(1),
        "*2\r\n" LAST("1-1"),
        "*4\r\n" LENGTH(-1) LAST("1-1"),
        "*4\r\n" LENGTH(1) LAST("none"),
        "*6\r\n" LENGTH(1) LAST("1-1") ADDED(-5),
        "*6\r\n" LENGTH(1) LAST("1-1") FIRST "+1-1\r\n",
        "*6\r\n" LENGTH(1) LAST("1-1") FIRST "*1\r\n:1\r\n",
        "*3\r\n" LENGTH(1) "$17\r\nlast-generated-id\r\n",
    };
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        struct stream_info info;
        cr_assert(!parse(strange[i], &info), "took %s", strange[i]);
    }
}

#include "redis/reply.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <string.h>

static struct reply failure(const char *words)
{
    return (struct reply){ .kind = REPLY_ERROR, .text = words, .text_length = strlen(words) };
}

Test(reply, shows_what_hiredis_read)
{
    redisReply nil = { .type = REDIS_REPLY_NIL };
    redisReply number = { .type = REDIS_REPLY_INTEGER, .integer = -7 };
    redisReply status = { .type = REDIS_REPLY_STATUS, .str = (char *)"OK", .len = 2 };
    redisReply *elements[] = { &nil, &number, &status };
    redisReply array = { .type = REDIS_REPLY_ARRAY, .elements = 3, .element = elements };

    struct reply view = reply_view(&array);
    cr_assert_eq(view.kind, REPLY_ARRAY);
    cr_assert_eq(view.count, 3);
    cr_assert_eq(reply_element(&view, 0).kind, REPLY_NIL);
    cr_assert_eq(reply_element(&view, 1).integer, -7);
    cr_assert_eq(reply_element(&view, 2).kind, REPLY_TEXT);
    cr_assert_eq(reply_element(&view, 2).text_length, 2);
    cr_assert_eq(reply_element(&view, 3).kind, REPLY_NIL);
    struct reply scalar = reply_element(&view, 1);
    cr_assert_eq(reply_element(&scalar, 0).kind, REPLY_NIL);
    cr_assert_eq(reply_view(NULL).kind, REPLY_NIL);
}

Test(reply, knows_errors_that_go_away)
{
    static const char *const transient[] = {
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script",
        "READONLY You can't write against a read only replica.",
        "MASTERDOWN Link with MASTER is down",
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "MISCONF Redis is configured to save RDB snapshots",
        "NOREPLICAS Not enough good replicas to write.",
    };
    static const char *const lasting[] = {
        "ERR unknown command",
        "WRONGTYPE Operation against a key",
        "BUSYGROUP Consumer Group name already exists",
        "BUSYKEY Target key name already exists",
        "NOPERM",
        "",
        "LOAD",
    };
    for (size_t i = 0; i < sizeof(transient) / sizeof(transient[0]); i++) {
        struct reply reply = failure(transient[i]);
        cr_assert(reply_error_is_transient(&reply), "%s", transient[i]);
    }
    for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
        struct reply reply = failure(lasting[i]);
        cr_assert_not(reply_error_is_transient(&reply), "%s", lasting[i]);
    }
    struct reply payload = { .kind = REPLY_TEXT, .text = "LOADING x", .text_length = 9 };
    cr_assert_not(reply_error_is_transient(&payload));
}

Test(reply, says_what_to_do_about_an_error)
{
    static const struct {
        const char *error, *remedy;
    } cases[] = {
        { "NOAUTH Authentication required.", "redis_url" },
        { "WRONGPASS invalid username-password pair or user is disabled.", "redis_url" },
        { "NOPERM this user has no permissions to run the 'client|setname' command", "+<command>" },
        { "NOPERM User bob has no permissions to run the 'get' command", "+<command>" },
        { "NOPERM this user has no permissions to access one of the keys used as arguments", "~<pattern>" },
        { "NOPERM this user has no permissions to access one of the channels used as arguments",
          "&<pattern>" },
        { "ERR max number of clients reached", "maxclients" },
        { "DENIED Redis is running in protected mode", "protected" },
        { "BUSY Redis is busy running a script.", "SCRIPT KILL" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reply reply = failure(cases[i].error);
        const char *remedy = reply_error_remedy(&reply);
        cr_assert_not_null(remedy, "%s", cases[i].error);
        cr_assert_not_null(strstr(remedy, cases[i].remedy), "%s: %s", cases[i].error, remedy);
    }
    struct reply unknown = failure("ERR something else");
    cr_assert_null(reply_error_remedy(&unknown));
    struct reply payload = { .kind = REPLY_TEXT, .text = "NOAUTH", .text_length = 6 };
    cr_assert_null(reply_error_remedy(&payload));
}

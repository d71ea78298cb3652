#include "redis/redis_handshake.h"

#include <criterion/criterion.h>
#include <string.h>

#include "redis/reply_reader.h"

static struct reply ok(void)
{
    return (struct reply){ .kind = REPLY_TEXT, .text = "OK", .text_length = 2 };
}

static struct reply failure(const char *words)
{
    return (struct reply){ .kind = REPLY_ERROR, .text = words, .text_length = strlen(words) };
}

static char *begin(struct redis_handshake *handshake, const char *address)
{
    struct redis_url url;
    const char *problem = NULL;
    cr_assert(redis_url_parse(address, &url, &problem), "%s", problem);
    struct buffer out = { 0 };
    redis_handshake_begin(handshake, &url, "sluice-test", &out);
    buffer_append_byte(&out, '\0');
    redis_url_clear(&url);
    return buffer_take(&out, &(size_t){ 0 });
}

#define TAIL                                                                                                 \
    "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$11\r\nsluice-test\r\n*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n*1\r\n$" \
    "4\r\nPING\r\n"

Test(redis_handshake, says_what_the_address_asks_for)
{
    static const struct {
        const char *address, *commands;
    } cases[] = {
        { "redis://h", TAIL },
        { "redis://:pw@h", "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n" TAIL },
        { "redis://u:pw@h/3",
          "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$2\r\npw\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n" TAIL },
        { "redis://u@h", "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$0\r\n\r\n" TAIL },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct redis_handshake handshake;
        char *said = begin(&handshake, cases[i].address);
        cr_assert_str_eq(said, cases[i].commands);
        free(said);
    }
}

Test(redis_handshake, ends_with_the_client_id)
{
    struct redis_handshake handshake;
    free(begin(&handshake, "redis://u:pw@h/3"));
    struct reply yes = ok();
    struct reply id = { .kind = REPLY_INTEGER, .integer = 42 };
    for (int i = 0; i < 3; i++)
        cr_assert_eq(redis_handshake_take(&handshake, &yes), HANDSHAKE_MORE);
    cr_assert_eq(redis_handshake_take(&handshake, &id), HANDSHAKE_MORE);
    cr_assert_eq(redis_handshake_take(&handshake, &yes), HANDSHAKE_DONE);
    cr_assert_eq(handshake.client_id, 42);
    cr_assert_not(handshake.is_ping_refused);
    cr_assert_eq(redis_handshake_take(&handshake, &yes), HANDSHAKE_FAILED, "a reply too many");
}

/* What a server that Sentinels named answers to SETNAME, ID and ROLE. */
static enum redis_handshake_result take_role(const char *answer, bool *ret_is_replica)
{
    struct redis_handshake handshake;
    char *said = begin(&handshake, "redis+sentinel://h/mymaster");
    cr_assert_not_null(strstr(said, "*1\r\n$4\r\nROLE\r\n"));
    free(said);
    struct reply yes = ok();
    cr_assert_eq(redis_handshake_take(&handshake, &yes), HANDSHAKE_MORE);
    cr_assert_eq(redis_handshake_take(&handshake, &yes), HANDSHAKE_MORE);
    struct reply_reader *reader = reply_reader_create(4096);
    const struct redisReply *source = NULL;
    reply_reader_feed(reader, answer, strlen(answer));
    cr_assert(reply_reader_next(reader, &source));
    struct reply reply = reply_view(source);
    enum redis_handshake_result result = redis_handshake_take(&handshake, &reply);
    *ret_is_replica = handshake.is_replica;
    reply_reader_destroy(reader);
    return result;
}

Test(redis_handshake, wants_the_master_of_sentinels)
{
    bool is_replica = false;
    cr_assert_eq(take_role("*3\r\n$6\r\nmaster\r\n:7\r\n*0\r\n", &is_replica), HANDSHAKE_MORE);
    cr_assert_not(is_replica);
    cr_assert_eq(take_role("*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:7\r\n", &is_replica),
                 HANDSHAKE_FAILED);
    cr_assert(is_replica);
    cr_assert_eq(take_role("-NOPERM this user has no permissions to run the 'role' command\r\n", &is_replica),
                 HANDSHAKE_MORE);
    cr_assert_not(is_replica);
}

Test(redis_handshake, lives_without_client_commands_and_ping)
{
    struct redis_handshake handshake;
    free(begin(&handshake, "redis://h"));
    struct reply unknown = failure("ERR unknown subcommand");
    struct reply refused = failure("NOPERM this user has no permissions to run the 'ping' command");
    cr_assert_eq(redis_handshake_take(&handshake, &unknown), HANDSHAKE_MORE);
    cr_assert_eq(redis_handshake_take(&handshake, &refused), HANDSHAKE_MORE);
    cr_assert_eq(redis_handshake_take(&handshake, &refused), HANDSHAKE_DONE);
    cr_assert_eq(handshake.client_id, 0);
    cr_assert(handshake.is_ping_refused);
}

Test(redis_handshake, a_server_that_cannot_write_still_serves)
{
    struct redis_handshake handshake;
    free(begin(&handshake, "redis://h"));
    struct reply yes = ok();
    struct reply no_disk = failure("MISCONF Redis is configured to save RDB snapshots");
    redis_handshake_take(&handshake, &yes);
    redis_handshake_take(&handshake, &yes);
    cr_assert_eq(redis_handshake_take(&handshake, &no_disk), HANDSHAKE_DONE);
    cr_assert_not(handshake.is_ping_refused);
}

Test(redis_handshake, fails_where_nothing_would_work)
{
    static const struct {
        const char *address, *error;
    } cases[] = {
        { "redis://:pw@h", "WRONGPASS invalid username-password pair" },
        { "redis://u:pw@h", "ERR wrong number of arguments for 'auth' command" },
        { "redis://h", "NOAUTH Authentication required." },
        { "redis://h", "LOADING Redis is loading the dataset in memory" },
        { "redis://h", "BUSY Redis is busy running a script." },
        { "redis://h", "MASTERDOWN Link with MASTER is down" },
        { "redis://h", "ERR max number of clients reached" },
        { "redis://h", "DENIED Redis is running in protected mode" },
        { "redis://h/99", "ERR DB index is out of range" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct redis_handshake handshake;
        free(begin(&handshake, cases[i].address));
        struct reply error = failure(cases[i].error);
        cr_assert_eq(redis_handshake_take(&handshake, &error), HANDSHAKE_FAILED, "%s", cases[i].error);
    }
}

Test(redis_handshake, tells_of_a_password_nobody_asked_for)
{
    struct redis_handshake handshake;
    free(begin(&handshake, "redis://:pw@h"));
    struct reply error =
        failure("ERR AUTH <password> called without any password configured for the default user.");
    cr_assert_eq(redis_handshake_take(&handshake, &error), HANDSHAKE_MORE);
    cr_assert(handshake.is_password_unused);
}

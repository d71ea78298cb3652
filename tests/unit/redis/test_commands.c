#include "redis/commands.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "redis_fixture.h"

/* Commands, and the answers as one line of words. */
struct caller {
    struct event_base *base;
    struct captured_log log;
    struct metrics *metrics;
    struct redis_url url;
    struct commands *commands;
    struct buffer story;
    unsigned ups, downs, answers, awaited;
    bool asks_again; /* from inside an answer */
};

static void on_up(void *context)
{
    ((struct caller *)context)->ups++;
}

static void on_down(void *context, const char *reason)
{
    (void)reason;
    ((struct caller *)context)->downs++;
}

static void caller_open_with(struct caller *caller, const char *address, size_t pending_max,
                             uint64_t timeout_ms)
{
    *caller = (struct caller){ .base = event_base_new(), .metrics = metrics_create() };
    captured_log_open(&caller->log);
    struct commands_options options = { .link = link_options_for(address, &caller->url),
                                        .pending_max = pending_max,
                                        .timeout_ms = timeout_ms };
    const struct commands_events events = { .on_up = on_up, .on_down = on_down, .context = caller };
    caller->commands =
        commands_create(caller->base, NULL, &options, &events, caller->metrics, caller->log.log);
    cr_assert_not_null(caller->commands);
}

static bool is_up(void *context)
{
    return commands_is_up(((struct caller *)context)->commands);
}

static bool is_down(void *context)
{
    return !is_up(context);
}

static void caller_open(struct caller *caller, const char *address)
{
    caller_open_with(caller, address, 100, 3000);
    commands_start(caller->commands);
    cr_assert(wait_until(caller->base, is_up, caller, 3000));
}

static void caller_close(struct caller *caller)
{
    commands_destroy(caller->commands);
    buffer_free(&caller->story);
    captured_log_close(&caller->log);
    metrics_destroy(caller->metrics);
    redis_url_clear(&caller->url);
    event_base_free(caller->base);
}

static void tell(struct buffer *story, const struct reply *reply)
{
    switch (reply->kind) {
    case REPLY_NIL:
        buffer_append_text(story, "nil ");
        break;
    case REPLY_INTEGER:
        buffer_printf(story, "%lld ", (long long)reply->integer);
        break;
    case REPLY_TEXT:
    case REPLY_ERROR:
        buffer_append(story, reply->text, reply->text_length < 30 ? reply->text_length : 30);
        buffer_append_byte(story, ' ');
        break;
    case REPLY_ARRAY:
        buffer_append_text(story, "[ ");
        for (size_t i = 0; i < reply->count; i++) {
            struct reply element = reply_element(reply, i);
            tell(story, &element);
        }
        buffer_append_text(story, "] ");
        break;
    }
}

static void on_done(void *context, enum commands_status status, const struct reply *reply)
{
    static const char *const names[] = { "ok:", "error:", "unsent:", "uncertain:" };
    struct caller *caller = context;
    caller->answers++;
    buffer_append_text(&caller->story, names[status]);
    tell(&caller->story, reply);
    if (caller->asks_again) {
        const char *const arguments[] = { "ECHO", "again" };
        const struct command echo = { .count = 2, .arguments = arguments };
        (void)commands_send(caller->commands, &echo, 1, on_done, caller);
        caller->asks_again = false;
    }
}

/* Sends words as one request: a comma ends a command. */
static bool send_words(struct caller *caller, const char *words)
{
    char copy[512];
    const char *arguments[8][8];
    struct command commands[8] = { 0 };
    size_t count = 0;
    snprintf(copy, sizeof(copy), "%s", words);
    for (char *rest = copy, *one; (one = strsep(&rest, ",")); count++) {
        for (char *word; (word = strsep(&one, " "));)
            if (*word)
                arguments[count][commands[count].count++] = word;
        commands[count].arguments = arguments[count];
    }
    return commands_send(caller->commands, commands, count, on_done, caller);
}

static bool has_answers(void *context)
{
    struct caller *caller = context;
    return caller->answers >= caller->awaited;
}

/* Waits for so many answers and asserts that they are these. */
static void expect(struct caller *caller, unsigned answers, const char *story)
{
    caller->awaited = answers;
    bool told = wait_until(caller->base, has_answers, caller, 4000);
    cr_assert(told && caller->story.size == strlen(story) &&
                  memcmp(caller->story.data, story, caller->story.size) == 0,
              "expected \"%s\", told \"%.*s\"", story, (int)caller->story.size,
              caller->story.data ? caller->story.data : "");
    buffer_reset(&caller->story);
    caller->answers = 0;
}

/* --- requests ------------------------------------------------------------------------------------------- */

Test(commands, answers_in_order)
{
    struct private_redis redis;
    struct caller caller;
    private_redis_start(&redis, NULL);
    caller_open(&caller, redis.address);
    cr_assert_eq(caller.ups, 1);
    send_words(&caller, "SET key value");
    send_words(&caller, "GET key");
    send_words(&caller, "GET none");
    send_words(&caller, "INCR key");
    send_words(&caller, "STRLEN key");
    send_words(&caller, "LRANGE none 0 -1");
    cr_assert_eq(caller.answers, 0, "never inside the call");
    expect(&caller, 6, "ok:OK ok:value ok:nil error:ERR value is not an integer or ok:5 ok:[ ] ");
    cr_assert_eq(caller.metrics->redis_commands, 6);
    cr_assert_eq(caller.metrics->redis_errors, 1);
    caller_close(&caller);
    private_redis_stop(&redis);
}

Test(commands, takes_any_bytes)
{
    struct private_redis redis;
    struct caller caller;
    private_redis_start(&redis, NULL);
    caller_open(&caller, redis.address);
    const char *const arguments[] = { "ECHO", "\r\n\0$5" };
    const size_t lengths[] = { 4, 5 };
    const struct command echo = { .count = 2, .arguments = arguments, .lengths = lengths };
    cr_assert(commands_send(caller.commands, &echo, 1, on_done, &caller));
    caller.awaited = 1;
    cr_assert(wait_until(caller.base, has_answers, &caller, 3000));
    cr_assert_eq(caller.story.size, strlen("ok:") + 5 + 1);
    cr_assert_eq(memcmp(caller.story.data, "ok:\r\n\0$5 ", caller.story.size), 0);
    caller_close(&caller);
    private_redis_stop(&redis);
}

Test(commands, runs_groups_as_one)
{
    struct private_redis redis;
    struct caller caller;
    private_redis_start(&redis, NULL);
    caller_open(&caller, redis.address);
    send_words(&caller, "SET key 1, INCR key, GET none, GET key");
    send_words(&caller, "GET key");
    expect(&caller, 2, "ok:[ OK 2 nil 2 ] ok:2 ");
    cr_assert_eq(caller.metrics->redis_commands, 5);

    /* Refused while queueing: nothing is run. */
    send_words(&caller, "SET key 3, NOSUCHCOMMAND a, OTHERNONSENSE b");
    send_words(&caller, "GET key");
    expect(&caller, 2, "error:ERR unknown command 'NOSUCHCOM ok:2 ");

    /* Fails while running: the error of the one. */
    send_words(&caller, "SET key x, INCR key, GET key");
    send_words(&caller, "ECHO after");
    expect(&caller, 2, "error:ERR value is not an integer or ok:after ");
    caller_close(&caller);
    private_redis_stop(&redis);
}

Test(commands, runs_scripts_that_redis_knows_or_not)
{
    static const char script[] = "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('STRLEN', KEYS[1])";
    static const char broken[] = "return redis.call('INCR', KEYS[1])";
    const char *const arguments[] = { "key", "value" };
    const struct command tail = { .count = 2, .arguments = arguments };
    struct private_redis redis;
    struct caller caller;
    private_redis_start(&redis, NULL);
    caller_open(&caller, redis.address);
    cr_assert(commands_run_script(caller.commands, script, 1, &tail, on_done, &caller));
    expect(&caller, 1, "ok:5 ");
    cr_assert(commands_run_script(caller.commands, script, 1, &tail, on_done, &caller));
    send_words(&caller, "ECHO after");
    expect(&caller, 2, "ok:5 ok:after ");
    const char *calls = private_redis_command(&redis, "INFO commandstats");
    cr_assert_not_null(strstr(calls, "cmdstat_eval:calls=1,"), "the second time by its digest: %s", calls);
    private_redis_command(&redis, "SCRIPT FLUSH");
    cr_assert(commands_run_script(caller.commands, script, 1, &tail, on_done, &caller));
    expect(&caller, 1, "ok:5 ");
    cr_assert(commands_run_script(caller.commands, broken, 1, &tail, on_done, &caller));
    expect(&caller, 1, "error:ERR value is not an integer or ");
    /* Destroyed with one under way. */
    cr_assert(commands_run_script(caller.commands, script, 1, &tail, on_done, &caller));
    caller_close(&caller);
    private_redis_stop(&redis);
}

Test(commands, can_be_sent_from_an_answer)
{
    struct private_redis redis;
    struct caller caller;
    private_redis_start(&redis, NULL);
    caller_open(&caller, redis.address);
    caller.asks_again = true;
    send_words(&caller, "ECHO first");
    send_words(&caller, "ECHO second");
    expect(&caller, 3, "ok:first ok:second ok:again ");
    caller_close(&caller);
    private_redis_stop(&redis);
}

/* --- what cannot be answered ---------------------------------------------------------------------------- */

Test(commands, unsent_requests_are_answered_in_the_next_turn)
{
    struct caller caller;
    caller_open_with(&caller, "unix:///nonexistent/sluice.sock", 3, 3000);
    commands_start(caller.commands);
    caller.asks_again = true;
    cr_assert(send_words(&caller, "SET a 1"));
    cr_assert(send_words(&caller, "SET a 2, SET a 3"));
    cr_assert_eq(caller.answers, 0);
    expect(&caller, 3, "unsent:nil unsent:nil unsent:nil ");
    for (int i = 0; i < 3; i++)
        cr_assert(send_words(&caller, "SET a 1"));
    cr_assert_not(send_words(&caller, "SET a 1"), "waiting for that answer is bounded, too");
    caller_close(&caller);
}

Test(commands, refuses_more_than_may_wait)
{
    struct private_redis redis;
    struct caller caller;
    private_redis_start(&redis, NULL);
    caller_open_with(&caller, redis.address, 2, 3000);
    commands_start(caller.commands);
    cr_assert(wait_until(caller.base, is_up, &caller, 3000));
    send_words(&caller, "ECHO 1");
    send_words(&caller, "ECHO 2");
    send_words(&caller, "ECHO 3");
    expect(&caller, 3, "unsent:nil ok:1 ok:2 ");
    send_words(&caller, "ECHO 4");
    expect(&caller, 1, "ok:4 ");
    caller_close(&caller);
    private_redis_stop(&redis);
}

Test(commands, fail_together_when_redis_does_not_answer_in_time)
{
    struct private_redis redis;
    struct caller caller;
    private_redis_start(&redis, NULL);
    caller_open_with(&caller, redis.address, 100, 300);
    commands_start(caller.commands);
    cr_assert(wait_until(caller.base, is_up, &caller, 3000));
    send_words(&caller, "ECHO quick");
    expect(&caller, 1, "ok:quick ");
    private_redis_command(&redis, "CLIENT PAUSE 700 ALL");
    caller.asks_again = true;
    send_words(&caller, "INCR a");
    send_words(&caller, "INCR a, INCR a");
    /* The third is sent while the first is told its fate. */
    expect(&caller, 3, "uncertain:nil uncertain:nil unsent:nil ");
    cr_assert_eq(caller.downs, 1);
    cr_assert(captured_log_has(&caller.log, "no answer within 300 ms"));
    cr_assert(wait_until(caller.base, is_up, &caller, 5000));
    send_words(&caller, "ECHO back");
    expect(&caller, 1, "ok:back ");
    cr_assert_eq(caller.metrics->redis_reconnects, 1);
    caller_close(&caller);
    private_redis_stop(&redis);
}

Test(commands, are_uncertain_when_the_link_breaks)
{
    struct private_redis redis;
    struct caller caller;
    private_redis_start(&redis, NULL);
    caller_open(&caller, redis.address);
    kill(redis.pid, SIGSTOP);
    send_words(&caller, "INCR a");
    send_words(&caller, "INCR a, INCR b");
    wait_ms(caller.base, 20);
    private_redis_kill(&redis);
    expect(&caller, 2, "uncertain:nil uncertain:nil ");
    cr_assert(is_down(&caller));
    caller_close(&caller);
    private_redis_stop(&redis);
}

Test(commands, are_answered_when_destroyed)
{
    struct private_redis redis;
    struct caller caller;
    private_redis_start(&redis, NULL);
    caller_open_with(&caller, redis.address, 2, 3000);
    commands_start(caller.commands);
    cr_assert(wait_until(caller.base, is_up, &caller, 3000));
    send_words(&caller, "ECHO 1");
    send_words(&caller, "ECHO 2, ECHO 3");
    send_words(&caller, "ECHO 4");
    caller.asks_again = true; /* refused: there will be no next turn */
    commands_destroy(caller.commands);
    caller.commands = NULL;
    expect(&caller, 3, "uncertain:nil uncertain:nil unsent:nil ");
    caller_close(&caller);
    private_redis_stop(&redis);
}

Test(commands, drops_a_link_that_answers_unasked)
{
    static const char chatty[] = "+OK\r\n:7\r\n+PONG\r\n+MORE\r\n";
    struct event_base *base = event_base_new();
    struct fake_server *server = fake_server_create(base, chatty, sizeof(chatty) - 1, false);
    struct redis_url url;
    struct commands_options options = { .link = link_options_for(fake_server_address(server), &url),
                                        .pending_max = 10,
                                        .timeout_ms = 1000 };
    const struct commands_events events = { .on_up = NULL };
    struct captured_log log;
    captured_log_open(&log);
    struct commands *commands = commands_create(base, NULL, &options, &events, NULL, log.log);
    commands_start(commands);
    wait_ms(base, 300);
    cr_assert(captured_log_has(&log, "a reply to no command"));
    cr_assert_geq(fake_server_connections(server), 2);
    commands_destroy(commands);
    captured_log_close(&log);
    fake_server_destroy(server);
    redis_url_clear(&url);
    event_base_free(base);
}

/* --- tracking ------------------------------------------------------------------------------------------- */

static bool is_tracking(void *context)
{
    return commands_tracking_is_on(((struct caller *)context)->commands);
}

static bool is_logged(void *context)
{
    return captured_log_has(&((struct caller *)context)->log, "refuses client tracking");
}

/* The id of another connection, that of a second caller. */
static long long id_of(struct private_redis *redis, struct caller *other)
{
    (void)other;
    const char *clients = private_redis_command(redis, "CLIENT LIST");
    const char *line = strstr(clients, "name=sluice-test");
    cr_assert_not_null(line);
    while (line > clients && line[-1] != '\n')
        line--;
    return atoll(line + strlen("id="));
}

Test(commands, track_to_the_feed_and_again_after_each_loss)
{
    struct private_redis redis;
    struct caller target;
    struct caller caller;
    private_redis_start(&redis, NULL);
    caller_open(&target, redis.address);
    long long id = id_of(&redis, &target);
    caller_open(&caller, redis.address);
    cr_assert_not(is_tracking(&caller));
    commands_track_to(caller.commands, id);
    cr_assert_not(is_tracking(&caller), "not before Redis agreed");
    cr_assert(wait_until(caller.base, is_tracking, &caller, 3000));
    send_words(&caller, "CLIENT GETREDIR");
    caller.awaited = 1;
    cr_assert(wait_until(caller.base, has_answers, &caller, 3000));
    cr_assert_eq(atoll(caller.story.data + strlen("ok:")), id);
    buffer_reset(&caller.story);
    caller.answers = 0;

    commands_track_to(caller.commands, 0);
    cr_assert_not(is_tracking(&caller));
    send_words(&caller, "CLIENT GETREDIR");
    expect(&caller, 1, "ok:-1 ");

    /* An id that is nobody's: refused, logged, and no worse. */
    commands_track_to(caller.commands, 999999);
    cr_assert(wait_until(caller.base, is_logged, &caller, 3000));
    cr_assert_not(is_tracking(&caller));
    commands_track_to(caller.commands, id);
    cr_assert(wait_until(caller.base, is_tracking, &caller, 3000));

    private_redis_command(&redis, "CLIENT KILL TYPE normal SKIPME yes");
    cr_assert(wait_until(caller.base, is_down, &caller, 3000));
    cr_assert_not(is_tracking(&caller));
    cr_assert(wait_until(target.base, is_down, &target, 3000));
    cr_assert(wait_until(target.base, is_up, &target, 3000));
    commands_track_to(caller.commands, id_of(&redis, &target));
    cr_assert(wait_until(caller.base, is_tracking, &caller, 3000), "by itself once it is up");
    caller_close(&caller);
    caller_close(&target);
    private_redis_stop(&redis);
}

#include "redis/feed.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "redis/commands.h"
#include "redis_fixture.h"

/* A feed, and everything it told as one line of words. */
struct listener {
    struct event_base *base;
    struct captured_log log;
    struct redis_url url;
    struct feed *feed;
    struct buffer story;
    unsigned ups, downs, turns, messages;
    int64_t client_id;
    const char *awaited;
};

static void on_up(void *context, int64_t client_id)
{
    struct listener *listener = context;
    listener->ups++;
    listener->client_id = client_id;
}

static void on_down(void *context, const char *reason)
{
    (void)reason;
    ((struct listener *)context)->downs++;
}

static const char *kind_name(enum feed_kind kind)
{
    return kind == FEED_PATTERN ? "pattern" : "channel";
}

static void on_confirmed(void *context, enum feed_kind kind, const char *name, size_t length)
{
    struct listener *listener = context;
    buffer_printf(&listener->story, "confirmed:%s:%.*s ", kind_name(kind), (int)length, name);
}

static void on_refused(void *context, enum feed_kind kind, const char *name, size_t length,
                       const char *problem)
{
    struct listener *listener = context;
    cr_assert_eq(strncmp(problem, "NOPERM", 6), 0, "%s", problem);
    buffer_printf(&listener->story, "refused:%s:%.*s ", kind_name(kind), (int)length, name);
}

static void on_message(void *context, enum feed_kind kind, const char *topic, size_t topic_length,
                       const char *channel, size_t channel_length, const char *payload, size_t payload_length)
{
    struct listener *listener = context;
    listener->messages++;
    if (listener->messages > 1000)
        return;
    buffer_printf(&listener->story, "message:%s:%.*s:%.*s:", kind_name(kind), (int)topic_length, topic,
                  (int)channel_length, channel);
    buffer_append(&listener->story, payload, payload_length);
    buffer_append_byte(&listener->story, ' ');
}

static void on_fence(void *context, uint64_t token)
{
    struct listener *listener = context;
    buffer_printf(&listener->story, "fence:%" PRIu64 " ", token);
}

static void on_invalidate(void *context, const char *key, size_t length)
{
    struct listener *listener = context;
    if (key)
        buffer_printf(&listener->story, "invalidate:%.*s ", (int)length, key);
    else
        buffer_append_text(&listener->story, "invalidate-all ");
}

static void on_turn_end(void *context)
{
    ((struct listener *)context)->turns++;
}

static void listener_open(struct listener *listener, const char *address)
{
    *listener = (struct listener){ .base = event_base_new() };
    captured_log_open(&listener->log);
    struct redis_link_options options = link_options_for(address, &listener->url);
    const struct feed_events events = {
        .on_up = on_up,
        .on_down = on_down,
        .on_confirmed = on_confirmed,
        .on_refused = on_refused,
        .on_message = on_message,
        .on_fence = on_fence,
        .on_invalidate = on_invalidate,
        .on_turn_end = on_turn_end,
        .context = listener,
    };
    listener->feed = feed_create(listener->base, NULL, &options, &events, listener->log.log);
    cr_assert_not_null(listener->feed);
    feed_start(listener->feed);
}

static void listener_close(struct listener *listener)
{
    feed_destroy(listener->feed);
    buffer_free(&listener->story);
    captured_log_close(&listener->log);
    redis_url_clear(&listener->url);
    event_base_free(listener->base);
}

static bool is_up(void *context)
{
    return feed_is_up(((struct listener *)context)->feed);
}

static bool is_down(void *context)
{
    return !is_up(context);
}

static bool has_told(void *context)
{
    struct listener *listener = context;
    size_t length = strlen(listener->awaited);
    return listener->story.size >= length &&
           memmem(listener->story.data, listener->story.size, listener->awaited, length) != NULL;
}

/* Waits for these words, and asserts that they are all that was told since the last call. */
static void expect(struct listener *listener, const char *story)
{
    listener->awaited = story;
    bool told = wait_until(listener->base, has_told, listener, 3000);
    cr_assert(told && listener->story.size == strlen(story), "expected \"%s\", told \"%.*s\"", story,
              (int)listener->story.size, listener->story.data ? listener->story.data : "");
    buffer_reset(&listener->story);
}

static bool subscribe(struct listener *listener, enum feed_kind kind, const char *name)
{
    return feed_subscribe(listener->feed, kind, name, strlen(name));
}

static bool unsubscribe(struct listener *listener, enum feed_kind kind, const char *name)
{
    return feed_unsubscribe(listener->feed, kind, name, strlen(name));
}

Test(feed, carries_channels_and_patterns)
{
    struct private_redis redis;
    struct listener listener;
    private_redis_start(&redis, NULL);
    listener_open(&listener, redis.address);
    cr_assert_not(subscribe(&listener, FEED_CHANNEL, "a"), "not up yet");
    cr_assert(wait_until(listener.base, is_up, &listener, 3000));
    cr_assert_gt(listener.client_id, 0);
    cr_assert_not_null(strstr(private_redis_command(&redis, "CLIENT LIST"), "name=sluice-feed"));

    cr_assert(subscribe(&listener, FEED_CHANNEL, "a"));
    cr_assert(subscribe(&listener, FEED_PATTERN, "a*"));
    cr_assert(subscribe(&listener, FEED_CHANNEL, "b"));
    expect(&listener, "confirmed:channel:a confirmed:pattern:a* confirmed:channel:b ");
    private_redis_command(&redis, "PUBLISH a one");
    private_redis_command(&redis, "PUBLISH ab two");
    private_redis_command(&redis, "PUBLISH b three");
    private_redis_command(&redis, "PUBLISH c four");
    expect(&listener, "message:channel:a:a:one message:pattern:a*:a:one message:pattern:a*:ab:two "
                      "message:channel:b:b:three ");
    cr_assert_geq(listener.turns, 1);

    cr_assert(unsubscribe(&listener, FEED_CHANNEL, "a"));
    cr_assert(unsubscribe(&listener, FEED_PATTERN, "a*"));
    cr_assert(subscribe(&listener, FEED_CHANNEL, "c"));
    expect(&listener, "confirmed:channel:c ");
    private_redis_command(&redis, "PUBLISH a five");
    private_redis_command(&redis, "PUBLISH c six");
    expect(&listener, "message:channel:c:c:six ");
    cr_assert_str_eq(private_redis_command(&redis, "PUBSUB NUMSUB a b c"), "a 0 b 1 c 1");
    listener_close(&listener);
    private_redis_stop(&redis);
}

/* --- fences and invalidations --------------------------------------------------------------------------- */

/* The other connection: it reads keys, whose changes the feed is told of. */
static struct commands *open_commands(struct listener *listener)
{
    struct commands_options options = { .pending_max = 100, .timeout_ms = 2000 };
    struct redis_url unused;
    options.link = link_options_for("redis://unused", &unused);
    redis_url_clear(&unused);
    options.link.url = &listener->url;
    const struct commands_events events = { .on_up = NULL };
    struct commands *commands =
        commands_create(listener->base, NULL, &options, &events, NULL, listener->log.log);
    cr_assert_not_null(commands);
    commands_track_to(commands, listener->client_id);
    commands_start(commands);
    return commands;
}

static bool is_tracking(void *context)
{
    return commands_tracking_is_on(context);
}

static void on_done(void *context, enum commands_status status, const struct reply *reply)
{
    (void)reply;
    cr_assert_eq(status, COMMANDS_OK);
    *(bool *)context = true;
}

static bool is_true(void *context)
{
    return *(bool *)context;
}

static void read_key(struct listener *listener, struct commands *commands, const char *key)
{
    const char *const arguments[] = { "GET", key };
    const struct command get = { .count = 2, .arguments = arguments };
    bool done = false;
    cr_assert(commands_send(commands, &get, 1, on_done, &done));
    cr_assert(wait_until(listener->base, is_true, &done, 3000));
}

Test(feed, keeps_the_order_of_messages_fences_and_invalidations)
{
    struct private_redis redis;
    struct listener listener;
    private_redis_start(&redis, NULL);
    listener_open(&listener, redis.address);
    cr_assert(wait_until(listener.base, is_up, &listener, 3000));
    cr_assert_eq(strlen(feed_fence_channel(listener.feed)), strlen("sluice:fence:") + 16);
    struct commands *commands = open_commands(&listener);
    cr_assert(wait_until(listener.base, is_tracking, commands, 3000));
    subscribe(&listener, FEED_CHANNEL, "batch:1");
    subscribe(&listener, FEED_PATTERN, "s*");
    expect(&listener, "confirmed:channel:batch:1 confirmed:pattern:s* ");
    read_key(&listener, commands, "key");

    char script[256];
    snprintf(script, sizeof(script),
             "redis.call('PUBLISH','batch:1','1')redis.call('PUBLISH','%s','41')redis.call('PUBLISH','batch:"
             "1','2')",
             feed_fence_channel(listener.feed));
    const char *const arguments[] = { "EVAL", script, "0" };
    const struct command eval = { .count = 3, .arguments = arguments };
    bool done = false;
    commands_send(commands, &eval, 1, on_done, &done);
    /* The pattern s* matches the fence, too, which is nobody's news. */
    expect(&listener, "message:channel:batch:1:batch:1:1 fence:41 message:channel:batch:1:batch:1:2 ");

    private_redis_command(&redis, "SET key 1");
    private_redis_command(&redis, "PUBLISH batch:1 3");
    expect(&listener, "invalidate:key message:channel:batch:1:batch:1:3 ");
    private_redis_command(&redis, "SET key 2");
    private_redis_command(&redis, "PUBLISH batch:1 4");
    expect(&listener, "message:channel:batch:1:batch:1:4 "); /* told once; to be read again first */

    read_key(&listener, commands, "key");
    private_redis_command(&redis, "FLUSHALL");
    expect(&listener, "invalidate-all ");

    char fence[64];
    snprintf(fence, sizeof(fence), "PUBLISH %s nonsense", feed_fence_channel(listener.feed));
    private_redis_command(&redis, fence);
    private_redis_command(&redis, "PUBLISH batch:1 5");
    expect(&listener, "message:channel:batch:1:batch:1:5 ");
    commands_destroy(commands);
    listener_close(&listener);
    private_redis_stop(&redis);
}

Test(feed, keeps_its_private_channels_whatever_clients_name)
{
    struct private_redis redis;
    struct listener listener;
    char publish[64];
    private_redis_start(&redis, NULL);
    listener_open(&listener, redis.address);
    cr_assert(wait_until(listener.base, is_up, &listener, 3000));
    const char *fence = feed_fence_channel(listener.feed);
    cr_assert(unsubscribe(&listener, FEED_CHANNEL, fence));
    cr_assert(subscribe(&listener, FEED_CHANNEL, "__redis__:invalidate"));
    cr_assert(unsubscribe(&listener, FEED_CHANNEL, "__redis__:invalidate"));
    expect(&listener, "confirmed:channel:__redis__:invalidate ");
    snprintf(publish, sizeof(publish), "PUBLISH %s 7", fence);
    private_redis_command(&redis, publish);
    expect(&listener, "fence:7 ");
    private_redis_command(&redis, "PUBLISH __redis__:invalidate forged");
    private_redis_command(&redis, publish);
    expect(&listener, "fence:7 ");
    listener_close(&listener);
    private_redis_stop(&redis);
}

/* --- refusals and losses -------------------------------------------------------------------------------- */

static void allow(struct private_redis *redis, const char *rules)
{
    char command[256];
    snprintf(command, sizeof(command), "ACL SETUSER bob reset on >pw +@all ~* %s", rules);
    cr_assert_str_eq(private_redis_command(redis, command), "OK");
}

static void listener_open_as_bob(struct listener *listener, const struct private_redis *redis)
{
    char address[128];
    snprintf(address, sizeof(address), "unix://bob:pw@%s", redis->socket_path);
    listener_open(listener, address);
}

Test(feed, names_the_topic_that_was_refused)
{
    struct private_redis redis;
    struct listener listener;
    private_redis_start(&redis, NULL);
    allow(&redis, "&sluice:fence:* &__redis__:invalidate &a*");
    listener_open_as_bob(&listener, &redis);
    cr_assert(wait_until(listener.base, is_up, &listener, 3000));
    cr_assert_gt(listener.client_id, 0);
    subscribe(&listener, FEED_CHANNEL, "a1");
    subscribe(&listener, FEED_CHANNEL, "b1");
    subscribe(&listener, FEED_PATTERN, "c*");
    subscribe(&listener, FEED_CHANNEL, "a2");
    expect(&listener, "confirmed:channel:a1 refused:channel:b1 refused:pattern:c* confirmed:channel:a2 ");
    cr_assert(captured_log_has(&listener.log, "&<pattern>"));
    cr_assert_eq(listener.downs, 0);
    listener_close(&listener);
    private_redis_stop(&redis);
}

Test(feed, does_without_invalidations_when_they_are_refused)
{
    struct private_redis redis;
    struct listener listener;
    private_redis_start(&redis, NULL);
    allow(&redis, "&sluice:fence:*");
    listener_open_as_bob(&listener, &redis);
    cr_assert(wait_until(listener.base, is_up, &listener, 3000));
    cr_assert_eq(listener.client_id, 0);
    cr_assert(captured_log_has(&listener.log, "&__redis__:invalidate"));
    listener_close(&listener);
    private_redis_stop(&redis);
}

Test(feed, says_what_its_fence_needs)
{
    struct private_redis redis;
    struct listener listener;
    private_redis_start(&redis, NULL);
    allow(&redis, "&__redis__:invalidate");
    listener_open_as_bob(&listener, &redis);
    wait_ms(listener.base, 500);
    cr_assert_eq(listener.ups, 0);
    cr_assert_eq(listener.downs, 0);
    cr_assert(captured_log_has(&listener.log, "&sluice:fence:*"));
    listener_close(&listener);
    private_redis_stop(&redis);
}

Test(feed, starts_afresh_after_a_loss)
{
    struct private_redis redis;
    struct listener listener;
    private_redis_start(&redis, NULL);
    listener_open(&listener, redis.address);
    cr_assert(wait_until(listener.base, is_up, &listener, 3000));
    char fence[64];
    snprintf(fence, sizeof(fence), "%s", feed_fence_channel(listener.feed));
    for (int i = 0; i < 100; i++)
        subscribe(&listener, FEED_CHANNEL, "never-confirmed");
    private_redis_kill(&redis);
    cr_assert(wait_until(listener.base, is_down, &listener, 3000));
    cr_assert_eq(listener.downs, 1);
    cr_assert_not(subscribe(&listener, FEED_CHANNEL, "a"));
    buffer_reset(&listener.story);
    private_redis_start_again(&redis);
    cr_assert(wait_until(listener.base, is_up, &listener, 6000));
    cr_assert_eq(listener.ups, 2);
    cr_assert_str_eq(feed_fence_channel(listener.feed), fence);
    subscribe(&listener, FEED_CHANNEL, "a");
    expect(&listener, "confirmed:channel:a ");
    /* Destroyed with a request under way. */
    subscribe(&listener, FEED_CHANNEL, "b");
    listener_close(&listener);
    private_redis_stop(&redis);
}

Test(feed, is_reset_when_its_output_is_full)
{
    struct private_redis redis;
    struct listener listener;
    char name[4096];
    memset(name, 'n', sizeof(name));
    private_redis_start(&redis, NULL);
    listener_open(&listener, redis.address);
    cr_assert(wait_until(listener.base, is_up, &listener, 3000));
    unsigned sent = 0;
    while (sent < 2000 && feed_subscribe(listener.feed, FEED_CHANNEL, name, sizeof(name)))
        sent++;
    cr_assert_geq(sent, 900);
    cr_assert_lt(sent, 1100, "4 MiB of 4 KiB names");
    cr_assert_eq(listener.downs, 0, "not inside the call");
    cr_assert(wait_until(listener.base, is_down, &listener, 3000));
    cr_assert(wait_until(listener.base, is_up, &listener, 3000));
    listener_close(&listener);
    private_redis_stop(&redis);
}

static bool has_flood(void *context)
{
    return ((struct listener *)context)->messages >= 20000;
}

Test(feed, takes_a_flood_in_few_turns)
{
    struct private_redis redis;
    struct listener listener;
    private_redis_start(&redis, NULL);
    listener_open(&listener, redis.address);
    cr_assert(wait_until(listener.base, is_up, &listener, 3000));
    subscribe(&listener, FEED_CHANNEL, "a");
    expect(&listener, "confirmed:channel:a ");
    const char *const arguments[] = { "EVAL",
                                      "for i=1,20000 do redis.call('PUBLISH','a',string.rep('x',80)) end",
                                      "0" };
    const struct command eval = { .count = 3, .arguments = arguments };
    struct commands *commands = open_commands(&listener);
    cr_assert(wait_until(listener.base, is_tracking, commands, 3000));
    listener.turns = 0;
    bool done = false;
    commands_send(commands, &eval, 1, on_done, &done);
    cr_assert(wait_until(listener.base, has_flood, &listener, 5000));
    cr_assert_eq(listener.messages, 20000);
    /* 2.2 MB: some 550 turns if a turn were 4,096 bytes. */
    cr_assert_lt(listener.turns, 200, "%u turns", listener.turns);
    commands_destroy(commands);
    listener_close(&listener);
    private_redis_stop(&redis);
}

static void expect_reset(const char *bytes, size_t length)
{
    struct event_base *base = event_base_new();
    struct fake_server *server = fake_server_create(base, bytes, length, false);
    struct redis_url url;
    struct redis_link_options options = link_options_for(fake_server_address(server), &url);
    struct listener listener = { .base = base };
    const struct feed_events events = { .on_up = on_up, .on_down = on_down, .context = &listener };
    struct feed *feed = feed_create(base, NULL, &options, &events, NULL);
    feed_start(feed);
    wait_ms(base, 300);
    cr_assert_geq(fake_server_connections(server), 2);
    feed_destroy(feed);
    fake_server_destroy(server);
    redis_url_clear(&url);
    event_base_free(base);
}

#define HANDSHAKE "+OK\r\n:7\r\n+PONG\r\n"

Test(feed, leaves_a_server_whose_answers_make_no_sense)
{
    static const char *const cases[] = {
        HANDSHAKE "*3\r\n$9\r\nsubscribe\r\n$5\r\nother\r\n:1\r\n",
        HANDSHAKE "*3\r\n$10\r\npsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n",
        HANDSHAKE "+OK\r\n",
        HANDSHAKE ":1\r\n",
        HANDSHAKE "*0\r\n",
        HANDSHAKE "*-1\r\n",
        HANDSHAKE "*1\r\n$9\r\nsubscribe\r\n",
        HANDSHAKE "-ERR something\r\n",
        HANDSHAKE "-BUSY script\r\n",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_reset(cases[i], strlen(cases[i]));
}

Test(feed, survives_messages_with_parts_missing)
{
    static const char odd[] =
        HANDSHAKE "*1\r\n$7\r\nmessage\r\n*2\r\n$7\r\nmessage\r\n$1\r\na\r\n"
                  "*3\r\n$7\r\nmessage\r\n:1\r\n*-1\r\n*3\r\n$8\r\npmessage\r\n$1\r\na\r\n$1\r\nb\r\n"
                  "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n:1\r\n"
                  "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$1\r\na\r\n+end\r\n";
    expect_reset(odd, sizeof(odd) - 1);
}

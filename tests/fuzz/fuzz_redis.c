/*
 * A Redis that goes mad once it has been agreed with: the real feed and the real commands on sockets. Every
 * request is answered exactly once, and nothing is left at the end. Input: who is talked to, length of the
 * pieces, what Redis says. The name FENCE in it becomes that of the feed's private channel.
 */
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buffer.h"
#include "fuzz.h"
#include "redis/commands.h"
#include "redis/feed.h"

#define FENCE "sluice:fence:0000000000000000"
#define REPLY_BYTES_MAX 65536
#define REQUESTS 3
#define AGREE_TURNS 20

static const char handshake[] = "+OK\r\n:7\r\n+PONG\r\n"; /* CLIENT SETNAME, CLIENT ID, PING */

struct stage {
    struct event_base *base;
    struct metrics *metrics;
    struct feed *feed;
    struct commands *commands;
    struct redis_url url;
    int listener;
    int peers[2]; /* Redis' ends of the connections */
    unsigned answers[REQUESTS];
    bool is_feed_up;
    size_t bytes_told;
};

/* --- what is told --- */

static void on_up(void *context, int64_t client_id)
{
    struct stage *stage = context;
    (void)client_id;
    stage->is_feed_up = true;
}

static void on_down(void *context, const char *reason)
{
    struct stage *stage = context;
    REQUIRE(reason);
    stage->is_feed_up = false;
}

static void on_message(void *context, enum feed_kind kind, const char *topic, size_t topic_length,
                       const char *channel, size_t channel_length, const char *payload, size_t payload_length)
{
    struct stage *stage = context;
    REQUIRE(kind == FEED_CHANNEL || kind == FEED_PATTERN);
    /* Every byte is there to be read. */
    for (size_t i = 0; i < topic_length; i++)
        stage->bytes_told += topic[i] != 0;
    for (size_t i = 0; i < channel_length; i++)
        stage->bytes_told += channel[i] != 0;
    for (size_t i = 0; i < payload_length; i++)
        stage->bytes_told += payload[i] != 0;
}

static void on_confirmed(void *context, enum feed_kind kind, const char *name, size_t length)
{
    const struct stage *stage = context;
    REQUIRE(stage->is_feed_up);
    REQUIRE(length == 1 && (kind == FEED_PATTERN ? *name == '*' : *name == 'a'));
}

static void on_refused(void *context, enum feed_kind kind, const char *name, size_t length,
                       const char *problem)
{
    on_confirmed(context, kind, name, length);
    REQUIRE(problem && *problem);
}

static void on_fence(void *context, uint64_t token)
{
    struct stage *stage = context;
    stage->bytes_told += token > 0;
}

static void on_invalidate(void *context, const char *key, size_t length)
{
    struct stage *stage = context;
    for (size_t i = 0; key && i < length; i++)
        stage->bytes_told += key[i] != 0;
}

static void on_answer(void *context, enum commands_status status, const struct reply *reply)
{
    unsigned *answers = context;
    (*answers)++;
    REQUIRE(status == COMMANDS_UNSENT || status == COMMANDS_UNCERTAIN || reply);
    REQUIRE(status != COMMANDS_ERROR || reply->kind == REPLY_ERROR);
    REQUIRE(status != COMMANDS_OK || reply->kind != REPLY_ERROR);
}

/* --- the stage --- */

static void open_listener(struct stage *stage)
{
    static const char prefix[] = "unix://";
    char path[64], text[80];
    const char *problem;
    snprintf(path, sizeof(path), "/tmp/sluice-fuzz-redis.%ld", (long)getpid());
    snprintf(text, sizeof(text), "%s%s", prefix, path);
    REQUIRE(redis_url_parse(text, &stage->url, &problem));
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, path, strlen(path) + 1);
    unlink(path);
    stage->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    REQUIRE(stage->listener >= 0);
    REQUIRE(bind(stage->listener, (const struct sockaddr *)&address, sizeof(address)) == 0);
    REQUIRE(listen(stage->listener, 8) == 0);
}

static void say(int peer, const char *bytes, size_t length)
{
    /* It may have hung up. */
    if (send(peer, bytes, length, MSG_NOSIGNAL) < 0)
        return;
}

static int meet(struct stage *stage)
{
    int peer = -1;
    for (int i = 0; i < AGREE_TURNS && peer < 0; i++) {
        event_base_loop(stage->base, EVLOOP_NONBLOCK);
        peer = accept4(stage->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    REQUIRE(peer >= 0);
    say(peer, handshake, strlen(handshake));
    for (int i = 0; i < AGREE_TURNS; i++)
        event_base_loop(stage->base, EVLOOP_NONBLOCK);
    return peer;
}

static void agree(struct stage *stage)
{
    char text[160];
    feed_start(stage->feed);
    stage->peers[0] = meet(stage);
    int length = snprintf(text, sizeof(text),
                          "*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n"
                          "*3\r\n$9\r\nsubscribe\r\n$29\r\n%s\r\n:2\r\n",
                          feed_fence_channel(stage->feed));
    say(stage->peers[0], text, (size_t)length);
    for (int i = 0; i < AGREE_TURNS && !stage->is_feed_up; i++)
        event_base_loop(stage->base, EVLOOP_NONBLOCK);
    REQUIRE(stage->is_feed_up);
    REQUIRE(feed_subscribe(stage->feed, FEED_CHANNEL, "a", 1) &&
            feed_subscribe(stage->feed, FEED_PATTERN, "*", 1));

    commands_start(stage->commands);
    stage->peers[1] = meet(stage);
    REQUIRE(commands_is_up(stage->commands));
}

static void ask(struct stage *stage)
{
    static const char *const words[] = { "GET", "k" };
    static const size_t lengths[] = { 3, 1 };
    const struct command commands[] = { { .count = 2, .arguments = words, .lengths = lengths },
                                        { .count = 2, .arguments = words, .lengths = lengths } };
    const struct command keys = { .count = 1, .arguments = words + 1, .lengths = lengths + 1 };
    REQUIRE(commands_send(stage->commands, commands, 1, on_answer, &stage->answers[0]));
    REQUIRE(commands_send(stage->commands, commands, 2, on_answer, &stage->answers[1]));
    REQUIRE(commands_run_script(stage->commands, "return 1", 1, &keys, on_answer, &stage->answers[2]));
}

static void open_stage(struct stage *stage)
{
    *stage = (struct stage){ .base = event_base_new(), .metrics = metrics_create() };
    open_listener(stage);
    const struct redis_link_options link = { .url = &stage->url,
                                             .name = "commands",
                                             .reply_bytes_max = REPLY_BYTES_MAX,
                                             .output_bytes_max = 1 << 20,
                                             .read_bytes_per_turn = 1 << 20,
                                             .metrics = stage->metrics };
    const struct commands_options commands = { .link = link, .pending_max = 16, .timeout_ms = 5000 };
    const struct commands_events commands_events = { .context = stage };
    const struct feed_events events = { .on_up = on_up,
                                        .on_down = on_down,
                                        .on_confirmed = on_confirmed,
                                        .on_refused = on_refused,
                                        .on_message = on_message,
                                        .on_fence = on_fence,
                                        .on_invalidate = on_invalidate,
                                        .context = stage };
    stage->feed = feed_create(stage->base, NULL, &link, &events, NULL);
    stage->commands = commands_create(stage->base, NULL, &commands, &commands_events, stage->metrics, NULL);
    REQUIRE(stage->base && stage->metrics && stage->feed && stage->commands);
}

static void close_stage(struct stage *stage)
{
    for (size_t i = 0; i < sizeof(stage->peers) / sizeof(stage->peers[0]); i++)
        close(stage->peers[i]);
    commands_destroy(stage->commands);
    feed_destroy(stage->feed);
    for (size_t i = 0; i < REQUESTS; i++)
        REQUIRE(stage->answers[i] == 1);
    metrics_destroy(stage->metrics);
    event_base_free(stage->base);
    close(stage->listener);
    unlink(stage->url.host);
    redis_url_clear(&stage->url);
}

/* The input with the feed's own channel in the place of the one that stands for it. */
static void name_fence(struct buffer *out, struct input input, const char *fence)
{
    while (input.length > 0) {
        const char *at = memmem(input.bytes, input.length, FENCE, strlen(FENCE));
        struct input part = input_take(&input, at ? (size_t)(at - input.bytes) : input.length);
        buffer_append(out, part.bytes, part.length);
        if (at) {
            buffer_append_text(out, fence);
            input_take(&input, strlen(FENCE));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    size_t who = input_take_byte(&input) % 2;
    size_t piece = (size_t)input_take_byte(&input) * 16 + 1;
    struct stage stage;
    struct buffer said = { 0 };
    open_stage(&stage);
    agree(&stage);
    ask(&stage);
    name_fence(&said, input, feed_fence_channel(stage.feed));
    struct input rest = { .bytes = said.data, .length = said.size };
    while (rest.length > 0) {
        struct input part = input_take(&rest, piece);
        say(stage.peers[who], part.bytes, part.length);
        event_base_loop(stage.base, EVLOOP_NONBLOCK);
    }
    for (int i = 0; i < AGREE_TURNS; i++)
        event_base_loop(stage.base, EVLOOP_NONBLOCK);
    REQUIRE(feed_is_up(stage.feed) == stage.is_feed_up);
    close_stage(&stage);
    buffer_free(&said);
    return 0;
}

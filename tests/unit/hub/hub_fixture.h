/* A hub with a feed and a snapshot store that the test plays, and clients on socket pairs. */
#pragma once

#include <criterion/criterion.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "hub/dispatcher.h"
#include "hub/history.h"
#include "hub/hub.h"

#define ASKED_MAX 64

struct history_read {
    uint64_t token;
    struct entry_id after;
    size_t count;
    char stream[40];
};

struct fixture {
    struct event_base *base;
    struct metrics *metrics;
    struct snapshot_cache *cache;
    struct hub_shared shared;
    struct dispatcher *dispatcher;
    struct dispatcher_port *port;
    uint64_t generation;  /* as the hub knows it */
    bool is_memory_short; /* for wishes */
    struct hub *hub;
    char *stored; /* what Redis holds for every batch; NULL: nothing */
    uint64_t load_tokens[ASKED_MAX];
    size_t loads;
    struct history_read reads[ASKED_MAX];
    size_t reads_count;
    char subscribed[ASKED_MAX][80];
    size_t subscribes;
    char unsubscribed[ASKED_MAX][80];
    size_t unsubscribes;
};

static inline bool fixture_subscribe(void *context, enum topic_kind kind, const char *name, size_t length)
{
    struct fixture *fixture = context;
    cr_assert_lt(fixture->subscribes, ASKED_MAX);
    snprintf(fixture->subscribed[fixture->subscribes++], 80, "%s%.*s", kind == TOPIC_PATTERN ? "p:" : "",
             (int)length, name);
    return true;
}

static inline void fixture_unsubscribe(void *context, enum topic_kind kind, const char *name, size_t length)
{
    struct fixture *fixture = context;
    cr_assert_lt(fixture->unsubscribes, ASKED_MAX);
    snprintf(fixture->unsubscribed[fixture->unsubscribes++], 80, "%s%.*s", kind == TOPIC_PATTERN ? "p:" : "",
             (int)length, name);
}

/* --- between dispatcher and hub, as in one thread --- */

static inline struct dispatcher_wish fixture_wish(const struct fixture *fixture, enum topic_kind kind,
                                                  const char *name, size_t length)
{
    return (struct dispatcher_wish){ .kind = kind,
                                     .interest = INTEREST_HUB,
                                     .name = name,
                                     .length = length,
                                     .generation = fixture->generation };
}

static inline bool fixture_want(void *context, enum topic_kind kind, const char *name, size_t length,
                                bool again)
{
    struct fixture *fixture = context;
    struct dispatcher_wish wish = fixture_wish(fixture, kind, name, length);
    wish.again = again;
    if (fixture->is_memory_short)
        return false;
    return dispatcher_want(fixture->dispatcher, fixture->port, &wish);
}

static inline void fixture_leave(void *context, enum topic_kind kind, const char *name, size_t length)
{
    struct fixture *fixture = context;
    const struct dispatcher_wish wish = fixture_wish(fixture, kind, name, length);
    dispatcher_leave(fixture->dispatcher, fixture->port, &wish);
}

static inline uint64_t fixture_newest(void *context)
{
    struct fixture *fixture = context;
    return dispatcher_newest(fixture->dispatcher);
}

static inline bool fixture_catch_up(void *context)
{
    struct fixture *fixture = context;
    dispatcher_catch_up(fixture->dispatcher, fixture->port);
    return true;
}

static inline bool fixture_deliver(void *context, struct hub_events *events)
{
    struct fixture *fixture = context;
    struct hub_events turn = *events;
    *events = (struct hub_events){ 0 };
    size_t cursor = 0;
    struct hub_event event;
    while (hub_events_next(&turn, &cursor, &event)) {
        fixture->generation = event.generation;
        hub_apply(fixture->hub, &event);
    }
    hub_turn_end(fixture->hub);
    hub_events_recycle(&turn, events);
    return true;
}

static inline void fixture_feed_up(struct fixture *fixture)
{
    dispatcher_feed_up(fixture->dispatcher, 7);
    dispatcher_turn_end(fixture->dispatcher);
}

static inline void fixture_feed_down(struct fixture *fixture)
{
    dispatcher_feed_down(fixture->dispatcher);
    dispatcher_turn_end(fixture->dispatcher);
}

static inline bool fixture_read_history(void *context, const char *stream, size_t length,
                                        struct entry_id after, size_t count, uint64_t token)
{
    struct fixture *fixture = context;
    cr_assert_lt(fixture->reads_count, ASKED_MAX);
    struct history_read *read = &fixture->reads[fixture->reads_count++];
    *read = (struct history_read){ .token = token, .after = after, .count = count };
    snprintf(read->stream, sizeof(read->stream), "%.*s", (int)length, stream);
    return true;
}

static inline bool fixture_load(void *context, const char *id, size_t id_length, uint64_t token,
                                const char *value, size_t value_length, uint64_t ttl_ms, bool only_if_absent,
                                bool notify)
{
    struct fixture *fixture = context;
    (void)id, (void)id_length, (void)value, (void)value_length, (void)ttl_ms, (void)only_if_absent,
        (void)notify;
    cr_assert_lt(fixture->loads, ASKED_MAX);
    fixture->load_tokens[fixture->loads++] = token;
    return true;
}

/* Answers the oldest load that waits: reply first, then the fence in the feed. */
static inline void fixture_answer(struct fixture *fixture)
{
    cr_assert_gt(fixture->loads, 0u, "a load was expected");
    uint64_t token = fixture->load_tokens[0];
    memmove(fixture->load_tokens, fixture->load_tokens + 1, --fixture->loads * sizeof token);
    snapshot_cache_loaded(fixture->cache, token, fixture->stored ? SNAPSHOT_FOUND : SNAPSHOT_ABSENT,
                          fixture->stored, fixture->stored ? strlen(fixture->stored) : 0, true, true,
                          clock_now_ms());
    dispatcher_fence(fixture->dispatcher, 0, token);
    dispatcher_turn_end(fixture->dispatcher);
}

static inline struct hub_options fixture_options(void)
{
    return (struct hub_options){
        .clients_max = 100,
        .backlog_bytes_max = 1 << 20,
        .batch_slow_policy = SLOW_POLICY_LATEST,
        .stall_timeout_ms = 60000,
        .heartbeat_ms = 15000,
        .retry_min_ms = 1000,
        .retry_max_ms = 5000,
        .linger_ms = 0,
        .replay_messages = 8,
        .replay_bytes = 1 << 20,
    };
}

static inline void fixture_open(struct fixture *fixture, const struct hub_options *options)
{
    *fixture = (struct fixture){ .base = event_base_new(), .metrics = metrics_create() };
    struct snapshot_cache_options cache_options = {
        .ttl_ms = 10000, .ttl_moving_ms = 5000, .ttl_idle_ms = 60000, .entries_max = 100, .bytes_max = 1 << 20
    };
    struct snapshot_source source = { .load = fixture_load, .context = fixture };
    fixture->cache = snapshot_cache_create(&cache_options, &source, fixture->metrics);
    struct dispatcher_source dispatcher_source = { .subscribe = fixture_subscribe,
                                                   .unsubscribe = fixture_unsubscribe,
                                                   .context = fixture };
    const struct dispatcher_options dispatcher_options = { .replay_messages = options->replay_messages,
                                                           .replay_bytes = options->replay_bytes };
    fixture->dispatcher =
        dispatcher_create(fixture->base, &dispatcher_options, &dispatcher_source, fixture->metrics);
    cr_assert_not_null(fixture->dispatcher);
    fixture->port = dispatcher_add_port(fixture->dispatcher, fixture_deliver, fixture);
    fixture->shared.epoch = 0x1234;
    struct hub_source hub_source = { .subscribe = fixture_want,
                                     .unsubscribe = fixture_leave,
                                     .newest = fixture_newest,
                                     .catch_up = fixture_catch_up,
                                     .read_history = fixture_read_history,
                                     .context = fixture,
                                     .shared = &fixture->shared };
    fixture->hub = hub_create(fixture->base, options, &hub_source, fixture->cache, fixture->metrics, NULL);
    cr_assert_not_null(fixture->hub);
    snapshot_cache_feed_up(fixture->cache);
    fixture_feed_up(fixture);
}

static inline void fixture_close(struct fixture *fixture)
{
    hub_destroy(fixture->hub);
    dispatcher_destroy(fixture->dispatcher);
    cr_expect_eq(atomic_load(&fixture->shared.clients), 0u);
    cr_expect_eq(fixture->metrics->sse_clients, 0u);
    cr_expect_eq(fixture->metrics->sse_backlog_bytes, 0u);
    snapshot_cache_destroy(fixture->cache);
    metrics_destroy(fixture->metrics);
    event_base_free(fixture->base);
}

/* Runs what is ready on the loop, without waiting. */
static inline void fixture_turn(struct fixture *fixture)
{
    for (int i = 0; i < 3; i++)
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
}

static inline void fixture_confirm(struct fixture *fixture, const char *channel)
{
    dispatcher_confirmed(fixture->dispatcher, TOPIC_CHANNEL, channel, strlen(channel));
    dispatcher_turn_end(fixture->dispatcher);
}

static inline void fixture_say(struct fixture *fixture, const char *channel, const char *payload)
{
    dispatcher_message(fixture->dispatcher, TOPIC_CHANNEL, channel, strlen(channel), channel, strlen(channel),
                       payload, strlen(payload));
}

static inline void fixture_say_pattern(struct fixture *fixture, const char *pattern, const char *channel,
                                       const char *payload)
{
    dispatcher_message(fixture->dispatcher, TOPIC_PATTERN, pattern, strlen(pattern), channel, strlen(channel),
                       payload, strlen(payload));
}

/* --- clients --- */

struct client {
    int descriptor;
    bool ended;
    size_t length;
    char text[1 << 20];
};

static inline struct client *client_open(struct fixture *fixture, const struct stream_request *request,
                                         int send_buffer)
{
    struct subscriber *subscriber;
    cr_assert_eq(hub_open(fixture->hub, request, &subscriber), HUB_OPEN_OK);
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    if (send_buffer > 0)
        cr_assert_eq(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer), 0);
    struct client *client = calloc(1, sizeof *client);
    client->descriptor = pair[1];
    hub_attach(fixture->hub, subscriber, pair[0]);
    return client;
}

/* Reads all there is; the text read since the last client_clear(). */
static inline const char *client_read(struct client *client)
{
    for (;;) {
        ssize_t got =
            read(client->descriptor, client->text + client->length, sizeof client->text - 1 - client->length);
        if (got == 0)
            client->ended = true;
        if (got <= 0)
            break;
        client->length += (size_t)got;
    }
    client->text[client->length] = '\0';
    return client->text;
}

static inline void client_clear(struct client *client)
{
    client_read(client);
    client->length = 0;
    client->text[0] = '\0';
}

static inline void client_close(struct client *client)
{
    close(client->descriptor);
    free(client);
}

/* How often `part` occurs in what the client has read. */
static inline size_t client_count(struct client *client, const char *part)
{
    size_t count = 0;
    for (const char *at = client_read(client); (at = strstr(at, part)) != NULL; at += strlen(part))
        count++;
    return count;
}

/* Order of two parts in what the client has read; both must be there. */
static inline bool client_saw_in_order(struct client *client, const char *first, const char *second)
{
    const char *text = client_read(client);
    const char *a = strstr(text, first);
    const char *b = strstr(text, second);
    return a && b && a < b;
}

/* The sequence of the last id the client has read. */
static inline uint64_t client_sequence(struct client *client)
{
    const char *text = client_read(client);
    const char *last = NULL;
    for (const char *at = text; (at = strstr(at, "id: ")) != NULL; at++)
        last = at;
    cr_assert_not_null(last, "no id in: %s", text);
    struct cursor cursor;
    cr_assert(cursor_parse(last + 4, strcspn(last + 4, "\n"), &cursor));
    return cursor.sequence;
}

static inline struct stream_request request_of(enum stream_format format, const struct topic_name *topics,
                                               size_t count)
{
    return (struct stream_request){ .format = format, .topics = topics, .topic_count = count };
}

static inline struct stream_request request_again(struct fixture *fixture, struct stream_request request,
                                                  uint64_t sequence)
{
    request.resume = RESUME_CURSOR;
    request.cursor = (struct cursor){ .epoch = fixture->shared.epoch, .sequence = sequence };
    return request;
}

#define CHANNEL(text) ((struct topic_name){ .kind = TOPIC_CHANNEL, .name = text, .length = strlen(text) })
#define PATTERN(text) ((struct topic_name){ .kind = TOPIC_PATTERN, .name = text, .length = strlen(text) })
#define STREAM(text) ((struct topic_name){ .kind = TOPIC_STREAM, .name = text, .length = strlen(text) })

/*
 * A connection that brings anything: through the real libmicrohttpd, gate, routes and endpoints, with a hub
 * and a cache behind them; Redis is played. All of it is made anew for each input. What comes back must be
 * well-formed HTTP, and at the end nothing may be left. Input: how Redis behaves, length of the pieces,
 * length of Redis' answers (two bytes), those answers, the connection's bytes.
 */
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "access/access.h"
#include "access/audit.h"
#include "access/quota.h"
#include "base/clock.h"
#include "front/front_state.h"
#include "fuzz.h"
#include "http_responses.h"
#include "hub/dispatcher.h"
#include "hub/history.h"
#include "stub_commands.h"

#define WAITING_MAX 64
#define NAME_MAX_BYTES 128
#define LAST_TURNS 12

struct subscription {
    enum topic_kind kind;
    size_t length;
    char name[NAME_MAX_BYTES];
};

struct stage {
    uint8_t behaviour;
    struct event_base *base;
    struct access *access;
    struct audit *audit;
    struct quota *quota;
    struct metrics *metrics;
    struct snapshot_cache *cache;
    struct hub_shared hub_shared;
    struct dispatcher *dispatcher;
    struct dispatcher_port *port;
    struct hub *hub;
    struct groups *groups;
    struct front *front;
    struct commands commands;
    struct subscription subscriptions[WAITING_MAX]; /* asked for, to be confirmed */
    size_t subscription_count;
    uint64_t loads[WAITING_MAX];
    size_t load_count;
    uint64_t reads[WAITING_MAX];
    size_t read_count;
    int client; /* our end of the connection */
    struct buffer output;
    bool ended;
};

/* --- Redis' part --- */

static bool subscribe(void *context, enum topic_kind kind, const char *name, size_t length)
{
    struct stage *stage = context;
    if (stage->subscription_count == WAITING_MAX || length > NAME_MAX_BYTES)
        return true; /* never confirmed */
    struct subscription *subscription = &stage->subscriptions[stage->subscription_count++];
    *subscription = (struct subscription){ .kind = kind, .length = length };
    memcpy(subscription->name, name, length);
    return true;
}

static void unsubscribe(void *context, enum topic_kind kind, const char *name, size_t length)
{
    (void)context, (void)kind, (void)name, (void)length;
}

/* --- between dispatcher and hub, in one thread --- */

static struct dispatcher_wish wish_of(const struct stage *stage, enum topic_kind kind, const char *name,
                                      size_t length)
{
    return (struct dispatcher_wish){ .kind = kind,
                                     .interest = INTEREST_HUB,
                                     .name = name,
                                     .length = length,
                                     .generation = dispatcher_generation(stage->dispatcher) };
}

static bool want(void *context, enum topic_kind kind, const char *name, size_t length, bool again)
{
    struct stage *stage = context;
    (void)again;
    const struct dispatcher_wish wish = wish_of(stage, kind, name, length);
    return dispatcher_want(stage->dispatcher, stage->port, &wish);
}

static void leave(void *context, enum topic_kind kind, const char *name, size_t length)
{
    struct stage *stage = context;
    const struct dispatcher_wish wish = wish_of(stage, kind, name, length);
    dispatcher_leave(stage->dispatcher, stage->port, &wish);
}

static uint64_t newest(void *context)
{
    struct stage *stage = context;
    return dispatcher_newest(stage->dispatcher);
}

static bool catch_up(void *context)
{
    struct stage *stage = context;
    dispatcher_catch_up(stage->dispatcher, stage->port);
    return true;
}

static bool deliver(void *context, struct hub_events *events)
{
    struct stage *stage = context;
    struct hub_events turn = *events;
    *events = (struct hub_events){ 0 };
    size_t cursor = 0;
    struct hub_event event;
    while (hub_events_next(&turn, &cursor, &event))
        hub_apply(stage->hub, &event);
    hub_turn_end(stage->hub);
    hub_events_recycle(&turn, events);
    return true;
}

/* --- one worker has everything --- */

static bool read_batch(void *context, const char *id, size_t length, snapshot_ready *ready,
                       void *ready_context)
{
    struct stage *stage = context;
    return snapshot_cache_read(stage->cache, id, length, 0, true, clock_now_ms(), ready, ready_context);
}

static bool store_batch(void *context, const char *id, size_t length, const char *value, size_t value_length,
                        snapshot_ready *ready, void *ready_context)
{
    struct stage *stage = context;
    return snapshot_cache_store(stage->cache, id, length, value, value_length, clock_now_ms(), ready,
                                ready_context);
}

static void drop_batch(void *context, const char *id, size_t length)
{
    struct stage *stage = context;
    snapshot_cache_drop(stage->cache, id, length);
}

static void cancel_batch(void *context, const char *id, size_t length, void *ready_context)
{
    struct stage *stage = context;
    snapshot_cache_cancel(stage->cache, id, length, ready_context);
}

static bool read_metrics(void *context, bool as_json, metrics_read_done *done, void *done_context)
{
    (void)context, (void)as_json, (void)done, (void)done_context;
    return false;
}

static bool is_redis_up(void *context)
{
    struct stage *stage = context;
    return stage->behaviour & 1;
}

static bool read_history(void *context, const char *stream, size_t length, struct entry_id after,
                         size_t count, uint64_t token)
{
    struct stage *stage = context;
    (void)stream, (void)length, (void)after, (void)count;
    if (stage->read_count == WAITING_MAX)
        return false;
    stage->reads[stage->read_count++] = token;
    return true;
}

static bool load(void *context, const char *id, size_t id_length, uint64_t token, const char *value,
                 size_t value_length, uint64_t redis_ttl_ms, bool only_if_absent, bool notify)
{
    struct stage *stage = context;
    (void)id, (void)id_length, (void)value, (void)value_length, (void)redis_ttl_ms, (void)only_if_absent,
        (void)notify;
    if (stage->load_count == WAITING_MAX)
        return false;
    stage->loads[stage->load_count++] = token;
    return true;
}

static bool watch(void *context, const char *stream, size_t length)
{
    (void)context, (void)stream, (void)length;
    return true;
}

static void unwatch(void *context, const char *stream, size_t length)
{
    (void)context, (void)stream, (void)length;
}

/* A message of bytes that came in, so that anything may be in it. */
static void tell(struct stage *stage, const struct subscription *topic, struct input payload)
{
    if (topic->kind == TOPIC_STREAM) {
        static const char entry[] = "{\"a\":\"b\"}";
        dispatcher_watched(stage->dispatcher, topic->name, topic->length, (struct entry_id){ .ms = 1 });
        dispatcher_entry(stage->dispatcher, topic->name, topic->length, (struct entry_id){ .ms = 2 }, entry,
                         strlen(entry));
        return;
    }
    dispatcher_confirmed(stage->dispatcher, topic->kind, topic->name, topic->length);
    dispatcher_message(stage->dispatcher, topic->kind, topic->name, topic->length, topic->name, topic->length,
                       payload.bytes, payload.length);
}

static void answer_loads(struct stage *stage)
{
    static const char progress[] = "{\"status\":\"RUNNING\",\"progress\":1}";
    static const char complete[] = "{\"status\":\"COMPLETED\"}";
    for (; stage->load_count > 0; stage->load_count--) {
        uint64_t token = stage->loads[stage->load_count - 1];
        enum snapshot_status status = (enum snapshot_status)(stage->behaviour % 3);
        const char *value = stage->behaviour & 4 ? progress : complete;
        snapshot_cache_loaded(stage->cache, token, status, status == SNAPSHOT_FOUND ? value : NULL,
                              status == SNAPSHOT_FOUND ? strlen(value) : 0, true, true, clock_now_ms());
        dispatcher_fence(stage->dispatcher, dispatcher_port_number(stage->port), token);
    }
}

static void answer_reads(struct stage *stage)
{
    static const char entry[] = "{\"c\":{\"d\":1}}";
    for (; stage->read_count > 0; stage->read_count--) {
        uint64_t token = stage->reads[stage->read_count - 1];
        const struct stream_facts facts = {
            .exists = true, .first = { .ms = 1 }, .last = { .ms = 1 }, .length = 1
        };
        enum history_status status = stage->behaviour & 8 ? HISTORY_OK : HISTORY_UNAVAILABLE;
        if (status == HISTORY_OK)
            history_entry(hub_history(stage->hub), token, facts.last, entry, strlen(entry));
        history_loaded(hub_history(stage->hub), token, status, status == HISTORY_OK ? &facts : NULL, true,
                       clock_now_ms());
    }
}

/* --- the stage --- */

static void make_hub(struct stage *stage)
{
    const struct snapshot_cache_options cache_options = {
        .ttl_ms = 10000, .ttl_moving_ms = 5000, .ttl_idle_ms = 60000, .entries_max = 4, .bytes_max = 65536
    };
    const struct snapshot_source snapshot_source = { .load = load, .context = stage };
    const struct hub_options hub_options = {
        .clients_max = 2,
        .backlog_bytes_max = 65536,
        .stall_timeout_ms = 60000,
        .heartbeat_ms = 15000,
        .retry_min_ms = 1000,
        .retry_max_ms = 5000,
        .replay_messages = 8,
        .replay_bytes = 65536,
    };
    const struct dispatcher_options dispatcher_options = { .replay_messages = 8, .replay_bytes = 65536 };
    const struct dispatcher_source dispatcher_source = { .subscribe = subscribe,
                                                         .unsubscribe = unsubscribe,
                                                         .context = stage };
    const struct hub_source hub_source = { .subscribe = want,
                                           .unsubscribe = leave,
                                           .newest = newest,
                                           .catch_up = catch_up,
                                           .read_history = read_history,
                                           .context = stage,
                                           .shared = &stage->hub_shared };
    stage->dispatcher =
        dispatcher_create(stage->base, &dispatcher_options, &dispatcher_source, stage->metrics);
    REQUIRE(stage->dispatcher);
    stage->port = dispatcher_add_port(stage->dispatcher, deliver, stage);
    stage->cache = snapshot_cache_create(&cache_options, &snapshot_source, stage->metrics);
    REQUIRE(stage->cache);
    stage->hub = hub_create(stage->base, &hub_options, &hub_source, stage->cache, stage->metrics, NULL);
    REQUIRE(stage->hub);
    snapshot_cache_feed_up(stage->cache);
    dispatcher_feed_up(stage->dispatcher, 1);
    dispatcher_turn_end(stage->dispatcher);
}

static void make_front(struct stage *stage)
{
    /* Not a port: one that others have just given back is called by their clients. */
    char listen[64];
    snprintf(listen, sizeof(listen), "unix:/tmp/sluice-fuzz-http.%ld", (long)getpid());
    const struct front_options options = {
        .listen = listen, /* nobody comes that way */
        .connections_max = 4,
        .body_bytes_max = 4096,
        .head_timeout_ms = 10000,
        .body_timeout_ms = 10000,
        .keepalive_timeout_ms = 10000,
        .topics_per_stream_max = 16,
        .retry_min_ms = 1000,
        .retry_max_ms = 5000,
        .cors_origins = stage->behaviour & 16 ? "https://a.example" : "*",
        .cors_credentials = true,
        .admin_listen = "",
        .trusted_proxies = "::/0",
        .forwarded_header = stage->behaviour & 16 ? FORWARDED : FORWARDED_FOR,
        .identity_header = "x-user-id",
        .idempotency_window_ms = 600000,
        .stream_maxlen = 10000,
        .publish_array_max = 8,
        .version = "fuzz",
    };
    char *problem;
    const struct access_options access_options = { .open = true,
                                                   .jwt_secret = "",
                                                   .jwt_key_file = "",
                                                   .jwt_jwks_url = "",
                                                   .jwt_audience = "",
                                                   .jwt_issuer = "",
                                                   .jwt_cookie = "",
                                                   .machine_keys_file = "" };
    stage->access = access_create(stage->base, &access_options, NULL, NULL, &problem);
    stage->audit = audit_create(1, stage->metrics, NULL);
    REQUIRE(stage->access && stage->audit);
    const struct front_services services = {
        .base = stage->base,
        .hub = stage->hub,
        .batches = { .read = read_batch,
                     .store = store_batch,
                     .drop = drop_batch,
                     .cancel = cancel_batch,
                     .context = stage },
        .metrics_reader = { .read = read_metrics },
        .is_redis_up = is_redis_up,
        .context = stage,
        .commands = &stage->commands,
        .groups = stage->groups,
        .access = stage->access,
        .audit = stage->audit,
        .quota = stage->quota,
        .metrics = stage->metrics,
    };
    stage->front = front_create(&options, &services, NULL, &problem);
    REQUIRE(stage->front);
}

static void open_stage(struct stage *stage, uint8_t behaviour, struct input replies)
{
    const struct groups_source groups_source = { .watch = watch, .unwatch = unwatch, .context = stage };
    *stage = (struct stage){ .behaviour = behaviour };
    stub_commands_open(&stage->commands, replies.bytes, replies.length);
    stage->base = event_base_new();
    const struct quota_limits limits = { .streams_per_address = { stage->behaviour & 8 ? 1 : 8, false },
                                         .publish_rate_per_address = { stage->behaviour & 8 ? 1 : 0, false },
                                         .ip6_prefix = 64 };
    stage->quota = quota_create(&limits);
    stage->metrics = metrics_create();
    REQUIRE(stage->base && stage->metrics && stage->quota);
    make_hub(stage);
    stage->groups = groups_create(stage->base, &stage->commands, &groups_source, stage->metrics, NULL);
    REQUIRE(stage->groups);
    make_front(stage);

    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    stage->client = pair[0];
    const struct sockaddr_un address = { .sun_family = AF_UNIX };
    REQUIRE(server_add(stage->front->server, pair[1], (const struct sockaddr *)&address, sizeof(address)));
}

static void turn(struct stage *stage, struct input payload)
{
    char bytes[16384];
    event_base_loop(stage->base, EVLOOP_NONBLOCK);
    stub_commands_answer(&stage->commands);
    answer_loads(stage);
    answer_reads(stage);
    for (size_t i = 0; i < stage->subscription_count; i++)
        tell(stage, &stage->subscriptions[i], payload);
    stage->subscription_count = 0;
    dispatcher_turn_end(stage->dispatcher);
    while (!stage->ended) {
        ssize_t got = read(stage->client, bytes, sizeof(bytes));
        if (got <= 0) {
            stage->ended = got == 0;
            return;
        }
        buffer_append(&stage->output, bytes, (size_t)got);
    }
}

static void close_stage(struct stage *stage)
{
    const struct input nothing = { .bytes = "" };
    close(stage->client);
    stage->ended = true;
    for (int i = 0; i < LAST_TURNS; i++)
        turn(stage, nothing);
    REQUIRE(hub_client_count(stage->hub) == 0);
    front_destroy(stage->front);
    REQUIRE(stage->metrics->http_connections == 0);
    groups_stop(stage->groups);
    stub_commands_close(&stage->commands);
    hub_destroy(stage->hub);
    dispatcher_destroy(stage->dispatcher);
    REQUIRE(stage->metrics->sse_clients == 0 && stage->metrics->sse_backlog_bytes == 0);
    groups_destroy(stage->groups);
    snapshot_cache_destroy(stage->cache);
    REQUIRE(quota_streams(stage->quota) == 0);
    access_destroy(stage->access);
    audit_destroy(stage->audit);
    quota_destroy(stage->quota);
    metrics_destroy(stage->metrics);
    event_base_free(stage->base);
    buffer_free(&stage->output);
}

/* A head ends with an empty line; one that never ends may be refused. */
static size_t heads_at_most(struct input request)
{
    size_t count = 1;
    for (size_t i = 0; i < request.length; i++)
        count += request.bytes[i] == '\n' || request.bytes[i] == '\r';
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    uint8_t behaviour = input_take_byte(&input);
    size_t piece = (size_t)input_take_byte(&input) * 16 + 1;
    size_t replies_length = (size_t)input_take_byte(&input) << 8;
    replies_length |= input_take_byte(&input);
    struct input replies = input_take(&input, replies_length);
    struct input request = input;

    struct stage stage;
    open_stage(&stage, behaviour, replies);
    while (input.length > 0 && !stage.ended) {
        struct input part = input_take(&input, piece);
        if (send(stage.client, part.bytes, part.length, MSG_NOSIGNAL) < 0)
            break;
        turn(&stage, part);
    }
    for (int i = 0; i < LAST_TURNS; i++)
        turn(&stage, request);

    bool had_head = memmem(request.bytes, request.length, "HEAD", 4) != NULL;
    REQUIRE(!stage.output.failed);
    size_t responses = http_responses_check(stage.output.data, stage.output.size, had_head);
    REQUIRE(responses <= heads_at_most(request));
    close_stage(&stage);
    return 0;
}

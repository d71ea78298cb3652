#include "redis/feed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/parse.h"
#include "base/random.h"
#include "redis/reply.h"

/* Where Redis tells of keys that changed (CLIENT TRACKING … REDIRECT, RESP2). */
#define INVALIDATE_CHANNEL "__redis__:invalidate"
#define OWN_PREFIX "sluice:"
#define FENCE_PREFIX OWN_PREFIX "fence:"
#define FENCE_CHANNEL_BYTES (sizeof(FENCE_PREFIX) + 16)

/* Requests whose confirmation is to come. More than the topics of a large process; a bound all the same. */
#define OUTSTANDING_MAX 1000000

enum request_verb { SUBSCRIBE, PSUBSCRIBE, UNSUBSCRIBE, PUNSUBSCRIBE };

/* Redis confirms and refuses in order, but a refusal does not say what it refuses. */
struct request {
    struct list node;
    enum request_verb verb;
    size_t length;
    char name[];
};

struct feed {
    struct feed_events events;
    struct log *log;
    struct log_limiter limiter;
    struct redis_link *link;
    struct list outstanding;
    size_t outstanding_count;
    bool is_up;
    bool is_invalidate_refused;
    char fence_channel[FENCE_CHANNEL_BYTES];
};

static const char *const verb_names[] = {
    [SUBSCRIBE] = "subscribe",
    [PSUBSCRIBE] = "psubscribe",
    [UNSUBSCRIBE] = "unsubscribe",
    [PUNSUBSCRIBE] = "punsubscribe",
};

static bool is_pattern_verb(enum request_verb verb)
{
    return verb == PSUBSCRIBE || verb == PUNSUBSCRIBE;
}

static bool text_is(const struct reply *reply, const char *text, size_t length)
{
    return reply->kind == REPLY_TEXT && reply->text_length == length &&
           memcmp(reply->text, text, length) == 0;
}

static bool name_is(const char *name, size_t length, const char *other)
{
    return length == strlen(other) && memcmp(name, other, length) == 0;
}

static bool is_private_channel(const struct feed *feed, const char *name, size_t length)
{
    return name_is(name, length, INVALIDATE_CHANNEL) || name_is(name, length, feed->fence_channel);
}

/* --- requests ------------------------------------------------------------------------------------------- */

static void forget_outstanding(struct feed *feed)
{
    struct list *node;
    while ((node = list_first(&feed->outstanding))) {
        list_remove(node);
        free(LIST_OWNER(node, struct request, node));
    }
    feed->outstanding_count = 0;
}

static bool send_request(struct feed *feed, enum request_verb verb, const char *name, size_t length)
{
    struct request *request =
        feed->outstanding_count < OUTSTANDING_MAX ? malloc(sizeof(*request) + length) : NULL;
    const char *const arguments[] = { verb_names[verb], name };
    const size_t lengths[] = { strlen(verb_names[verb]), length };
    if (!request || !redis_link_send(feed->link, 2, arguments, lengths)) {
        free(request);
        /* Somebody would wait for this topic in vain. The next on_up brings everything in step again. */
        redis_link_reset(feed->link, "no room for another subscription");
        return false;
    }
    *request = (struct request){ .verb = verb, .length = length };
    memcpy(request->name, name, length);
    list_append(&feed->outstanding, &request->node);
    feed->outstanding_count++;
    return true;
}

/* Takes the oldest request off the list; the caller frees it. */
static struct request *take_request(struct feed *feed)
{
    struct list *node = list_first(&feed->outstanding);
    if (!node)
        return NULL;
    list_remove(node);
    feed->outstanding_count--;
    return LIST_OWNER(node, struct request, node);
}

/* --- answers -------------------------------------------------------------------------------------------- */

static void come_up(struct feed *feed)
{
    feed->is_up = true;
    if (feed->events.on_up)
        feed->events.on_up(feed->events.context,
                           feed->is_invalidate_refused ? 0 : redis_link_client_id(feed->link));
}

static void take_confirmation(struct feed *feed, enum request_verb verb, const struct reply *name)
{
    struct request *request = take_request(feed);
    if (!request || request->verb != verb || !text_is(name, request->name, request->length)) {
        redis_link_reset(feed->link, "a confirmation that was not asked for");
    } else if (verb == SUBSCRIBE && name_is(request->name, request->length, feed->fence_channel)) {
        if (!feed->is_up)
            come_up(feed);
    } else if ((verb == SUBSCRIBE || verb == PSUBSCRIBE) && feed->is_up && feed->events.on_confirmed) {
        feed->events.on_confirmed(feed->events.context, is_pattern_verb(verb) ? FEED_PATTERN : FEED_CHANNEL,
                                  request->name, request->length);
    }
    free(request);
}

static void log_refusal(struct feed *feed, const struct request *request, const struct reply *error,
                        const char *remedy)
{
    const struct log_field fields[] = {
        LOG_BYTES("topic", request->name, request->length),
        LOG_BYTES("error", error->text, error->text_length),
        LOG_TEXT("remedy", remedy),
    };
    log_event_limited(feed->log, &feed->limiter, LOG_LEVEL_WARN, "redis refused a subscription", fields, 3);
}

/* The rule for our own channels; but the user may as well lack the command. */
static const char *own_channel_remedy(const struct reply *error, const char *channel_rule)
{
    bool is_channel = memmem(error->text, error->text_length, " channel", strlen(" channel")) != NULL;
    return is_channel ? channel_rule : reply_error_remedy(error);
}

static void take_error(struct feed *feed, const struct reply *error)
{
    /* NOPERM is about one topic. Anything else (BUSY, …) is about the server: come back later. */
    struct request *request = reply_has_prefix(error, "NOPERM") ? take_request(feed) : NULL;
    if (!request) {
        redis_link_reset(feed->link, error->text);
        return;
    }
    if (name_is(request->name, request->length, feed->fence_channel)) {
        log_refusal(feed, request, error, own_channel_remedy(error, "ACL SETUSER <user> &" FENCE_PREFIX "*"));
        redis_link_reset(feed->link, error->text);
    } else if (name_is(request->name, request->length, INVALIDATE_CHANNEL)) {
        feed->is_invalidate_refused = true;
        log_refusal(feed, request, error,
                    own_channel_remedy(error, "ACL SETUSER <user> &" INVALIDATE_CHANNEL));
    } else {
        log_refusal(feed, request, error, reply_error_remedy(error));
        if ((request->verb == SUBSCRIBE || request->verb == PSUBSCRIBE) && feed->events.on_refused)
            feed->events.on_refused(feed->events.context,
                                    is_pattern_verb(request->verb) ? FEED_PATTERN : FEED_CHANNEL,
                                    request->name, request->length, error->text);
    }
    free(request);
}

/* --- messages ------------------------------------------------------------------------------------------- */

/* The payload is an array of keys, or nil when all keys went. */
static void take_invalidation(struct feed *feed, const struct reply *keys)
{
    if (!feed->events.on_invalidate)
        return;
    if (keys->kind == REPLY_NIL)
        feed->events.on_invalidate(feed->events.context, NULL, 0);
    for (size_t i = 0; keys->kind == REPLY_ARRAY && i < keys->count; i++) {
        struct reply key = reply_element(keys, i);
        if (key.kind == REPLY_TEXT)
            feed->events.on_invalidate(feed->events.context, key.text, key.text_length);
    }
}

static void take_fence(struct feed *feed, const struct reply *payload)
{
    uint64_t token = 0;
    if (payload->kind == REPLY_TEXT && parse_unsigned(payload->text, payload->text_length, &token) &&
        feed->events.on_fence)
        feed->events.on_fence(feed->events.context, token);
}

static void take_message(struct feed *feed, const struct reply *message)
{
    struct reply channel = reply_element(message, 1);
    struct reply payload = reply_element(message, 2);
    if (channel.kind != REPLY_TEXT)
        return;
    if (name_is(channel.text, channel.text_length, INVALIDATE_CHANNEL))
        take_invalidation(feed, &payload);
    else if (name_is(channel.text, channel.text_length, feed->fence_channel))
        take_fence(feed, &payload);
    else if (payload.kind == REPLY_TEXT && feed->events.on_message)
        feed->events.on_message(feed->events.context, FEED_CHANNEL, channel.text, channel.text_length,
                                channel.text, channel.text_length, payload.text, payload.text_length);
}

static void take_pattern_message(struct feed *feed, const struct reply *message)
{
    struct reply pattern = reply_element(message, 1);
    struct reply channel = reply_element(message, 2);
    struct reply payload = reply_element(message, 3);
    if (pattern.kind != REPLY_TEXT || channel.kind != REPLY_TEXT || payload.kind != REPLY_TEXT)
        return;
    /* What gateways say to each other and to themselves is nobody's news: the pattern `*` matches it. */
    if (reply_has_prefix(&channel, OWN_PREFIX))
        return;
    if (feed->events.on_message)
        feed->events.on_message(feed->events.context, FEED_PATTERN, pattern.text, pattern.text_length,
                                channel.text, channel.text_length, payload.text, payload.text_length);
}

/* --- the link's events ---------------------------------------------------------------------------------- */

static void on_ready(void *context)
{
    struct feed *feed = context;
    feed->is_invalidate_refused = false;
    /* The fence last: its confirmation says that both are answered. */
    if (send_request(feed, SUBSCRIBE, INVALIDATE_CHANNEL, strlen(INVALIDATE_CHANNEL)))
        (void)send_request(feed, SUBSCRIBE, feed->fence_channel, strlen(feed->fence_channel));
}

static void on_down(void *context, const char *reason)
{
    struct feed *feed = context;
    bool was_up = feed->is_up;
    feed->is_up = false;
    forget_outstanding(feed);
    if (was_up && feed->events.on_down)
        feed->events.on_down(feed->events.context, reason);
}

static void on_reply(void *context, const struct redisReply *source)
{
    struct feed *feed = context;
    struct reply reply = reply_view(source);
    struct reply what = reply_element(&reply, 0);
    struct reply name = reply_element(&reply, 1);
    /* By frequency: a busy feed sees hardly anything but messages. */
    if (text_is(&what, "message", 7)) {
        take_message(feed, &reply);
        return;
    }
    if (text_is(&what, "pmessage", 8)) {
        take_pattern_message(feed, &reply);
        return;
    }
    for (enum request_verb verb = SUBSCRIBE; verb <= PUNSUBSCRIBE; verb++) {
        if (text_is(&what, verb_names[verb], strlen(verb_names[verb]))) {
            take_confirmation(feed, verb, &name);
            return;
        }
    }
    if (reply.kind == REPLY_ERROR)
        take_error(feed, &reply);
    else
        redis_link_reset(feed->link, "a reply that no subscription has");
}

static void on_turn_end(void *context)
{
    struct feed *feed = context;
    if (feed->events.on_turn_end)
        feed->events.on_turn_end(feed->events.context);
}

/* --- the feed ------------------------------------------------------------------------------------------- */

struct feed *feed_create(struct event_base *base, struct evdns_base *dns,
                         const struct redis_link_options *options, const struct feed_events *events,
                         struct log *log)
{
    struct feed *feed = calloc(1, sizeof(*feed));
    if (!feed)
        return NULL;
    feed->events = *events;
    feed->log = log;
    list_init(&feed->outstanding);
    snprintf(feed->fence_channel, sizeof(feed->fence_channel), FENCE_PREFIX "%016" PRIx64, random_u64());
    struct redis_link_options link_options = *options;
    link_options.name = "feed";
    link_options.is_subscriber = true;
    const struct redis_link_events link_events = {
        .on_ready = on_ready,
        .on_down = on_down,
        .on_reply = on_reply,
        .on_turn_end = on_turn_end,
        .context = feed,
    };
    feed->link = redis_link_create(base, dns, &link_options, &link_events, log);
    if (!feed->link) {
        free(feed);
        return NULL;
    }
    return feed;
}

void feed_destroy(struct feed *feed)
{
    if (!feed)
        return;
    redis_link_destroy(feed->link);
    forget_outstanding(feed);
    free(feed);
}

void feed_start(struct feed *feed)
{
    redis_link_start(feed->link);
}

bool feed_subscribe(struct feed *feed, enum feed_kind kind, const char *name, size_t length)
{
    return feed->is_up && send_request(feed, kind == FEED_PATTERN ? PSUBSCRIBE : SUBSCRIBE, name, length);
}

bool feed_unsubscribe(struct feed *feed, enum feed_kind kind, const char *name, size_t length)
{
    /* A client may name these, too; the feed goes on listening. */
    if (feed->is_up && kind == FEED_CHANNEL && is_private_channel(feed, name, length))
        return true;
    return feed->is_up && send_request(feed, kind == FEED_PATTERN ? PUNSUBSCRIBE : UNSUBSCRIBE, name, length);
}

void feed_reset(struct feed *feed, const char *reason)
{
    redis_link_reset(feed->link, reason);
}

bool feed_is_up(const struct feed *feed)
{
    return feed->is_up;
}

const char *feed_fence_channel(const struct feed *feed)
{
    return feed->fence_channel;
}

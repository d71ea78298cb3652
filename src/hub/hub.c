#include "hub/hub.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/random.h"
#include "hub/frames.h"
#include "hub/hub_state.h"
#include "hub/lease.h"
#include "wire/composite_cursor.h"
#include "wire/sse.h"

/* A client that is let go for good reason should not be back at once. */
#define REFUSED_RETRY_MIN_MS 10000
#define REFUSED_RETRY_MAX_MS 60000

/* The client has taken all that waited for it. */
static void taken_all(struct hub *hub, struct subscriber *subscriber)
{
    if (subscriber->state == SUBSCRIBER_CLOSING)
        hub_let_go(hub, subscriber);
    else if (subscriber->replay_waits)
        hub_replay_taken(hub, subscriber);
    else if (subscriber->is_private)
        subscriber->owner->on_room(subscriber->owner->context);
}

static void on_socket_ready(void *context, void *owner, uint32_t events)
{
    struct hub *hub = context;
    struct subscriber *subscriber = owner;
    if (subscriber->state == SUBSCRIBER_DEAD)
        return;
    hub->delivery.now_ms = clock_now_ms();
    if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
        hub->metrics->slow_clients[SLOW_STALLED] += subscriber_fell_silent(subscriber);
        hub_let_go(hub, subscriber);
        return;
    }
    enum delivery_result result = subscriber_flush(subscriber, &hub->delivery);
    if (result != DELIVERY_DONE)
        hub_failed(hub, subscriber, result);
    else if (!subscriber_has_backlog(subscriber))
        taken_all(hub, subscriber);
}

static void on_sockets_done(void *context)
{
    hub_visit_listed(context);
}

/* Clients are let go in calls of others, too, who know them a little longer. */
static void on_gone(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    hub_visit_listed(context);
}

struct hub *hub_create(struct event_base *base, const struct hub_options *options,
                       const struct hub_source *source, struct snapshot_cache *cache, struct metrics *metrics,
                       struct log *log)
{
    struct hub *hub = calloc(1, sizeof *hub);
    if (!hub)
        return NULL;
    hub->base = base;
    hub->source = *source;
    hub->cache = cache;
    hub->metrics = metrics;
    hub->log = log;
    hub->epoch = source->shared->epoch;
    list_init(&hub->dirty_topics);
    list_init(&hub->held_topics);
    list_init(&hub->lingering_topics);
    hub_start_leases(hub);
    hub->topics[TOPIC_CHANNEL] = map_create();
    hub->topics[TOPIC_PATTERN] = map_create();
    hub->topics[TOPIC_STREAM] = map_create();
    struct history_source history_source = { source->read_history, source->context };
    hub->history = history_create(&history_source);
    hub->poller = poller_create(base, on_socket_ready, on_sockets_done, hub);
    hub->gone = event_new(base, -1, 0, on_gone, hub);
    hub->delivery = (struct delivery){ .poller = hub->poller, .metrics = metrics, .now_ms = clock_now_ms() };
    hub->delivery.gzip = gzip_create(options->deflate_bytes_min, metrics);
    hub_set_options(hub, options);
    if (!hub->delivery.gzip || !hub->topics[TOPIC_CHANNEL] || !hub->topics[TOPIC_PATTERN] ||
        !hub->topics[TOPIC_STREAM] || !hub->history || !hub->poller || !hub->gone ||
        !hub_start_replays(hub) || !hub_start_hold(hub) || !hub_start_timers(hub)) {
        hub_destroy(hub);
        return NULL;
    }
    return hub;
}

void hub_set_options(struct hub *hub, const struct hub_options *options)
{
    bool heartbeat_changed = hub->options.heartbeat_ms != options->heartbeat_ms;
    hub->options = *options;
    hub->delivery.backlog_bytes_max = options->backlog_bytes_max;
    if (hub->delivery.gzip)
        gzip_set_deflate_bytes_min(hub->delivery.gzip, options->deflate_bytes_min);
    if (heartbeat_changed && hub->heartbeat_timer)
        hub_start_timers(hub);
}

void hub_destroy(struct hub *hub)
{
    if (!hub)
        return;
    hub_stop_timers(hub);
    hub_stop_replays(hub);
    hub_stop_hold(hub);
    struct subscriber *subscriber;
    while ((subscriber = heartbeat_any(&hub->heartbeat)) != NULL)
        hub_let_go(hub, subscriber);
    hub_visit_listed(hub);
    if (hub->gone)
        event_free(hub->gone);
    for (size_t kind = 0; kind < TOPIC_KINDS; kind++) {
        size_t cursor = 0;
        struct topic *topic;
        while (hub->topics[kind] && (topic = map_next(hub->topics[kind], &cursor)) != NULL)
            topic_destroy(topic);
        map_destroy(hub->topics[kind]);
    }
    history_destroy(hub->history);
    hub_forget_revocations(hub);
    chunk_release(hub->ids);
    heartbeat_free(&hub->heartbeat);
    poller_destroy(hub->poller);
    gzip_destroy(hub->delivery.gzip);
    free(hub);
}

uint64_t hub_epoch(const struct hub *hub)
{
    return hub->epoch;
}

size_t hub_client_count(const struct hub *hub)
{
    return hub->client_count;
}

uint64_t hub_retry_ms(const struct hub *hub)
{
    return random_between(hub->options.retry_min_ms, hub->options.retry_max_ms);
}

/* --- open and attach --- */

static void give_place_back(struct hub *hub)
{
    hub->client_count--;
    atomic_fetch_sub_explicit(&hub->source.shared->clients, 1, memory_order_relaxed);
}

static bool take_place(struct hub *hub)
{
    size_t others = atomic_fetch_add_explicit(&hub->source.shared->clients, 1, memory_order_relaxed);
    hub->client_count++;
    if (others < hub->options.clients_max)
        return true;
    give_place_back(hub);
    return false;
}

static void leave_topics(struct hub *hub, struct subscriber *subscriber)
{
    for (size_t i = 0; i < subscriber->topic_count; i++) {
        struct membership *membership = subscriber_membership(subscriber, i);
        struct topic *topic = membership->topic;
        if (!topic)
            continue;
        topic_leave(membership);
        hub_topic_left(hub, topic);
    }
}

static void subscriber_free(struct subscriber *subscriber)
{
    if (!subscriber->is_private)
        free(subscriber->others);
    if (subscriber->companion)
        subscriber->companion->leave(subscriber->companion);
    lease_destroy(subscriber->lease);
    free(subscriber);
}

static bool topic_repeated(const struct stream_request *request, size_t index)
{
    const struct topic_name *topic = &request->topics[index];
    for (size_t i = 0; i < index; i++) {
        const struct topic_name *other = &request->topics[i];
        if (other->kind == topic->kind && other->length == topic->length &&
            memcmp(other->name, topic->name, topic->length) == 0)
            return true;
    }
    return false;
}

static bool join_topics(struct hub *hub, struct subscriber *subscriber, const struct stream_request *request)
{
    for (size_t i = 0; i < request->topic_count; i++) {
        const struct topic_name *name = &request->topics[i];
        if (topic_repeated(request, i))
            continue;
        struct topic *topic = hub_want_topic(hub, name->kind, name->name, name->length);
        if (!topic)
            return false;
        if (!topic_join(topic, subscriber_membership(subscriber, subscriber->topic_count), subscriber)) {
            hub_topic_left(hub, topic);
            return false;
        }
        struct membership *membership = subscriber_membership(subscriber, subscriber->topic_count++);
        membership->placed = name->placed;
        membership->proved = name->proved;
        membership->position = name->position;
        if (name->kind == TOPIC_STREAM)
            subscriber->streams_tag = composite_cursor_tag(subscriber->streams_tag, name->name, name->length);
        else
            subscriber->has_channels = true;
    }
    subscriber->composite = subscriber->topic_count > 1 && subscriber->streams_tag != 0;
    return true;
}

static void set_resume(struct hub *hub, struct subscriber *subscriber, const struct stream_request *request)
{
    uint64_t newest = hub->source.newest(hub->source.context);
    subscriber->join = JOIN_FRESH;
    /* What other hubs have been told by now was before it came, though it may be in a ring that they share.
     */
    subscriber->sequence = hub->sequence > newest ? hub->sequence : newest;
    if (request->resume == RESUME_UNKNOWN)
        subscriber->join = JOIN_UNKNOWN;
    if (request->resume != RESUME_CURSOR)
        return;
    if (request->cursor.epoch != hub->epoch) {
        subscriber->join = JOIN_RESTART;
    } else if (request->cursor.sequence > subscriber->sequence) {
        subscriber->join = JOIN_UNKNOWN; /* an id of ours that was never given out */
    } else {
        subscriber->join = JOIN_REPLAY;
        subscriber->sequence = request->cursor.sequence;
    }
}

void hub_accompany(struct subscriber *subscriber, struct hub_companion *companion)
{
    subscriber->companion = companion;
}

enum hub_open_status hub_open(struct hub *hub, const struct stream_request *request,
                              struct subscriber **ret_subscriber)
{
    *ret_subscriber = NULL;
    if (hub->draining || !take_place(hub)) {
        hub->metrics->sse_refused++;
        return hub->draining ? HUB_OPEN_DRAINING : HUB_OPEN_FULL;
    }
    struct subscriber *subscriber = calloc(1, sizeof *subscriber);
    if (!subscriber) {
        give_place_back(hub);
        return HUB_OPEN_NO_MEMORY;
    }
    subscriber->descriptor = -1;
    subscriber->format = (uint8_t)request->format;
    set_resume(hub, subscriber, request);
    if (request->topic_count > 1)
        subscriber->others = calloc(request->topic_count - 1, sizeof *subscriber->others);
    if ((request->topic_count > 1 && !subscriber->others) || !join_topics(hub, subscriber, request)) {
        leave_topics(hub, subscriber);
        subscriber_free(subscriber);
        give_place_back(hub);
        return HUB_OPEN_NO_MEMORY;
    }
    *ret_subscriber = subscriber;
    return HUB_OPEN_OK;
}

enum hub_open_status hub_open_private(struct hub *hub, const struct private_stream *owner,
                                      struct subscriber **ret_subscriber)
{
    static const struct stream_request nothing = { .format = STREAM_RAW };
    enum hub_open_status status = hub_open(hub, &nothing, ret_subscriber);
    if (status == HUB_OPEN_OK) {
        (*ret_subscriber)->is_private = true;
        (*ret_subscriber)->owner = owner;
    }
    return status;
}

bool hub_send_private(struct hub *hub, struct subscriber *subscriber, const char *bytes, size_t length)
{
    if (subscriber->state != SUBSCRIBER_LIVE)
        return false;
    hub->delivery.now_ms = clock_now_ms();
    enum delivery_result result = subscriber_send_bytes(subscriber, &hub->delivery, bytes, length);
    if (result == DELIVERY_DONE)
        hub->metrics->sse_events++;
    else
        hub_failed(hub, subscriber, result);
    return result == DELIVERY_DONE;
}

bool hub_private_waits(const struct subscriber *subscriber)
{
    return subscriber_has_backlog(subscriber);
}

void hub_end_private(struct hub *hub, struct subscriber *subscriber, const char *refused_reason)
{
    hub->delivery.now_ms = clock_now_ms();
    hub_dismiss(hub, subscriber, refused_reason);
}

void hub_compress(struct subscriber *subscriber)
{
    subscriber->compressed = true;
}

void hub_abandon(struct hub *hub, struct subscriber *subscriber)
{
    if (subscriber->is_private)
        subscriber->owner->on_gone(subscriber->owner->context);
    leave_topics(hub, subscriber);
    subscriber_free(subscriber);
    give_place_back(hub);
}

static void attach_private(struct hub *hub, struct subscriber *subscriber)
{
    subscriber->state = SUBSCRIBER_LIVE;
    hub_greet(hub, subscriber);
    if (subscriber->state == SUBSCRIBER_LIVE)
        subscriber->owner->on_attached(subscriber->owner->context);
}

bool hub_attach(struct hub *hub, struct subscriber *subscriber, int descriptor)
{
    hub->delivery.now_ms = clock_now_ms();
    subscriber->descriptor = descriptor;
    subscriber->written_ms = hub->delivery.now_ms;
    if (!heartbeat_add(&hub->heartbeat, subscriber)) {
        subscriber_close(subscriber, &hub->delivery);
        hub_abandon(hub, subscriber);
        return false;
    }
    hub->metrics->sse_clients++;
    hub->metrics->sse_connects++;
    subscriber_limit_silence(subscriber, hub->options.stall_timeout_ms);
    if (!poller_add(hub->poller, descriptor, EPOLLRDHUP, subscriber))
        hub_let_go(hub, subscriber);
    else if (subscriber->expired)
        hub_dismiss_expired(hub, subscriber, HUB_EXPIRED_REASON);
    else if (subscriber->lease && hub_is_revoked(hub, subscriber->lease))
        hub_dismiss_expired(hub, subscriber, HUB_REVOKED_REASON);
    else if (subscriber->refused || hub->draining)
        hub_dismiss(hub, subscriber, subscriber->refused ? "subscription refused" : NULL);
    else if (subscriber->is_private)
        attach_private(hub, subscriber);
    else
        hub_try_join(hub, subscriber);
    return subscriber->state != SUBSCRIBER_DEAD;
}

/* --- the end of a subscriber --- */

void hub_list(struct hub *hub, struct subscriber *subscriber)
{
    if (subscriber->listed)
        return;
    subscriber->listed = true;
    subscriber->next_listed = hub->listed;
    hub->listed = subscriber;
}

/* Sends clients of several topics what the turn queued for them, and frees the dead: nothing on the stack
 * knows them any more. */
void hub_visit_listed(struct hub *hub)
{
    while (hub->listed) {
        struct subscriber *subscriber = hub->listed;
        hub->listed = subscriber->next_listed;
        subscriber->listed = false;
        if (subscriber->state == SUBSCRIBER_DEAD) {
            if (subscriber->is_private)
                subscriber->owner->on_gone(subscriber->owner->context);
            subscriber_free(subscriber);
            continue;
        }
        enum delivery_result result = subscriber_flush(subscriber, &hub->delivery);
        if (result != DELIVERY_DONE)
            hub_failed(hub, subscriber, result);
        else if (!subscriber_has_backlog(subscriber))
            taken_all(hub, subscriber); /* what it was dismissed with, behind what the turn had for it */
    }
}

void hub_let_go(struct hub *hub, struct subscriber *subscriber)
{
    if (subscriber->state == SUBSCRIBER_DEAD)
        return;
    subscriber->state = SUBSCRIBER_DEAD;
    hub_cancel_snapshot(hub, subscriber);
    hub_cancel_page(hub, subscriber);
    leave_topics(hub, subscriber);
    heartbeat_remove(&hub->heartbeat, subscriber);
    subscriber_close(subscriber, &hub->delivery);
    hub->metrics->sse_clients--;
    give_place_back(hub);
    hub_list(hub, subscriber);
    event_active(hub->gone, 0, 0);
}

void hub_failed(struct hub *hub, struct subscriber *subscriber, enum delivery_result result)
{
    if (result == DELIVERY_OVER)
        hub->metrics->slow_clients[SLOW_DISCONNECTED]++;
    hub_let_go(hub, subscriber);
}

void hub_finish(struct hub *hub, struct subscriber *subscriber)
{
    bool ended = subscriber_end(subscriber, &hub->delivery) == DELIVERY_DONE;
    if (!ended || !subscriber_has_backlog(subscriber)) {
        hub_let_go(hub, subscriber);
        return;
    }
    subscriber->state = SUBSCRIBER_CLOSING;
    hub_cancel_snapshot(hub, subscriber);
    hub_cancel_page(hub, subscriber);
    leave_topics(hub, subscriber);
}

/* Takes what `out` holds: the last that the client gets. */
static void dismiss_with(struct hub *hub, struct subscriber *subscriber, struct buffer *out)
{
    enum delivery_result result =
        out->failed ? DELIVERY_GONE : subscriber_send_bytes(subscriber, &hub->delivery, out->data, out->size);
    buffer_free(out);
    if (result == DELIVERY_DONE)
        hub_finish(hub, subscriber);
    else
        hub_let_go(hub, subscriber);
}

void hub_dismiss(struct hub *hub, struct subscriber *subscriber, const char *refused_reason)
{
    if (subscriber->state == SUBSCRIBER_CLOSING || subscriber->state == SUBSCRIBER_DEAD)
        return;
    struct buffer out = { 0 };
    sse_append_retry(&out, refused_reason ? random_between(REFUSED_RETRY_MIN_MS, REFUSED_RETRY_MAX_MS)
                                          : hub_retry_ms(hub));
    if (refused_reason)
        frames_append_refused(&out, refused_reason);
    dismiss_with(hub, subscriber, &out);
}

void hub_dismiss_expired(struct hub *hub, struct subscriber *subscriber, const char *reason)
{
    struct buffer out = { 0 };
    sse_append_retry(&out, hub_retry_ms(hub));
    frames_append_expired(&out, reason);
    dismiss_with(hub, subscriber, &out);
}

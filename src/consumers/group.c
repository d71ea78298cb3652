#include "consumers/group.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "consumers/group_state.h"

/* --- streams ------------------------------------------------------------------------------------------- */

void consumed_stream_watch(struct groups *groups, struct consumed_stream *stream)
{
    if (!stream->is_watched && groups->commands)
        stream->is_watched = groups->source.watch(groups->source.context, stream->name, stream->length);
}

static struct consumed_stream *enter_stream(struct groups *groups, const char *name, size_t length)
{
    struct consumed_stream *stream = map_get(groups->streams, name, length);
    if (stream)
        return stream;
    stream = calloc(1, sizeof(*stream) + length);
    if (!stream)
        return NULL;
    list_init(&stream->groups);
    stream->length = length;
    memcpy(stream->name, name, length);
    if (!map_put(groups->streams, stream->name, length, stream)) {
        free(stream);
        return NULL;
    }
    consumed_stream_watch(groups, stream);
    return stream;
}

static void leave_stream(struct groups *groups, struct consumed_stream *stream)
{
    if (!list_empty(&stream->groups))
        return;
    map_remove(groups->streams, stream->name, stream->length);
    if (stream->is_watched && groups->commands)
        groups->source.unwatch(groups->source.context, stream->name, stream->length);
    free(stream);
}

void groups_stream_changed(struct groups *groups, const char *name, size_t length)
{
    struct consumed_stream *stream = map_get(groups->streams, name, length);
    if (!stream)
        return;
    for (struct list *node = stream->groups.next; node != &stream->groups; node = node->next) {
        struct group *group = LIST_OWNER(node, struct group, node);
        group->news_since = true;
        if (group->news)
            continue;
        group->news = true;
        group_step(group);
    }
}

void groups_stream_refused(struct groups *groups, const char *name, size_t length)
{
    struct consumed_stream *stream = map_get(groups->streams, name, length);
    if (stream)
        stream->is_watched = false;
}

/* --- groups -------------------------------------------------------------------------------------------- */

static void append_key(struct buffer *out, const char *stream, size_t stream_length, const char *group,
                       size_t group_length)
{
    buffer_append(out, &stream_length, sizeof(stream_length));
    buffer_append(out, stream, stream_length);
    buffer_append(out, group, group_length);
}

struct group *groups_find(const struct groups *groups, const char *stream, size_t stream_length,
                          const char *group, size_t group_length)
{
    struct buffer key = { 0 };
    append_key(&key, stream, stream_length, group, group_length);
    struct group *found = key.failed ? NULL : map_get(groups->by_name, key.data, key.size);
    buffer_free(&key);
    return found;
}

static void on_timer(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    group_step(context);
}

static void group_free(struct group *group)
{
    if (group->timer)
        event_free(group->timer);
    map_destroy(group->flights);
    free(group);
}

static struct group *create_group(struct groups *groups, const struct consumer_request *request)
{
    struct buffer key = { 0 };
    append_key(&key, request->stream, request->stream_length, request->group, request->group_length);
    struct group *group = key.failed ? NULL : calloc(1, sizeof(*group) + key.size);
    if (group) {
        memcpy(group->key, key.data, key.size);
        group->key_length = key.size;
        group->name_length = request->group_length;
        group->name = group->key + key.size - request->group_length;
        group->groups = groups;
        group->start_at_new = request->start == GROUP_START_NEW;
        group->news = true;
        list_init(&group->consumers);
        list_init(&group->leaving);
        group->flights = map_create();
        group->timer = evtimer_new(groups->base, on_timer, group);
    }
    buffer_free(&key);
    if (!group)
        return NULL;
    if (!group->flights || !group->timer || !map_put(groups->by_name, group->key, group->key_length, group)) {
        group_free(group);
        return NULL;
    }
    group->stream = enter_stream(groups, request->stream, request->stream_length);
    if (!group->stream) {
        map_remove(groups->by_name, group->key, group->key_length);
        group_free(group);
        return NULL;
    }
    list_append(&group->stream->groups, &group->node);
    return group;
}

bool group_reap(struct group *group)
{
    if (group->in_answer || group->request != GROUP_REQUEST_NONE)
        return false;
    struct list *node;
    while ((node = list_first(&group->leaving))) {
        list_remove(node);
        free(LIST_OWNER(node, struct group_consumer, node));
    }
    if (!list_empty(&group->consumers))
        return false;
    struct groups *groups = group->groups;
    map_remove(groups->by_name, group->key, group->key_length);
    list_remove(&group->node);
    leave_stream(groups, group->stream);
    group_free(group);
    return true;
}

struct groups *groups_create(struct event_base *base, struct commands *commands,
                             const struct groups_source *source, struct metrics *metrics, struct log *log)
{
    struct groups *groups = calloc(1, sizeof(*groups));
    if (!groups)
        return NULL;
    groups->base = base;
    groups->commands = commands;
    groups->source = *source;
    groups->metrics = metrics;
    groups->log = log;
    groups->by_name = map_create();
    groups->streams = map_create();
    if (groups->by_name && groups->streams)
        return groups;
    groups_destroy(groups);
    return NULL;
}

void groups_stop(struct groups *groups)
{
    if (groups)
        groups->commands = NULL;
}

void groups_destroy(struct groups *groups)
{
    if (!groups)
        return;
    map_destroy(groups->by_name);
    map_destroy(groups->streams);
    buffer_free(&groups->json);
    free(groups->fields);
    free(groups);
}

/* --- flights ------------------------------------------------------------------------------------------- */

struct flight *group_find_flight(const struct group *group, struct entry_id id)
{
    return map_get(group->flights, (const char *)&id, sizeof(id));
}

void group_remove_flight(struct group *group, struct flight *flight)
{
    map_remove(group->flights, (const char *)&flight->id, sizeof(flight->id));
    list_remove(&flight->node);
    flight->consumer->flight_count--;
    flight->consumer->reconcile_wait_ms = 0;
    free(flight);
}

bool group_add_flight(struct group *group, struct group_consumer *consumer, struct entry_id id,
                      uint64_t now_ms)
{
    struct flight *flight = group_find_flight(group, id);
    if (flight) {
        list_remove(&flight->node);
        flight->consumer->flight_count--;
    } else {
        flight = calloc(1, sizeof(*flight));
        if (!flight)
            return false;
        flight->id = id;
        if (!map_put(group->flights, (const char *)&flight->id, sizeof(flight->id), flight)) {
            free(flight);
            return false;
        }
    }
    flight->consumer = consumer;
    flight->since_ms = now_ms;
    list_append(&consumer->flights, &flight->node);
    consumer->flight_count++;
    if (entry_id_compare(id, consumer->last_id) > 0)
        consumer->last_id = id;
    if (entry_id_compare(id, group->last_id) > 0)
        group->last_id = id;
    return true;
}

size_t consumer_claim_room(const struct group_consumer *consumer, uint64_t now_ms)
{
    size_t room = consumer_room(consumer);
    for (const struct list *node = consumer->flights.next; node != &consumer->flights; node = node->next) {
        const struct flight *flight = LIST_OWNER(node, const struct flight, node);
        if (now_ms - flight->since_ms < consumer->idle_ms)
            break;
        room++;
    }
    return room < consumer->prefetch ? room : consumer->prefetch;
}

/* --- consumers ----------------------------------------------------------------------------------------- */

static struct group_consumer *find_consumer(const struct group *group, const char *name, size_t length)
{
    for (struct list *node = group->consumers.next; node != &group->consumers; node = node->next) {
        struct group_consumer *consumer = LIST_OWNER(node, struct group_consumer, node);
        if (consumer->name_length == length && memcmp(consumer->name, name, length) == 0)
            return consumer;
    }
    return NULL;
}

/* It gets nothing more; freed by group_reap(). */
static void detach(struct group_consumer *consumer)
{
    struct group *group = consumer->group;
    while (!list_empty(&consumer->flights))
        group_remove_flight(group, LIST_OWNER(consumer->flights.next, struct flight, node));
    consumer->has_left = true;
    list_remove(&consumer->node);
    list_append(&group->leaving, &consumer->node);
    group->groups->metrics->group_consumers--;
}

void consumer_end(struct group_consumer *consumer, enum consumer_end end, const char *problem)
{
    struct consumer_events events = consumer->events;
    detach(consumer);
    events.on_ended(events.context, end, problem);
}

void group_end_all(struct group *group, enum consumer_end end, const char *problem)
{
    while (!list_empty(&group->consumers))
        consumer_end(LIST_OWNER(group->consumers.next, struct group_consumer, node), end, problem);
}

static struct group_consumer *create_consumer(struct group *group, const struct consumer_request *request,
                                              const struct consumer_events *events)
{
    struct group_consumer *consumer = calloc(1, sizeof(*consumer) + request->consumer_length);
    if (!consumer)
        return NULL;
    consumer->group = group;
    consumer->events = *events;
    consumer->prefetch = request->prefetch;
    consumer->idle_ms = request->idle_ms;
    consumer->max_deliveries = request->max_deliveries;
    consumer->read_max = GROUP_READ_MAX;
    consumer->claim_due = true;
    consumer->name_length = request->consumer_length;
    memcpy(consumer->name, request->consumer, request->consumer_length);
    list_init(&consumer->flights);
    return consumer;
}

static void replace(struct group_consumer *older)
{
    consumer_end(older, CONSUMER_END_REPLACED, "a newer connection came under this consumer's name");
}

void groups_told(struct groups *groups, const struct group_news *news)
{
    struct group *group =
        groups_find(groups, news->stream, news->stream_length, news->group, news->group_length);
    if (!group)
        return;
    if (!news->is_newcomer) {
        group_settle(group, news);
        return;
    }
    struct group_consumer *older = find_consumer(group, news->consumer, news->consumer_length);
    if (!older)
        return;
    replace(older);
    if (!group_reap(group))
        group_step(group);
}

struct group_consumer *groups_consume(struct groups *groups, const struct consumer_request *request,
                                      const struct consumer_events *events)
{
    struct group *group =
        groups_find(groups, request->stream, request->stream_length, request->group, request->group_length);
    if (!group)
        group = create_group(groups, request);
    if (!group)
        return NULL;
    struct group_consumer *consumer = create_consumer(group, request, events);
    if (!consumer) {
        group_reap(group);
        return NULL;
    }
    struct group_consumer *older = find_consumer(group, consumer->name, consumer->name_length);
    list_append(&group->consumers, &consumer->node);
    groups->metrics->group_consumers++;
    if (older)
        replace(older);
    groups_tell(groups, &(struct group_news){ .stream = request->stream,
                                              .stream_length = request->stream_length,
                                              .group = request->group,
                                              .group_length = request->group_length,
                                              .consumer = request->consumer,
                                              .consumer_length = request->consumer_length,
                                              .is_newcomer = true });
    /* Whether the group is still there, and a stream, is what on_ready says. */
    group->exists = false;
    group_step(group);
    return consumer;
}

void group_consumer_start(struct group_consumer *consumer)
{
    consumer->is_started = true;
    group_step(consumer->group);
}

void group_consumer_pause(struct group_consumer *consumer)
{
    consumer->is_started = false;
}

void group_consumer_leave(struct group_consumer *consumer)
{
    struct group *group = consumer->group;
    struct group_names names = group_names_of(group);
    struct commands *commands = group->groups->commands;
    detach(consumer);
    /* Names that never come back would pile up in Redis. Without memory for it this one stays. */
    if (commands)
        (void)group_script_forget(commands, &names, consumer->name, consumer->name_length, NULL, NULL);
    if (!group_reap(group))
        group_step(group);
}

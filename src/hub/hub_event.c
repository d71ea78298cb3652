#include "hub/hub_event.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 4096
#define CAPACITY_KEPT (64u << 10)

/* A record: the event, the bytes of name and problem, and room up to the next aligned place. */
static size_t record_size(const struct hub_event *event)
{
    size_t size = sizeof *event + event->name_length + event->problem_length;
    return (size + _Alignof(struct hub_event) - 1) & ~(_Alignof(struct hub_event) - 1);
}

static bool make_room(struct hub_events *events, size_t size)
{
    size_t capacity = events->capacity ? events->capacity : CAPACITY_FIRST;
    while (capacity - events->size < size)
        capacity *= 2;
    if (capacity == events->capacity)
        return true;
    char *records = realloc(events->records, capacity);
    if (!records)
        return false;
    events->records = records;
    events->capacity = capacity;
    return true;
}

bool hub_events_append(struct hub_events *events, const struct hub_event *event)
{
    size_t size = record_size(event);
    if (!make_room(events, size))
        return false;
    char *record = events->records + events->size;
    memcpy(record, event, sizeof *event);
    if (event->name_length > 0)
        memcpy(record + sizeof *event, event->name, event->name_length);
    if (event->problem_length > 0)
        memcpy(record + sizeof *event + event->name_length, event->problem, event->problem_length);
    if (event->message) {
        message_retain(event->message);
        events->cost += message_cost(event->message);
    }
    events->size += size;
    events->cost += size + event->kept_count * sizeof(struct message *);
    return true;
}

bool hub_events_next(const struct hub_events *events, size_t *cursor, struct hub_event *ret_event)
{
    if (*cursor >= events->size)
        return false;
    const char *record = events->records + *cursor;
    memcpy(ret_event, record, sizeof *ret_event);
    const char *texts = record + sizeof *ret_event;
    if (ret_event->name)
        ret_event->name = texts;
    if (ret_event->problem)
        ret_event->problem = texts + ret_event->name_length;
    *cursor += record_size(ret_event);
    return true;
}

void hub_event_release_kept(struct message **kept, size_t count)
{
    for (size_t i = 0; i < count; i++)
        message_release(kept[i]);
    free(kept);
}

static void release_all(const struct hub_events *events)
{
    size_t cursor = 0;
    struct hub_event event;
    while (hub_events_next(events, &cursor, &event)) {
        message_release(event.message);
        hub_event_release_kept(event.kept, event.kept_count);
    }
}

void hub_events_clear(struct hub_events *events)
{
    release_all(events);
    free(events->records);
    *events = (struct hub_events){ 0 };
}

void hub_events_recycle(struct hub_events *events, struct hub_events *next)
{
    release_all(events);
    if (next->records || events->capacity > CAPACITY_KEPT)
        free(events->records);
    else
        *next = (struct hub_events){ .records = events->records, .capacity = events->capacity };
    *events = (struct hub_events){ 0 };
}

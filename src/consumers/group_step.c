/*
 * What a group asks Redis next. In this order:
 *
 *   CREATE      the group does not exist, or somebody wants to know whether it does
 *   RECOVER     a consumer has come back: what is pending under its name
 *   CLAIM       what has been pending for too long, or was given back, for the consumer with least to do
 *   RECONCILE   a consumer has no room: did others acknowledge for it, through another gateway?
 *   READ        what is new, for the consumer with most room
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "consumers/group_state.h"

struct candidates {
    struct group_consumer *recover;
    struct group_consumer *claim;
    struct group_consumer *reconcile;
    struct group_consumer *read;
    size_t readers;   /* consumers with room for new entries */
    uint64_t wake_ms; /* when a reconciliation is due that is not yet */
};

static void arm(struct group *group, uint64_t at_ms, uint64_t now_ms)
{
    uint64_t wait_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    struct timeval wait = { .tv_sec = (time_t)(wait_ms / 1000),
                            .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000) };
    (void)evtimer_add(group->timer, &wait);
}

static uint64_t tick_interval(const struct group *group)
{
    uint64_t interval_ms = GROUP_TICK_MS;
    for (const struct list *node = group->consumers.next; node != &group->consumers; node = node->next) {
        const struct group_consumer *consumer = LIST_OWNER(node, const struct group_consumer, node);
        if (consumer->idle_ms / 2 < interval_ms)
            interval_ms = consumer->idle_ms / 2;
    }
    return interval_ms > GROUP_TICK_MIN_MS ? interval_ms : GROUP_TICK_MIN_MS;
}

void group_claims_due(struct group *group)
{
    for (struct list *node = group->consumers.next; node != &group->consumers; node = node->next)
        LIST_OWNER(node, struct group_consumer, node)->claim_due = true;
}

/* A consumer has no room: looks soon, then less and less often, whether others made some. */
static void consider_reconcile(struct group_consumer *consumer, uint64_t now_ms, struct candidates *found)
{
    if (consumer->reconcile_wait_ms == 0) {
        consumer->reconcile_wait_ms = GROUP_RECONCILE_MIN_MS;
        consumer->reconcile_at_ms = now_ms + consumer->reconcile_wait_ms;
    }
    if (consumer->reconcile_at_ms <= now_ms)
        found->reconcile = consumer;
    else if (consumer->reconcile_at_ms < found->wake_ms)
        found->wake_ms = consumer->reconcile_at_ms;
}

static struct candidates find_candidates(struct group *group, uint64_t now_ms)
{
    struct candidates found = { .wake_ms = UINT64_MAX };
    for (struct list *node = group->consumers.next; node != &group->consumers; node = node->next) {
        struct group_consumer *consumer = LIST_OWNER(node, struct group_consumer, node);
        if (!consumer->is_started)
            continue;
        size_t room = consumer_room(consumer);
        if (room == 0)
            consider_reconcile(consumer, now_ms, &found);
        if (consumer->state == CONSUMER_RECOVERING && room > 0) {
            if (!found.recover)
                found.recover = consumer;
            continue;
        }
        if (consumer->claim_due && (!found.claim || consumer->flight_count < found.claim->flight_count) &&
            consumer_claim_room(consumer, now_ms) > 0)
            found.claim = consumer;
        if (room == 0)
            continue;
        found.readers++;
        if (!found.read || room > consumer_room(found.read))
            found.read = consumer;
    }
    return found;
}

/* --- requests ------------------------------------------------------------------------------------------ */

/* Where a group that is gone goes on: before what was not acknowledged, as far as we know. */
static struct entry_id restart_position(const struct group *group)
{
    struct entry_id position = group->last_id;
    size_t cursor = 0;
    const struct flight *flight;
    while ((flight = map_next(group->flights, &cursor)) != NULL) {
        struct entry_id before = entry_id_before(flight->id);
        if (entry_id_compare(before, position) < 0)
            position = before;
    }
    return position;
}

static bool ask_create(struct group *group)
{
    struct group_names names = group_names_of(group);
    group->request = GROUP_REQUEST_CREATE;
    return group_script_create(group->groups->commands, &names, !group->existed && group->start_at_new,
                               restart_position(group), group_answer, group);
}

static bool ask_claim(struct group *group, struct group_consumer *consumer, bool own, uint64_t now_ms)
{
    size_t room = own ? consumer_room(consumer) : consumer_claim_room(consumer, now_ms);
    struct group_claim claim = {
        .consumer = consumer->name,
        .consumer_length = consumer->name_length,
        .own = own,
        .after = own ? consumer->recover_after : consumer->claim_after,
        .idle_ms = consumer->idle_ms,
        .count = room < consumer->read_max ? room : consumer->read_max,
        .max_deliveries = consumer->max_deliveries,
    };
    struct group_names names = group_names_of(group);
    group->request = own ? GROUP_REQUEST_RECOVER : GROUP_REQUEST_CLAIM;
    group->asker = consumer;
    group->asked_count = claim.count;
    return group_script_claim(group->groups->commands, &names, &claim, group_answer, group);
}

static void flight_range(const struct group_consumer *consumer, struct entry_id *ret_first,
                         struct entry_id *ret_last)
{
    *ret_first = (struct entry_id){ .ms = UINT64_MAX, .sequence = UINT64_MAX };
    *ret_last = (struct entry_id){ 0 };
    for (const struct list *node = consumer->flights.next; node != &consumer->flights; node = node->next) {
        struct entry_id id = LIST_OWNER(node, const struct flight, node)->id;
        if (entry_id_compare(id, *ret_first) < 0)
            *ret_first = id;
        if (entry_id_compare(id, *ret_last) > 0)
            *ret_last = id;
    }
}

static bool ask_reconcile(struct group *group, struct group_consumer *consumer, uint64_t now_ms)
{
    struct entry_id first, last;
    char first_text[ENTRY_ID_LENGTH_MAX], last_text[ENTRY_ID_LENGTH_MAX], count[24];
    flight_range(consumer, &first, &last);
    entry_id_format(first, first_text);
    entry_id_format(last, last_text);
    group->asked_count = 2 * consumer->prefetch;
    snprintf(count, sizeof(count), "%zu", group->asked_count);
    const char *arguments[] = { "XPENDING", group->stream->name, group->name, first_text, last_text,
                                count,      consumer->name };
    const size_t lengths[] = { strlen("XPENDING"),   group->stream->length, group->name_length,
                               strlen(first_text),   strlen(last_text),     strlen(count),
                               consumer->name_length };
    const struct command command = { .count = 7, .arguments = arguments, .lengths = lengths };
    consumer->reconcile_wait_ms = consumer->reconcile_wait_ms * 2 < GROUP_RECONCILE_MAX_MS
                                      ? consumer->reconcile_wait_ms * 2
                                      : GROUP_RECONCILE_MAX_MS;
    consumer->reconcile_at_ms = now_ms + consumer->reconcile_wait_ms;
    group->request = GROUP_REQUEST_RECONCILE;
    group->asker = consumer;
    return commands_send(group->groups->commands, &command, 1, group_answer, group);
}

static bool ask_read(struct group *group, struct group_consumer *consumer, size_t readers)
{
    /* A fair share: the first to be asked must not get all there is. */
    size_t share = (consumer_room(consumer) + readers - 1) / readers;
    char count[24];
    group->asked_count = share < consumer->read_max ? share : consumer->read_max;
    snprintf(count, sizeof(count), "%zu", group->asked_count);
    const char *arguments[] = { "XREADGROUP", "GROUP", group->name, consumer->name,
                                "COUNT",      count,   "STREAMS",   group->stream->name,
                                ">" };
    const size_t lengths[] = { strlen("XREADGROUP"),  strlen("GROUP"),       group->name_length,
                               consumer->name_length, strlen("COUNT"),       strlen(count),
                               strlen("STREAMS"),     group->stream->length, 1 };
    const struct command command = { .count = 9, .arguments = arguments, .lengths = lengths };
    group->request = GROUP_REQUEST_READ;
    group->asker = consumer;
    group->news_since = false;
    /* Among those with the same room, the one that was asked longest ago is next. */
    list_remove(&consumer->node);
    list_append(&group->consumers, &consumer->node);
    return commands_send(group->groups->commands, &command, 1, group_answer, group);
}

/* False when it could not be asked for; true also when nothing is wanted. */
static bool ask(struct group *group, uint64_t now_ms, uint64_t *wake_ms)
{
    if (!group->exists)
        return ask_create(group);
    struct candidates found = find_candidates(group, now_ms);
    if (found.wake_ms < *wake_ms)
        *wake_ms = found.wake_ms;
    if (found.recover)
        return ask_claim(group, found.recover, true, now_ms);
    if (found.claim)
        return ask_claim(group, found.claim, false, now_ms);
    if (found.reconcile)
        return ask_reconcile(group, found.reconcile, now_ms);
    if (found.read && group->news)
        return ask_read(group, found.read, found.readers);
    return true;
}

void group_step(struct group *group)
{
    if (group->request != GROUP_REQUEST_NONE || group->in_answer || !group->groups->commands ||
        list_empty(&group->consumers))
        return;
    uint64_t now_ms = clock_now_ms();
    if (now_ms >= group->tick_at_ms) {
        group->tick_at_ms = now_ms + tick_interval(group);
        group->news = true;
        group_claims_due(group);
        consumed_stream_watch(group->groups, group->stream);
    }
    uint64_t wake_ms = group->tick_at_ms;
    if (now_ms < group->retry_at_ms) {
        wake_ms = group->retry_at_ms;
    } else if (!ask(group, now_ms, &wake_ms)) {
        group->request = GROUP_REQUEST_NONE;
        group->asker = NULL;
        group->retry_at_ms = wake_ms = now_ms + GROUP_RETRY_MS;
    }
    arm(group, wake_ms, now_ms);
}

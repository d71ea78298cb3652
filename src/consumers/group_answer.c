/* What Redis' answers mean to a group and its consumers. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "consumers/group_state.h"

#define PROBLEM_MAX 256

/* --- delivering ---------------------------------------------------------------------------------------- */

static bool read_id(const struct reply *reply, struct entry_id *ret_id)
{
    return reply->kind == REPLY_TEXT && entry_id_parse(reply->text, reply->text_length, ret_id);
}

/* Names and values alternate. False when memory is short. */
static bool read_fields(struct groups *groups, const struct reply *reply, size_t *ret_count)
{
    size_t count = reply->kind == REPLY_ARRAY ? reply->count / 2 : 0;
    if (count > groups->field_capacity) {
        struct entry_field *fields = realloc(groups->fields, count * sizeof(*fields));
        if (!fields)
            return false;
        groups->fields = fields;
        groups->field_capacity = count;
    }
    for (size_t i = 0; i < count; i++) {
        struct reply name = reply_element(reply, 2 * i), value = reply_element(reply, 2 * i + 1);
        groups->fields[i] = (struct entry_field){
            .name = name.text ? name.text : "",
            .name_length = name.text_length,
            .value = value.text ? value.text : "",
            .value_length = value.text_length,
        };
    }
    *ret_count = count;
    return true;
}

/* False when memory is short: the consumer has not seen the entry. */
static bool deliver(struct group_consumer *consumer, struct entry_id id, uint64_t deliveries,
                    const struct reply *fields, uint64_t now_ms)
{
    struct group *group = consumer->group;
    struct groups *groups = group->groups;
    struct group_entry entry = { .id = id, .deliveries = deliveries };
    buffer_reset(&groups->json);
    if (!read_fields(groups, fields, &entry.field_count))
        return false;
    entry_append_json(&groups->json, groups->fields, entry.field_count);
    if (groups->json.failed || !group_add_flight(group, consumer, id, now_ms))
        return false;
    entry.fields = groups->fields;
    entry.json = groups->json.data;
    entry.json_length = groups->json.size;
    groups->metrics->group_deliveries++;
    consumer->events.on_entry(consumer->events.context, &entry);
    return true;
}

/* What a consumer could not take is for others at once. */
static void release(struct group_consumer *consumer, const struct entry_id *ids, size_t count)
{
    struct group *group = consumer->group;
    struct group_names names = group_names_of(group);
    if (!group->groups->commands)
        return;
    /* Without memory for it they wait until they are idle. */
    if (group_script_ids(group->groups->commands, &names, GROUP_VERB_RELEASE, consumer->name,
                         consumer->name_length, ids, count, NULL, NULL))
        group_claims_due(group);
}

/* An entry of XREADGROUP is [id, fields], one of a claim [id, deliveries, fields]. */
static void deliver_all(struct group_consumer *consumer, const struct reply *entries)
{
    struct entry_id unseen[GROUP_READ_MAX];
    size_t unseen_count = 0;
    uint64_t now_ms = clock_now_ms();
    for (size_t i = 0; i < entries->count && unseen_count < GROUP_READ_MAX; i++) {
        struct reply entry = reply_element(entries, i);
        struct reply id_reply = reply_element(&entry, 0), second = reply_element(&entry, 1);
        struct reply third = reply_element(&entry, 2);
        bool is_claim = second.kind == REPLY_INTEGER;
        uint64_t deliveries = is_claim ? (uint64_t)second.integer : 1;
        struct entry_id id;
        if (!read_id(&id_reply, &id))
            continue;
        bool takes = consumer->is_started && !consumer->has_left;
        if (!takes || !deliver(consumer, id, deliveries, is_claim ? &third : &second, now_ms))
            unseen[unseen_count++] = id;
    }
    if (unseen_count > 0) {
        consumer->read_max = consumer->read_max > 1 ? consumer->read_max / 2 : 1;
        release(consumer, unseen, unseen_count);
    } else if (consumer->read_max < GROUP_READ_MAX) {
        consumer->read_max =
            consumer->read_max * 2 < GROUP_READ_MAX ? consumer->read_max * 2 : GROUP_READ_MAX;
    }
}

/* --- answers ------------------------------------------------------------------------------------------- */

static void take_read(struct group *group, struct group_consumer *consumer, const struct reply *reply)
{
    struct reply first = reply_element(reply, 0);
    struct reply entries = reply_element(&first, 1);
    size_t count = entries.kind == REPLY_ARRAY ? entries.count : 0;
    /* Less than asked for: that was all, but for what was added meanwhile. */
    group->news = count >= group->asked_count || group->news_since;
    deliver_all(consumer, &entries);
}

static void forget_ended(struct group *group, const struct reply *ids)
{
    for (size_t i = 0; i < ids->count; i++) {
        struct reply text = reply_element(ids, i);
        struct entry_id id;
        struct flight *flight = read_id(&text, &id) ? group_find_flight(group, id) : NULL;
        if (flight)
            group_remove_flight(group, flight);
    }
}

static void take_claim(struct group *group, struct group_consumer *consumer, const struct reply *reply,
                       bool own)
{
    struct groups *groups = group->groups;
    struct group_claimed claimed;
    if (!group_script_read_claim(reply, &claimed)) {
        group->retry_at_ms = clock_now_ms() + GROUP_RETRY_MS;
        return;
    }
    groups->metrics->group_claims += claimed.taken;
    groups->metrics->group_dead_letters += claimed.dead;
    if (claimed.problem.text_length > 0) {
        const struct log_field fields[] = {
            LOG_BYTES("stream", group->stream->name, group->stream->length),
            LOG_BYTES("problem", claimed.problem.text, claimed.problem.text_length),
        };
        log_event_limited(groups->log, &groups->limiter, LOG_LEVEL_ERROR,
                          "dead letters cannot be written; their entries stay pending", fields, 2);
    }
    bool was_all = claimed.seen < group->asked_count;
    forget_ended(group, &claimed.ended);
    if (own) {
        if (claimed.seen > 0)
            consumer->recover_after = claimed.last;
        if (was_all)
            consumer->state = CONSUMER_LIVE;
    } else if (was_all) {
        consumer->claim_after = (struct entry_id){ 0 };
        for (struct list *node = group->consumers.next; node != &group->consumers; node = node->next) {
            struct group_consumer *other = LIST_OWNER(node, struct group_consumer, node);
            if (other->idle_ms >= consumer->idle_ms)
                other->claim_due = false;
        }
    } else if (claimed.entries.count + claimed.ended.count == 0) {
        /* Nothing but dead letters that cannot be written: with the next tick it goes on behind them. */
        consumer->claim_due = false;
        consumer->claim_after = claimed.last;
    }
    deliver_all(consumer, &claimed.entries);
    if (claimed.missing > 0 && !consumer->has_left && consumer->events.on_gap)
        consumer->events.on_gap(consumer->events.context, "trimmed", claimed.missing);
}

/* XPENDING lists what is pending for a consumer, in the order of ids: [id, consumer, idle, deliveries]. */
static void take_pending(struct group *group, struct group_consumer *consumer, const struct reply *reply)
{
    struct entry_id last = { .ms = UINT64_MAX, .sequence = UINT64_MAX };
    if (consumer->has_left || reply->kind != REPLY_ARRAY)
        return;
    for (size_t i = 0; i < reply->count; i++) {
        struct reply row = reply_element(reply, i), text = reply_element(&row, 0);
        struct entry_id id;
        if (!read_id(&text, &id))
            return;
        struct flight *flight = group_find_flight(group, id);
        if (flight)
            flight->confirmed = true;
        if (i + 1 == group->asked_count)
            last = id; /* there may be more */
    }
    struct list *next;
    for (struct list *node = consumer->flights.next; node != &consumer->flights; node = next) {
        next = node->next;
        struct flight *flight = LIST_OWNER(node, struct flight, node);
        if (!flight->confirmed && entry_id_compare(flight->id, last) <= 0)
            group_remove_flight(group, flight);
        else
            flight->confirmed = false;
    }
}

/* Nothing is known any more of what was on its way. */
static void forget_flights(struct group *group)
{
    for (struct list *node = group->consumers.next; node != &group->consumers; node = node->next) {
        struct group_consumer *consumer = LIST_OWNER(node, struct group_consumer, node);
        consumer->gap_due = consumer->is_ready;
        consumer->last_id = group->last_id;
        while (!list_empty(&consumer->flights))
            group_remove_flight(group, LIST_OWNER(consumer->flights.next, struct flight, node));
    }
}

/* A callback may let any consumer go, so the walk begins afresh after each. */
static struct group_consumer *find_untold(const struct group *group, bool ready)
{
    for (struct list *node = group->consumers.next; node != &group->consumers; node = node->next) {
        struct group_consumer *consumer = LIST_OWNER(node, struct group_consumer, node);
        if (ready ? !consumer->is_ready : consumer->gap_due)
            return consumer;
    }
    return NULL;
}

static void tell_ready(struct group *group)
{
    struct group_consumer *consumer;
    while ((consumer = find_untold(group, true)) != NULL) {
        consumer->is_ready = true;
        if (consumer->events.on_ready)
            consumer->events.on_ready(consumer->events.context);
    }
}

static void tell_gap(struct group *group)
{
    struct group_consumer *consumer;
    while ((consumer = find_untold(group, false)) != NULL) {
        consumer->gap_due = false;
        if (consumer->events.on_gap)
            consumer->events.on_gap(consumer->events.context, "group-reset", 0);
    }
}

static void take_create(struct group *group, const struct reply *reply)
{
    bool was_made;
    struct entry_id position;
    if (!group_script_read_create(reply, &was_made, &position)) {
        group->retry_at_ms = clock_now_ms() + GROUP_RETRY_MS;
        return;
    }
    bool was_lost = group->lost || (was_made && group->existed);
    group->last_id = position;
    group->exists = true;
    group->existed = true;
    group->lost = false;
    group->news = true;
    if (was_lost) {
        const struct log_field fields[] = {
            LOG_BYTES("stream", group->stream->name, group->stream->length),
            LOG_BYTES("group", group->name, group->name_length),
        };
        log_event(group->groups->log, LOG_LEVEL_WARN, "the group had vanished and was made again", fields, 2);
        forget_flights(group);
    }
    tell_ready(group);
    tell_gap(group);
}

static void take_reply(struct group *group, enum group_request request, struct group_consumer *asker,
                       const struct reply *reply)
{
    switch (request) {
    case GROUP_REQUEST_CREATE:
        take_create(group, reply);
        break;
    case GROUP_REQUEST_RECOVER:
    case GROUP_REQUEST_CLAIM:
        take_claim(group, asker, reply, request == GROUP_REQUEST_RECOVER);
        break;
    case GROUP_REQUEST_RECONCILE:
        take_pending(group, asker, reply);
        break;
    case GROUP_REQUEST_READ:
        take_read(group, asker, reply);
        break;
    case GROUP_REQUEST_NONE:
        break;
    }
}

/* --- errors -------------------------------------------------------------------------------------------- */

static void try_again(struct group *group)
{
    group->retry_at_ms = clock_now_ms() + GROUP_RETRY_MS;
    /* Whoever comes while Redis is away waits with an open stream. */
    tell_ready(group);
}

static void take_error(struct group *group, const struct reply *reply)
{
    char problem[PROBLEM_MAX];
    size_t length = reply->text_length < sizeof(problem) - 1 ? reply->text_length : sizeof(problem) - 1;
    if (length > 0)
        memcpy(problem, reply->text, length);
    problem[length] = '\0';
    switch (group_error_of(reply)) {
    case GROUP_ERROR_NO_GROUP:
        group->exists = false;
        group->lost = group->existed;
        break;
    case GROUP_ERROR_WRONG_TYPE:
        group_end_all(group, CONSUMER_END_WRONG_TYPE, problem);
        break;
    case GROUP_ERROR_REFUSED:
        group_end_all(group, CONSUMER_END_REFUSED, problem);
        break;
    case GROUP_ERROR_TRANSIENT: {
        const struct log_field fields[] = {
            LOG_BYTES("stream", group->stream->name, group->stream->length),
            LOG_TEXT("problem", problem),
            LOG_TEXT("remedy", reply_error_remedy(reply)),
        };
        log_event_limited(group->groups->log, &group->groups->limiter, LOG_LEVEL_WARN,
                          "redis cannot serve a group; trying again", fields, 3);
        try_again(group);
        break;
    }
    }
}

/* The link broke. What a read took on its way here is pending for its consumer, behind all it has seen. */
static void take_loss(struct group *group, enum group_request request, struct group_consumer *asker,
                      bool may_have_happened)
{
    if (may_have_happened && asker) {
        /* Or the answer was too large to be read. */
        asker->read_max = asker->read_max > 1 ? asker->read_max / 2 : 1;
        if (request == GROUP_REQUEST_READ) {
            asker->state = CONSUMER_RECOVERING;
            asker->recover_after = asker->last_id;
        }
    }
    try_again(group);
}

void group_answer(void *context, enum commands_status status, const struct reply *reply)
{
    struct group *group = context;
    enum group_request request = group->request;
    struct group_consumer *asker = group->asker;
    group->request = GROUP_REQUEST_NONE;
    group->asker = NULL;
    group->in_answer = true;
    if (group->groups->commands) {
        if (status == COMMANDS_OK)
            take_reply(group, request, asker, reply);
        else if (status == COMMANDS_ERROR)
            take_error(group, reply);
        else
            take_loss(group, request, asker, status == COMMANDS_UNCERTAIN);
    }
    group->in_answer = false;
    if (!group_reap(group))
        group_step(group);
}

/* Acknowledging, giving back, holding on to and giving up: what is done to entries by their ids. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "consumers/group_state.h"

#define PROBLEM_MAX 256

struct ids_request {
    struct groups *groups;
    group_ids_done *answer;
    void *context;
    enum group_verb verb;
    size_t count;
    size_t stream_length, group_length, consumer_length;
    bool *done;  /* of each id */
    char *names; /* stream, group, consumer */
    struct entry_id ids[];
};

/* --- the request --------------------------------------------------------------------------------------- */

static void request_free(struct ids_request *request)
{
    free(request->done);
    free(request->names);
    free(request);
}

static struct ids_request *request_create(struct groups *groups, const struct group_ids *ids,
                                          enum group_verb verb, group_ids_done *answer, void *context)
{
    struct ids_request *request = calloc(1, sizeof(*request) + ids->count * sizeof(ids->ids[0]));
    struct buffer names = { 0 };
    if (!request)
        return NULL;
    buffer_append(&names, ids->stream, ids->stream_length);
    buffer_append(&names, ids->group, ids->group_length);
    buffer_append(&names, ids->consumer, ids->consumer ? ids->consumer_length : 0);
    size_t length;
    request->names = buffer_take(&names, &length);
    request->done = calloc(ids->count, sizeof(*request->done));
    if (!request->names || !request->done) {
        request_free(request);
        return NULL;
    }
    request->groups = groups;
    request->answer = answer;
    request->context = context;
    request->verb = verb;
    request->count = ids->count;
    request->stream_length = ids->stream_length;
    request->group_length = ids->group_length;
    request->consumer_length = ids->consumer ? ids->consumer_length : 0;
    memcpy(request->ids, ids->ids, ids->count * sizeof(ids->ids[0]));
    return request;
}

/* --- what it means here -------------------------------------------------------------------------------- */

/* An id that is not pending, for its consumer or at all, is in flight for nobody. */
static bool is_over(const struct group_news *news, size_t index, const struct flight *flight)
{
    if (news->done[index] || news->consumer_length == 0)
        return true;
    return flight->consumer->name_length == news->consumer_length &&
           memcmp(flight->consumer->name, news->consumer, news->consumer_length) == 0;
}

void group_settle(struct group *group, const struct group_news *news)
{
    for (size_t i = 0; i < news->count; i++) {
        struct flight *flight = group_find_flight(group, news->ids[i]);
        if (flight && is_over(news, i, flight))
            group_remove_flight(group, flight);
    }
    if (news->are_free)
        group_claims_due(group);
    group_step(group);
}

static void count_done(const struct ids_request *request)
{
    uint64_t count = 0;
    for (size_t i = 0; i < request->count; i++)
        count += request->done[i];
    if (request->verb == GROUP_VERB_ACK)
        request->groups->metrics->group_acks += count;
    else if (request->verb == GROUP_VERB_NACK)
        request->groups->metrics->group_nacks += count;
}

static void take_done(struct ids_request *request, const struct reply *reply)
{
    for (size_t i = 0; i < request->count; i++) {
        struct reply one = reply_element(reply, i);
        request->done[i] = one.kind == REPLY_INTEGER && one.integer > 0;
    }
    count_done(request);
    const struct group_news news = { .stream = request->names,
                                     .stream_length = request->stream_length,
                                     .group = request->names + request->stream_length,
                                     .group_length = request->group_length,
                                     .consumer =
                                         request->names + request->stream_length + request->group_length,
                                     .consumer_length = request->consumer_length,
                                     .are_free = request->verb != GROUP_VERB_ACK,
                                     .ids = request->ids,
                                     .done = request->done,
                                     .count = request->count };
    groups_told(request->groups, &news);
    groups_tell(request->groups, &news);
}

static enum group_ids_status status_of(const struct reply *reply)
{
    switch (group_error_of(reply)) {
    case GROUP_ERROR_NO_GROUP:
        return GROUP_IDS_NO_GROUP;
    case GROUP_ERROR_WRONG_TYPE:
        return GROUP_IDS_WRONG_TYPE;
    case GROUP_ERROR_REFUSED:
        return GROUP_IDS_REFUSED;
    case GROUP_ERROR_TRANSIENT:
        break;
    }
    return reply_error_is_transient(reply) ? GROUP_IDS_UNAVAILABLE : GROUP_IDS_REFUSED;
}

static void on_done(void *context, enum commands_status commands_status, const struct reply *reply)
{
    struct ids_request *request = context;
    enum group_ids_status status = GROUP_IDS_UNAVAILABLE;
    char problem[PROBLEM_MAX] = "Redis does not answer";
    if (commands_status == COMMANDS_OK) {
        status = GROUP_IDS_DONE;
        take_done(request, reply);
    } else if (commands_status == COMMANDS_ERROR) {
        size_t length = reply->text_length < sizeof(problem) - 1 ? reply->text_length : sizeof(problem) - 1;
        status = status_of(reply);
        memcpy(problem, reply->text, length);
        problem[length] = '\0';
    }
    if (request->answer)
        request->answer(request->context, status, status == GROUP_IDS_DONE ? request->done : NULL,
                        request->count, problem);
    request_free(request);
}

static bool send_ids(struct groups *groups, const struct group_ids *ids, enum group_verb verb,
                     group_ids_done *answer, void *context)
{
    if (!groups->commands)
        return false;
    struct ids_request *request = request_create(groups, ids, verb, answer, context);
    if (!request)
        return false;
    const struct group_names names = { .stream = ids->stream,
                                       .stream_length = ids->stream_length,
                                       .group = ids->group,
                                       .group_length = ids->group_length };
    if (group_script_ids(groups->commands, &names, verb, ids->consumer, ids->consumer_length, ids->ids,
                         ids->count, on_done, request))
        return true;
    request_free(request);
    return false;
}

bool groups_ack(struct groups *groups, const struct group_ids *ids, group_ids_done *answer, void *context)
{
    return send_ids(groups, ids, GROUP_VERB_ACK, answer, context);
}

bool groups_nack(struct groups *groups, const struct group_ids *ids, group_ids_done *answer, void *context)
{
    return send_ids(groups, ids, GROUP_VERB_NACK, answer, context);
}

/* --- a consumer's own ---------------------------------------------------------------------------------- */

static struct group_ids ids_of(const struct group_consumer *consumer, const struct entry_id *ids,
                               size_t count)
{
    const struct group *group = consumer->group;
    return (struct group_ids){ .stream = group->stream->name,
                               .stream_length = group->stream->length,
                               .group = group->name,
                               .group_length = group->name_length,
                               .ids = ids,
                               .count = count };
}

bool group_consumer_ack(struct group_consumer *consumer, const struct entry_id *ids, size_t count,
                        group_ids_done *answer, void *context)
{
    struct group_ids mine = ids_of(consumer, ids, count);
    return groups_ack(consumer->group->groups, &mine, answer, context);
}

bool group_consumer_nack(struct group_consumer *consumer, const struct entry_id *ids, size_t count,
                         group_ids_done *answer, void *context)
{
    struct group_ids mine = ids_of(consumer, ids, count);
    mine.consumer = consumer->name;
    mine.consumer_length = consumer->name_length;
    return groups_nack(consumer->group->groups, &mine, answer, context);
}

bool group_consumer_release(struct group_consumer *consumer, const struct entry_id *ids, size_t count)
{
    struct group_ids mine = ids_of(consumer, ids, count);
    mine.consumer = consumer->name;
    mine.consumer_length = consumer->name_length;
    return send_ids(consumer->group->groups, &mine, GROUP_VERB_RELEASE, NULL, NULL);
}

bool group_consumer_touch(struct group_consumer *consumer, const struct entry_id *ids, size_t count)
{
    struct group *group = consumer->group;
    struct group_names names = group_names_of(group);
    uint64_t now_ms = clock_now_ms();
    if (!group->groups->commands ||
        !group_script_ids(group->groups->commands, &names, GROUP_VERB_TOUCH, consumer->name,
                          consumer->name_length, ids, count, NULL, NULL))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct flight *flight = group_find_flight(group, ids[i]);
        if (flight && flight->consumer == consumer)
            (void)group_add_flight(group, consumer, ids[i], now_ms); /* to the end of the list */
    }
    return true;
}

/* The group may be gone when the answer comes, so it is not in the context. */
static void on_buried(void *context, enum commands_status status, const struct reply *reply)
{
    struct groups *groups = context;
    if (status == COMMANDS_OK && reply->kind == REPLY_INTEGER && reply->integer == 1) {
        groups->metrics->group_dead_letters++;
    } else if (status == COMMANDS_ERROR) {
        const struct log_field fields[] = { LOG_BYTES("problem", reply->text, reply->text_length) };
        log_event_limited(groups->log, &groups->limiter, LOG_LEVEL_ERROR,
                          "a dead letter cannot be written; its entry stays pending", fields, 1);
    }
}

bool group_consumer_bury(struct group_consumer *consumer, struct entry_id id, const char *reason)
{
    struct group *group = consumer->group;
    struct group_names names = group_names_of(group);
    if (!group->groups->commands ||
        !group_script_bury(group->groups->commands, &names, consumer->name, consumer->name_length, id, reason,
                           on_buried, group->groups))
        return false;
    /* If Redis cannot do it, the entry comes again when it has been idle for long enough. */
    struct flight *flight = group_find_flight(group, id);
    if (flight && flight->consumer == consumer)
        group_remove_flight(group, flight);
    group_step(group);
    return true;
}

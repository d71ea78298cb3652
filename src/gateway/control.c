#include "gateway/control.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "front/roll_call.h"
#include "gateway/shared_access.h"
#include "gateway/worker.h"
#include "hub/hub_revoke.h"
#include "wire/entry_id.h"

#define SUBJECTS_PER_WORKER_MAX 1000
#define MISSED_MAX "1000" /* at a time */
#define READ_AGAIN_S 1
#define SUBSCRIBE_AGAIN_S 5

struct control {
    struct gateway *gateway;
    bool is_refused;  /* Redis does not let us listen; its ACL may change */
    bool is_behind;   /* may have missed revocations */
    bool is_reading;  /* what it has missed */
    bool is_outdated; /* … before it lost the feed once more: read again */
    bool has_last;    /* … behind this one: */
    struct entry_id last;
    struct event *again; /* asks what could not be asked, or was refused */
    struct log_limiter limiter;
};

/* What a worker is to do. */
struct order {
    char token[CONTROL_TOKEN_LENGTH + 1]; /* empty: nobody waits for an answer */
    size_t subject_length;                /* 0: list */
    char subject[];
};

static void read_missed(struct control *control);

static void on_again(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct control *control = context;
    if (control->is_refused && control->gateway->feed && feed_is_up(control->gateway->feed))
        control_feed_up(control);
    else
        read_missed(control);
}

struct control *control_create(struct gateway *gateway)
{
    struct control *control = calloc(1, sizeof *control);
    if (!control)
        return NULL;
    control->gateway = gateway;
    control->again = evtimer_new(gateway->base, on_again, control);
    if (control->again)
        return control;
    free(control);
    return NULL;
}

void control_destroy(struct control *control)
{
    if (!control)
        return;
    event_free(control->again);
    free(control);
}

bool control_is_own_channel(const char *channel, size_t length)
{
    return text_is(text_of(channel, length), CONTROL_CHANNEL);
}

/* ---- doing it ---- */

static void on_reported(void *context, enum commands_status status, const struct reply *reply)
{
    (void)context;
    (void)status; /* who asked sees that an answer is missing */
    (void)reply;
}

static void report(struct worker *worker, const char *token, const struct buffer *value)
{
    char key[sizeof(ROLL_CALL_KEY_PREFIX) + CONTROL_TOKEN_LENGTH], field[64];
    const struct gateway *gateway = worker->gateway;
    snprintf(key, sizeof key, "%s%s", ROLL_CALL_KEY_PREFIX, token);
    snprintf(field, sizeof field, "%" PRIu64 ".%u.%u", gateway->hub_shared.epoch, worker->number,
             gateway->worker_count);
    const char *set[] = { "HSET", key, field, value->data };
    const size_t set_lengths[] = { 4, strlen(key), strlen(field), value->size };
    const char *expire[] = { "PEXPIRE", key, ROLL_CALL_KEPT_MS };
    const size_t expire_lengths[] = { 7, strlen(key), strlen(ROLL_CALL_KEPT_MS) };
    const struct command commands[] = { { 4, set, set_lengths }, { 3, expire, expire_lengths } };
    if (worker->commands && !value->failed)
        (void)commands_send(worker->commands, commands, 2, on_reported, NULL);
}

static void obey(struct worker *worker, void *context)
{
    struct order *order = context;
    struct buffer value = { 0 };
    if (order->subject_length > 0) {
        buffer_append_unsigned(&value, hub_revoke(worker->hub, order->subject, order->subject_length));
    } else {
        hub_append_subjects(worker->hub, SUBJECTS_PER_WORKER_MAX, &value);
    }
    if (*order->token)
        report(worker, order->token, &value);
    buffer_free(&value);
    free(order);
}

/* False when memory is short. */
static bool order_worker(struct worker *worker, struct text token, struct text subject)
{
    struct order *order = calloc(1, sizeof(*order) + subject.length);
    if (!order)
        return false;
    if (token.length == CONTROL_TOKEN_LENGTH)
        memcpy(order->token, token.bytes, token.length);
    order->subject_length = subject.length;
    if (subject.length > 0)
        memcpy(order->subject, subject.bytes, subject.length);
    if (worker->is_local) {
        obey(worker, order);
        return true;
    }
    if (worker_call(worker, obey, free, order))
        return true;
    free(order);
    return false;
}

/* False when memory is short: not all workers are told. */
static bool order_all(struct control *control, struct text token, struct text subject)
{
    const struct gateway *gateway = control->gateway;
    bool is_ordered = true;
    /* First: what workers were told of before is then ahead of the order, and what they are told behind it is
     * from after. */
    if (subject.length > 0)
        shared_access_forget(gateway->shared_access, subject);
    for (unsigned i = 0; i < gateway->worker_count; i++)
        is_ordered &= order_worker(gateway->workers[i], token, subject);
    return is_ordered;
}

static void note_last(struct control *control, struct entry_id id)
{
    if (control->has_last && entry_id_compare(id, control->last) <= 0)
        return;
    control->last = id;
    control->has_last = true;
}

/* More waits for Redis than may, or memory is short: be it for this, all is asked for with a new connection.
 */
static void read_again(struct control *control)
{
    const struct timeval wait = { .tv_sec = READ_AGAIN_S };
    if (evtimer_add(control->again, &wait) != 0 && control->gateway->feed)
        feed_reset(control->gateway->feed, "memory is short");
}

/* A revocation for which memory is short is kept in Redis, and as good as missed. Who asked for it sees that
 * an answer is missing. */
static void fall_behind(struct control *control, struct entry_id id, struct text subject)
{
    log_event_limited(control->gateway->log, &control->limiter, LOG_LEVEL_WARN,
                      "memory was short for a revocation; it is tried again",
                      (const struct log_field[]){ LOG_BYTES("subject", subject.bytes, subject.length) }, 1);
    if (!control->has_last)
        note_last(control, entry_id_before(id));
    control->is_behind = true;
    control->is_outdated = control->is_reading;
    read_again(control);
}

/* Whoever can publish on our channel is trusted as Redis is, but not to spell. */
void control_message(struct control *control, const char *payload, size_t length)
{
    struct text rest = text_of(payload, length), verb, token, id;
    struct entry_id entry;
    if (!text_split(&rest, ' ', &verb) || !text_split(&rest, ' ', &token) ||
        token.length != CONTROL_TOKEN_LENGTH)
        return;
    if (text_is(verb, "list") && !rest.bytes) {
        (void)order_all(control, token, (struct text){ 0 });
    } else if (text_is(verb, "revoke") && text_split(&rest, ' ', &id) && rest.length > 0 &&
               entry_id_parse(id.bytes, id.length, &entry)) {
        if (!order_all(control, token, rest))
            fall_behind(control, entry, rest);
        else if (!control->is_behind)
            note_last(control, entry);
    }
}

/* ---- what was missed ---- */

/* Whether there may be more. */
static bool take_missed(struct control *control, const struct reply *entries, bool is_first)
{
    const struct entry_id before = control->last;
    for (size_t i = 0; i < entries->count; i++) {
        struct reply entry = reply_element(entries, i);
        struct reply id_text = reply_element(&entry, 0);
        struct reply fields = reply_element(&entry, 1);
        struct reply subject = reply_element(&fields, 1);
        struct entry_id id;
        if (id_text.kind != REPLY_TEXT || !entry_id_parse(id_text.text, id_text.text_length, &id))
            continue;
        struct text whose = text_of(subject.text, subject.kind == REPLY_TEXT ? subject.text_length : 0);
        if (!is_first && whose.length > 0 && !order_all(control, (struct text){ 0 }, whose)) {
            fall_behind(control, id, whose);
            return false;
        }
        note_last(control, id);
    }
    control->has_last = true; /* if there is none, all that come are new */
    return !is_first && entry_id_compare(control->last, before) > 0;
}

static void on_missed(void *context, enum commands_status status, const struct reply *reply)
{
    struct control *control = context;
    bool is_outdated = control->is_outdated;
    control->is_reading = control->is_outdated = false;
    if (status == COMMANDS_OK) {
        control->is_behind = false;
        bool has_more = take_missed(control, reply, !control->has_last) || is_outdated;
        control->is_behind |= has_more;
        if (has_more)
            read_missed(control);
    } else if (status == COMMANDS_ERROR) {
        log_event_limited(control->gateway->log, &control->limiter, LOG_LEVEL_WARN,
                          "redis refused to say who was revoked; it needs XRANGE on sluice:*",
                          (const struct log_field[]){ LOG_BYTES("problem", reply->text, reply->text_length) },
                          1);
        if (reply_error_is_transient(reply))
            read_again(control);
    } else if (status == COMMANDS_UNSENT) {
        read_again(control);
    }
    /* Else the connection was lost, and is asked when it is back. */
}

static void read_missed(struct control *control)
{
    char after[ENTRY_ID_LENGTH_MAX + 1] = "(";
    struct commands *commands = control->gateway->commands;
    if (!commands || !control->is_behind || control->is_reading)
        return;
    entry_id_format(control->last, after + 1);
    const char *range[] = { "XRANGE", REVOCATIONS_KEY, after, "+", "COUNT", MISSED_MAX };
    const size_t range_lengths[] = { 6, strlen(REVOCATIONS_KEY), strlen(after), 1, 5, strlen(MISSED_MAX) };
    const char *newest[] = { "XREVRANGE", REVOCATIONS_KEY, "+", "-", "COUNT", "1" };
    const size_t newest_lengths[] = { 9, strlen(REVOCATIONS_KEY), 1, 1, 5, 1 };
    const struct command command = control->has_last ? (struct command){ 6, range, range_lengths }
                                                     : (struct command){ 6, newest, newest_lengths };
    control->is_reading = commands_send(commands, &command, 1, on_missed, control);
    if (!control->is_reading)
        read_again(control);
}

void control_feed_up(struct control *control)
{
    control->is_refused = false;
    control->is_behind = true;
    control->is_outdated = control->is_reading;
    (void)feed_subscribe(control->gateway->feed, FEED_CHANNEL, CONTROL_CHANNEL, strlen(CONTROL_CHANNEL));
}

void control_refused(struct control *control, const char *problem)
{
    log_event_limited(control->gateway->log, &control->limiter, LOG_LEVEL_ERROR,
                      "redis refused the channel by which streams are revoked; the user needs &sluice:*",
                      (const struct log_field[]){ LOG_TEXT("problem", problem) }, 1);
    const struct timeval wait = { .tv_sec = SUBSCRIBE_AGAIN_S };
    control->is_refused = true;
    if (evtimer_add(control->again, &wait) != 0)
        feed_reset(control->gateway->feed, "memory is short");
}

void control_confirmed(struct control *control)
{
    read_missed(control);
}

void control_commands_up(struct control *control)
{
    read_missed(control);
}

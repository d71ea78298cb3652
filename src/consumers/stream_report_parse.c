/*
 * From Redis' replies to a report. `XINFO STREAM … FULL` answers maps as flat arrays of names and values;
 * names that a version does not have are NIL here.
 */
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "consumers/stream_report.h"
#include "consumers/stream_report_reply.h"

/* An id from before is a number that somebody chose, not a time: 2010-01-01. */
#define ID_TIME_MIN_MS UINT64_C(1262304000000)

/* ---- values ---- */

static struct reply member(const struct reply *map, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i + 1 < map->count; i += 2) {
        struct reply key = reply_element(map, i);
        if (key.kind == REPLY_TEXT && key.text_length == length && memcmp(key.text, name, length) == 0)
            return reply_element(map, i + 1);
    }
    return (struct reply){ .kind = REPLY_NIL };
}

static uint64_t number_of(const struct reply *reply)
{
    return reply->kind == REPLY_INTEGER && reply->integer > 0 ? (uint64_t)reply->integer : 0;
}

static uint64_t member_number(const struct reply *map, const char *name)
{
    struct reply value = member(map, name);
    return number_of(&value);
}

static struct entry_id id_of(const struct reply *reply)
{
    struct entry_id id = { 0 };
    if (reply->kind == REPLY_TEXT && !entry_id_parse(reply->text, reply->text_length, &id))
        return (struct entry_id){ 0 };
    return id;
}

static struct entry_id member_id(const struct reply *map, const char *name)
{
    struct reply value = member(map, name);
    return id_of(&value);
}

/* The id of the first of an array of entries; 0-0 when there is none. */
static struct entry_id first_id(const struct reply *entries)
{
    struct reply entry = reply_element(entries, 0);
    struct reply id = reply_element(&entry, 0);
    return id_of(&id);
}

static bool copy_text(const struct reply *reply, char **ret_text, size_t *ret_length)
{
    if (reply->kind != REPLY_TEXT)
        return false;
    char *text = malloc(reply->text_length + 1);
    if (!text)
        return false;
    memcpy(text, reply->text, reply->text_length);
    text[reply->text_length] = '\0';
    *ret_text = text;
    *ret_length = reply->text_length;
    return true;
}

/* TIME: seconds and microseconds, as text. Redis' clock is the one its deliveries are stamped by. */
static uint64_t clock_of(const struct reply *time)
{
    struct reply seconds_text = reply_element(time, 0), microseconds_text = reply_element(time, 1);
    uint64_t seconds, microseconds;
    if (seconds_text.kind != REPLY_TEXT || microseconds_text.kind != REPLY_TEXT ||
        !parse_unsigned(seconds_text.text, seconds_text.text_length, &seconds) ||
        !parse_unsigned(microseconds_text.text, microseconds_text.text_length, &microseconds))
        return 0;
    return seconds * 1000 + microseconds / 1000;
}

/* ---- pending entries ---- */

static uint64_t since(uint64_t now_ms, uint64_t then_ms)
{
    return now_ms > then_ms ? now_ms - then_ms : 0;
}

/* How long an entry has been pending; XINFO writes it with its consumer or, below a consumer, without. */
static uint64_t pending_ms(const struct reply *entry, uint64_t now_ms)
{
    struct reply id = reply_element(entry, 0);
    struct reply delivered = reply_element(entry, entry->count == 4 ? 2 : 1);
    struct reply deliveries = reply_element(entry, entry->count == 4 ? 3 : 2);
    uint64_t idle_ms = since(now_ms, number_of(&delivered));
    uint64_t added_ms = id_of(&id).ms;
    if (number_of(&deliveries) <= 1 || added_ms < ID_TIME_MIN_MS || added_ms > now_ms)
        return idle_ms;
    return since(now_ms, added_ms) > idle_ms ? since(now_ms, added_ms) : idle_ms;
}

/* Of those that XINFO lists: the first by id, of the group or of a consumer. */
static uint64_t oldest_pending_ms(const struct reply *owner, uint64_t now_ms)
{
    struct reply list = member(owner, "pel");
    if (list.kind == REPLY_NIL)
        list = member(owner, "pending");
    struct reply entry = reply_element(&list, 0);
    return entry.kind == REPLY_ARRAY ? pending_ms(&entry, now_ms) : 0;
}

/* ---- groups ---- */

static bool parse_consumer(const struct reply *reply, uint64_t now_ms,
                           struct stream_report_consumer *consumer)
{
    struct reply name = member(reply, "name");
    consumer->pending = member_number(reply, "pel-count");
    consumer->idle_ms = since(now_ms, member_number(reply, "seen-time"));
    return copy_text(&name, &consumer->name, &consumer->name_length);
}

static bool parse_consumers(const struct reply *consumers, uint64_t now_ms, struct stream_report_group *group)
{
    group->consumer_count = consumers->count;
    size_t count =
        consumers->count < STREAM_REPORT_CONSUMERS_MAX ? consumers->count : STREAM_REPORT_CONSUMERS_MAX;
    group->consumers = calloc(count ? count : 1, sizeof(*group->consumers));
    if (!group->consumers)
        return false;
    for (size_t i = 0; i < consumers->count; i++) {
        struct reply consumer = reply_element(consumers, i);
        uint64_t oldest_ms = oldest_pending_ms(&consumer, now_ms);
        if (oldest_ms > group->oldest_pending_ms)
            group->oldest_pending_ms = oldest_ms;
        if (i < count && !parse_consumer(&consumer, now_ms, &group->consumers[group->listed_count++]))
            return false;
    }
    return true;
}

static bool parse_group(const struct reply *reply, uint64_t now_ms, struct stream_lag_source lag_source,
                        struct stream_report_group *group)
{
    struct reply name = member(reply, "name");
    struct reply read = member(reply, "entries-read"), lag = member(reply, "lag");
    struct reply consumers = member(reply, "consumers");
    group->last_delivered = member_id(reply, "last-delivered-id");
    group->pending = member_number(reply, "pel-count");
    group->oldest_pending_ms = oldest_pending_ms(reply, now_ms);
    lag_source.last_delivered = group->last_delivered;
    lag_source.has_counts = read.kind == REPLY_INTEGER && lag.kind == REPLY_INTEGER;
    lag_source.entries_read = number_of(&read);
    lag_source.lag = number_of(&lag);
    group->has_lag = stream_report_lag(&lag_source, &group->lag);
    return copy_text(&name, &group->name, &group->name_length) && parse_consumers(&consumers, now_ms, group);
}

static bool parse_groups(const struct reply *info, uint64_t now_ms, struct stream_report *report)
{
    struct reply groups = member(info, "groups");
    const struct stream_lag_source lag_source = {
        .length = report->length,
        .first = report->first,
        .last_generated = report->last_generated,
        .max_deleted = member_id(info, "max-deleted-entry-id"),
        .entries_added = member_number(info, "entries-added"),
    };
    report->group_count = groups.count;
    size_t count = groups.count < STREAM_REPORT_GROUPS_MAX ? groups.count : STREAM_REPORT_GROUPS_MAX;
    report->groups = calloc(count ? count : 1, sizeof(*report->groups));
    if (!report->groups)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct reply group = reply_element(&groups, i);
        if (!parse_group(&group, now_ms, lag_source, &report->groups[report->listed_count++]))
            return false;
    }
    return true;
}

struct stream_report *stream_report_parse(const char *name, size_t length, const struct reply *replies)
{
    struct reply time = reply_element(replies, STREAM_REPLY_TIME);
    struct reply info = reply_element(replies, STREAM_REPLY_INFO);
    struct reply last = reply_element(replies, STREAM_REPLY_LAST);
    struct reply memory = reply_element(replies, STREAM_REPLY_MEMORY);
    struct reply entries = member(&info, "entries");
    struct reply name_reply = { .kind = REPLY_TEXT, .text = name, .text_length = length };
    struct stream_report *report = info.kind == REPLY_ARRAY ? calloc(1, sizeof(*report)) : NULL;
    if (!report)
        return NULL;
    report->length = member_number(&info, "length");
    report->first = first_id(&entries);
    report->last = first_id(&last);
    report->last_generated = member_id(&info, "last-generated-id");
    report->bytes = number_of(&memory);
    if (copy_text(&name_reply, &report->name, &report->name_length) &&
        parse_groups(&info, clock_of(&time), report))
        return report;
    stream_report_destroy(report);
    return NULL;
}

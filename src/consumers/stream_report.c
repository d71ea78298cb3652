#include "consumers/stream_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "consumers/stream_report_reply.h"

#define MEMORY_SAMPLES "5" /* nodes that MEMORY USAGE looks into */

/* ---- asking ---- */

/*
 * KEYS: the stream. Of entries, which may be larger than any reply may be, only the ids are kept. The order
 * is that of stream_report_reply.h. Of a command that is not permitted Redis 7 does not say which.
 */
static const char report_script[] =
    "local function ask(...)\n"
    "  local got = redis.pcall(...)\n"
    "  local problem = type(got) == 'table' and got.err\n"
    "  if problem and problem:find('The user executing the script', 1, true) then\n"
    "    got.err = 'NOPERM ' .. select(1, ...) .. ': ' .. problem\n"
    "  end\n"
    "  return got, problem\n"
    "end\n"
    "local function ids(entries)\n"
    "  for i, entry in ipairs(entries) do entries[i] = {entry[1]} end\n"
    "  return entries\n"
    "end\n"
    "local memory, problem = ask('MEMORY', 'USAGE', KEYS[1], 'SAMPLES', " MEMORY_SAMPLES ")\n"
    "if problem then return memory end\n"
    "local info, problem = ask('XINFO', 'STREAM', KEYS[1], 'FULL', 'COUNT', 1)\n"
    "if problem then return info end\n"
    "for i = 1, #info, 2 do if info[i] == 'entries' then ids(info[i + 1]) end end\n"
    "local last, problem = ask('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)\n"
    "if problem then return last end\n"
    "return {redis.call('TIME'), info, ids(last), memory}\n";

struct reading {
    stream_report_done *done;
    void *context;
    size_t name_length;
    char name[];
};

static char *copy_problem(const struct reply *reply)
{
    return reply && reply->text ? strndup(reply->text, reply->text_length) : NULL;
}

static void on_replies(void *context, enum commands_status status, const struct reply *reply)
{
    struct reading *reading = context;
    struct stream_report *report = NULL;
    enum stream_report_status result = STREAM_REPORT_UNAVAILABLE;
    char *problem = NULL;
    if (status == COMMANDS_OK) {
        report = stream_report_parse(reading->name, reading->name_length, reply);
        if (report)
            result = STREAM_REPORT_FOUND;
    } else if (status == COMMANDS_ERROR && reply_has_prefix(reply, "ERR no such key")) {
        result = STREAM_REPORT_ABSENT;
    } else if (status == COMMANDS_ERROR && reply_has_prefix(reply, "WRONGTYPE")) {
        result = STREAM_REPORT_WRONG_TYPE;
    } else if (status == COMMANDS_ERROR && !reply_error_is_transient(reply)) {
        problem = copy_problem(reply);
        result = problem ? STREAM_REPORT_REFUSED : STREAM_REPORT_UNAVAILABLE;
    }
    reading->done(reading->context, result, report, problem);
    free(problem);
    free(reading);
}

bool stream_report_read(struct commands *commands, const char *name, size_t length, stream_report_done *done,
                        void *context)
{
    struct reading *reading = malloc(sizeof(*reading) + length);
    if (!reading)
        return false;
    *reading = (struct reading){ .done = done, .context = context, .name_length = length };
    memcpy(reading->name, name, length);

    const struct command command = { .count = 1, .arguments = &name, .lengths = &length };
    if (commands_run_script(commands, report_script, 1, &command, on_replies, reading))
        return true;
    free(reading);
    return false;
}

/* ---- owning ---- */

void stream_report_destroy(struct stream_report *report)
{
    if (!report)
        return;
    for (size_t i = 0; i < report->listed_count; i++) {
        struct stream_report_group *group = &report->groups[i];
        for (size_t j = 0; j < group->listed_count; j++)
            free(group->consumers[j].name);
        free(group->consumers);
        free(group->name);
    }
    free(report->groups);
    free(report->name);
    free(report);
}

/* ---- writing ---- */

static void append_id(struct buffer *out, const char *name, struct entry_id id)
{
    char text[ENTRY_ID_LENGTH_MAX];
    entry_id_format(id, text);
    if (id.ms || id.sequence)
        buffer_printf(out, ",\"%s\":\"%s\"", name, text);
    else
        buffer_printf(out, ",\"%s\":null", name);
}

static void append_seconds(struct buffer *out, const char *name, uint64_t ms)
{
    buffer_printf(out, ",\"%s\":%" PRIu64 ".%03" PRIu64, name, ms / 1000, ms % 1000);
}

static void append_consumers(struct buffer *out, const struct stream_report_group *group)
{
    buffer_append_text(out, ",\"consumers\":[");
    for (size_t i = 0; i < group->listed_count; i++) {
        const struct stream_report_consumer *consumer = &group->consumers[i];
        buffer_append_text(out, i ? ",{\"name\":" : "{\"name\":");
        buffer_append_json_string(out, consumer->name, consumer->name_length);
        buffer_printf(out, ",\"pending\":%" PRIu64, consumer->pending);
        append_seconds(out, "idleSeconds", consumer->idle_ms);
        buffer_append_byte(out, '}');
    }
    buffer_append_byte(out, ']');
}

static void append_group(struct buffer *out, const struct stream_report_group *group, bool with_consumers)
{
    buffer_append_text(out, "{\"name\":");
    buffer_append_json_string(out, group->name, group->name_length);
    buffer_printf(out, ",\"pending\":%" PRIu64, group->pending);
    if (group->pending)
        append_seconds(out, "oldestPendingSeconds", group->oldest_pending_ms);
    else
        buffer_append_text(out, ",\"oldestPendingSeconds\":null");
    if (group->has_lag)
        buffer_printf(out, ",\"lag\":%" PRIu64, group->lag);
    else
        buffer_append_text(out, ",\"lag\":null");
    append_id(out, "lastDeliveredId", group->last_delivered);
    buffer_printf(out, ",\"consumerCount\":%" PRIu64, group->consumer_count);
    if (with_consumers)
        append_consumers(out, group);
    buffer_append_byte(out, '}');
}

void stream_report_append_json(const struct stream_report *report, bool with_consumers, struct buffer *out)
{
    buffer_append_text(out, "{\"name\":");
    buffer_append_json_string(out, report->name, report->name_length);
    buffer_printf(out, ",\"length\":%" PRIu64, report->length);
    append_id(out, "firstId", report->first);
    append_id(out, "lastId", report->last);
    if (report->bytes)
        buffer_printf(out, ",\"bytes\":%" PRIu64, report->bytes);
    else
        buffer_append_text(out, ",\"bytes\":null");
    buffer_append_text(out, ",\"groups\":[");
    for (size_t i = 0; i < report->listed_count; i++) {
        if (i)
            buffer_append_byte(out, ',');
        append_group(out, &report->groups[i], with_consumers);
    }
    buffer_append_text(out, "]}");
}

void stream_report_append_missing_json(const char *name, size_t length, enum stream_report_status status,
                                       const char *problem, struct buffer *out)
{
    buffer_append_text(out, "{\"name\":");
    buffer_append_json_string(out, name, length);
    if (status == STREAM_REPORT_ABSENT) {
        buffer_append_text(out, ",\"exists\":false,\"length\":0,\"firstId\":null,\"lastId\":null,"
                                "\"bytes\":0,\"groups\":[]}");
        return;
    }
    if (status == STREAM_REPORT_WRONG_TYPE)
        problem = "The key holds something else than a stream.";
    else if (!problem)
        problem = "Redis does not answer.";
    buffer_append_text(out, ",\"problem\":");
    buffer_append_json_string(out, problem, strlen(problem));
    buffer_append_byte(out, '}');
}

/* Streams: scripts read back what clients missed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "gateway/worker.h"
#include "hub/history.h"
#include "redis/stream_info.h"
#include "wire/entry.h"

/* A page ends behind the entry that takes it past this, so that large entries make short pages. */
#define PAGE_BYTES_MAX "1048576"

/*
 * KEYS: the stream. ARGV: first id, most entries, most bytes. Answers {XINFO STREAM, entries, 1 if there is
 * more}, all of one moment. Entries may be large: of the first and the last one only the id is kept, and the
 * first steps are small.
 */
static const char page_script[] = "local info = redis.pcall('XINFO', 'STREAM', KEYS[1])\n"
                                  "if info.err then return info end\n"
                                  "for i = 2, #info, 2 do\n"
                                  "  if type(info[i]) == 'table' then info[i] = {info[i][1]} end\n"
                                  "end\n"
                                  "local entries, bytes, from, left = {}, 0, ARGV[1], tonumber(ARGV[2])\n"
                                  "local bytes_max, step = tonumber(ARGV[3]), 16\n"
                                  "while left > 0 do\n"
                                  "  step = math.min(left, step)\n"
                                  "  local part = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', step)\n"
                                  "  for _, entry in ipairs(part) do\n"
                                  "    for _, text in ipairs(entry[2]) do bytes = bytes + #text end\n"
                                  "    entries[#entries + 1] = entry\n"
                                  "    if bytes > bytes_max then return {info, entries, 1} end\n"
                                  "  end\n"
                                  "  if #part < step then return {info, entries, 0} end\n"
                                  "  left = left - step\n"
                                  "  step = step * 2\n"
                                  "  from = '(' .. part[#part][1]\n"
                                  "end\n"
                                  "return {info, entries, 1}\n";

struct page_read {
    struct worker *worker;
    uint64_t token;
};

/* NULL when memory is short; freed by the caller. */
static struct entry_field *fields_of(const struct reply *texts, size_t count)
{
    struct entry_field *fields = calloc(count + 1, sizeof(*fields));
    for (size_t i = 0; fields && i < count; i++) {
        struct reply name = reply_element(texts, 2 * i);
        struct reply value = reply_element(texts, 2 * i + 1);
        fields[i] = (struct entry_field){ .name = name.text,
                                          .name_length = name.text_length,
                                          .value = value.text,
                                          .value_length = value.text_length };
    }
    return fields;
}

static void give_entry(struct worker *worker, uint64_t token, const struct reply *entry)
{
    struct reply id_text = reply_element(entry, 0);
    struct reply texts = reply_element(entry, 1);
    struct entry_id id;
    if (id_text.kind != REPLY_TEXT || !entry_id_parse(id_text.text, id_text.text_length, &id))
        return;
    size_t count = texts.count / 2;
    struct entry_field *fields = fields_of(&texts, count);
    struct buffer *json = &worker->entry_json;
    buffer_reset(json);
    if (fields)
        entry_append_json(json, fields, count);
    history_entry(hub_history(worker->hub), token, id, fields && !json->failed ? json->data : NULL,
                  json->size);
    free(fields);
}

static enum history_status take_page(struct page_read *read, enum commands_status status,
                                     const struct reply *reply, struct stream_facts *ret_facts,
                                     bool *ret_is_last)
{
    struct stream_info info;
    *ret_facts = (struct stream_facts){ 0 };
    *ret_is_last = true;
    if (status == COMMANDS_ERROR && reply_has_prefix(reply, "WRONGTYPE"))
        return HISTORY_WRONG_TYPE;
    if (status == COMMANDS_ERROR && stream_info_parse(reply, &info))
        return HISTORY_OK; /* there is no such stream */
    if (status == COMMANDS_ERROR)
        log_event_limited(read->worker->log, &read->worker->gateway->history_limiter, LOG_LEVEL_WARN,
                          "redis refused to read a stream; it needs EVALSHA, XINFO and XRANGE",
                          (const struct log_field[]){ LOG_BYTES("problem", reply->text, reply->text_length) },
                          1);
    if (status != COMMANDS_OK || reply->kind != REPLY_ARRAY)
        return HISTORY_UNAVAILABLE;
    struct reply info_reply = reply_element(reply, 0);
    struct reply entries = reply_element(reply, 1);
    if (!stream_info_parse(&info_reply, &info))
        return HISTORY_UNAVAILABLE;
    *ret_facts = (struct stream_facts){ .exists = info.exists,
                                        .first = info.first,
                                        .last = info.last,
                                        .length = info.length,
                                        .entries_added = info.has_entries_added ? info.entries_added : 0 };
    *ret_is_last = reply_element(reply, 2).integer == 0;
    for (size_t i = 0; i < entries.count; i++) {
        struct reply entry = reply_element(&entries, i);
        give_entry(read->worker, read->token, &entry);
    }
    return HISTORY_OK;
}

static void on_page_read(void *context, enum commands_status status, const struct reply *reply)
{
    struct page_read *read = context;
    struct stream_facts facts;
    bool is_last;
    enum history_status result = take_page(read, status, reply, &facts, &is_last);
    history_loaded(hub_history(read->worker->hub), read->token, result, &facts, is_last, clock_now_ms());
    free(read);
}

/* The first id behind `after`. */
static struct entry_id entry_id_behind(struct entry_id after)
{
    if (after.sequence < UINT64_MAX)
        return (struct entry_id){ .ms = after.ms, .sequence = after.sequence + 1 };
    return (struct entry_id){ .ms = after.ms + 1 };
}

bool worker_read_history(void *context, const char *stream, size_t length, struct entry_id after,
                         size_t count, uint64_t token)
{
    struct worker *worker = context;
    struct page_read *read = worker->commands ? malloc(sizeof(*read)) : NULL;
    if (!read)
        return false;
    *read = (struct page_read){ .worker = worker, .token = token };
    char first[ENTRY_ID_LENGTH_MAX], count_text[24];
    entry_id_format(entry_id_behind(after), first);
    snprintf(count_text, sizeof(count_text), "%zu", count);
    const char *const arguments[] = { stream, first, count_text, PAGE_BYTES_MAX };
    const size_t lengths[] = { length, strlen(first), strlen(count_text), strlen(PAGE_BYTES_MAX) };
    const struct command command = { .count = 4, .arguments = arguments, .lengths = lengths };
    if (commands_run_script(worker->commands, page_script, 1, &command, on_page_read, read))
        return true;
    free(read);
    return false;
}

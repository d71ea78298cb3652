#include "front/publish_script.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/parse.h"

#define RECEIPT_PREFIX "sluice:idempotency:"

/*
 * KEYS: the receipt; then the streams: the named one, whose entry the receipt is about, then the event's.
 * ARGV: window in ms, token, trim length, 1 to refuse streams that are not there, number of fields, that many
 * names and values, then for each message its channel, and what stands before and after the id of the event's
 * entry in it; the id is left out where `with id` is 0. Answers {0, receivers, id} or, for a receipt that was
 * there, {1, receipt}. A receipt is "<token> <receivers> <id>".
 *
 * A message cannot be taken back, so all that Redis may refuse (READONLY, OOM, MISCONF) comes before the
 * first: once a script has written, it is not refused any more.
 */
static const char script[] =
    "local receipt = redis.pcall('GET', KEYS[1])\n"
    "if type(receipt) == 'table' then return receipt end\n"
    "if receipt then return {1, receipt} end\n"
    "local field_end = 5 + 2 * tonumber(ARGV[5])\n"
    "local ids = {}\n"
    "local function undo(problem)\n"
    "  redis.pcall('DEL', KEYS[1])\n"
    "  for i = 2, #KEYS do if ids[i] then redis.pcall('XDEL', KEYS[i], ids[i]) end end\n"
    "  return problem\n"
    "end\n"
    "for i = 2, #KEYS do\n"
    "  local id\n"
    "  if ARGV[4] == '1' and redis.call('EXISTS', KEYS[i]) == 0 then\n"
    "    id = redis.error_reply('NOSTREAM there is no such stream')\n"
    "  else\n"
    "    id = redis.pcall('XADD', KEYS[i], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 6, field_end))\n"
    "  end\n"
    "  if type(id) == 'table' then return undo(id) end\n"
    "  ids[i] = id\n"
    "end\n"
    "local id, event_id = ids[2] or '', ids[#KEYS] or ''\n"
    "local function keep_receipt(receivers)\n"
    "  return redis.pcall('SET', KEYS[1], ARGV[2] .. ' ' .. receivers .. ' ' .. id, 'PX', ARGV[1])\n"
    "end\n"
    "local stored = keep_receipt(0)\n"
    "if stored.err then return undo(stored) end\n"
    "local receivers = 0\n"
    "for at = field_end + 1, #ARGV, 4 do\n"
    "  local with_id = ARGV[at + 1] == '1' and event_id or ''\n"
    "  local count = redis.pcall('PUBLISH', ARGV[at], ARGV[at + 2] .. with_id .. ARGV[at + 3])\n"
    "  if type(count) == 'table' then return undo(count) end\n"
    "  receivers = receivers + count\n"
    "end\n"
    "if receivers > 0 then keep_receipt(receivers) end\n"
    "return {0, receivers, id}\n";

/* The arguments of one command: pointers into the item and into `text`, which is complete before they are
 * taken. */
struct arguments {
    const char **bytes;
    size_t *lengths;
    int count;
};

static void add(struct arguments *arguments, const char *bytes, size_t length)
{
    arguments->bytes[arguments->count] = length ? bytes : "";
    arguments->lengths[arguments->count] = length;
    arguments->count++;
}

static void add_buffer(struct arguments *arguments, const struct buffer *buffer)
{
    add(arguments, buffer->data, buffer->size);
}

static void add_text(struct arguments *arguments, const char *text)
{
    add(arguments, text, strlen(text));
}

static bool is_plain(const struct publish_item *item)
{
    return !item->id.size && !publish_item_is_durable(item) && !(item->channel.size && item->event.size);
}

static bool send_plain(struct commands *commands, const struct publish_item *item, const struct buffer *live,
                       commands_done *done, void *context)
{
    const struct buffer *channel = item->channel.size ? &item->channel : live;
    const char *bytes[] = { "PUBLISH", channel->data, item->payload.data };
    const size_t lengths[] = { strlen("PUBLISH"), channel->size, item->payload.size };
    const struct command command = { .count = 3, .arguments = bytes, .lengths = lengths };
    return commands_send(commands, &command, 1, done, context);
}

struct script_texts {
    struct buffer receipt_key;
    struct buffer live;      /* live:<event> */
    struct buffer events;    /* events:<event> */
    struct buffer behind_id; /* of a critical event's message: what follows on the entry's id */
    char window[24], maxlen[24], fields[24];
};

/*
 * The live message of a critical event is its payload with the entry's id as the first member, so its readers
 * find the same fields whether the event is critical or not. A payload with an `id` of its own keeps it; the
 * entry's is `entryId` then.
 */
static void add_critical_message(struct arguments *arguments, const struct publish_item *item,
                                 const struct script_texts *texts)
{
    bool has_id = false;
    for (size_t i = 0; i < item->field_count; i++)
        has_id |=
            text_is(text_of(item->entry.data + item->fields[i].name_at, item->fields[i].name_length), "id");

    add_buffer(arguments, &texts->live);
    add_text(arguments, "1");
    add_text(arguments, has_id ? "{\"entryId\":\"" : "{\"id\":\"");
    add_buffer(arguments, &texts->behind_id);
}

static void add_message(struct arguments *arguments, const struct buffer *channel,
                        const struct buffer *payload)
{
    add_buffer(arguments, channel);
    add_text(arguments, "0");
    add_buffer(arguments, payload);
    add_text(arguments, "");
}

static bool run_script(struct commands *commands, const struct publish_item *item,
                       const struct script_texts *texts, struct text token, commands_done *done,
                       void *context)
{
    size_t count_max = 3 + 5 + 2 * item->field_count + 2 * 4;
    struct arguments arguments = { .bytes = calloc(count_max, sizeof(char *)),
                                   .lengths = calloc(count_max, sizeof(size_t)) };
    bool sent = false;
    if (arguments.bytes && arguments.lengths) {
        add_buffer(&arguments, &texts->receipt_key);
        if (item->stream.size)
            add_buffer(&arguments, &item->stream);
        if (item->critical)
            add_buffer(&arguments, &texts->events);
        int key_count = arguments.count;

        add_text(&arguments, texts->window);
        add(&arguments, token.bytes, token.length);
        add_text(&arguments, texts->maxlen);
        add_text(&arguments, item->nomkstream ? "1" : "0");
        add_text(&arguments, texts->fields);
        for (size_t i = 0; i < item->field_count; i++) {
            add(&arguments, item->entry.data + item->fields[i].name_at, item->fields[i].name_length);
            add(&arguments, item->entry.data + item->fields[i].value_at, item->fields[i].value_length);
        }
        if (item->channel.size)
            add_message(&arguments, &item->channel, &item->payload);
        if (item->critical)
            add_critical_message(&arguments, item, texts);
        else if (item->event.size)
            add_message(&arguments, &texts->live, &item->payload);

        const struct command command = { .count = arguments.count,
                                         .arguments = arguments.bytes,
                                         .lengths = arguments.lengths };
        sent = commands_run_script(commands, script, key_count, &command, done, context);
    }
    free(arguments.bytes);
    free(arguments.lengths);
    return sent;
}

static void append_joined(struct buffer *out, const char *prefix, const char *bytes, size_t length)
{
    buffer_append_text(out, prefix);
    buffer_append(out, bytes, length);
}

bool publish_script_send(struct commands *commands, const struct publish_item *item, struct text id,
                         struct text token, uint64_t window_ms, commands_done *done, void *context)
{
    struct script_texts texts = { 0 };
    append_joined(&texts.receipt_key, RECEIPT_PREFIX, id.bytes, id.length);
    append_joined(&texts.live, "live:", item->event.data, item->event.size);
    append_joined(&texts.events, "events:", item->event.data, item->event.size);
    /* The payload's own members follow; make_entry() made sure that there is one. */
    if (item->critical)
        append_joined(&texts.behind_id, "\",", item->payload.data + 1, item->payload.size - 1);
    snprintf(texts.window, sizeof(texts.window), "%" PRIu64, window_ms);
    snprintf(texts.maxlen, sizeof(texts.maxlen), "%" PRIu64, item->maxlen);
    snprintf(texts.fields, sizeof(texts.fields), "%zu", item->field_count);

    bool sent =
        !texts.receipt_key.failed && !texts.live.failed && !texts.events.failed && !texts.behind_id.failed;
    if (sent)
        sent = is_plain(item) ? send_plain(commands, item, &texts.live, done, context)
                              : run_script(commands, item, &texts, token, done, context);
    buffer_free(&texts.receipt_key);
    buffer_free(&texts.live);
    buffer_free(&texts.events);
    buffer_free(&texts.behind_id);
    return sent;
}

static bool copy_id(struct publish_receipt *receipt, struct text id)
{
    if (id.length >= sizeof(receipt->id))
        return false;
    if (id.length)
        memcpy(receipt->id, id.bytes, id.length);
    receipt->id[id.length] = '\0';
    return true;
}

/* "<token> <receivers> <id>" */
static bool read_stored_receipt(struct text stored, struct text token, struct publish_receipt *ret_receipt)
{
    struct text stored_token, receivers;
    uint64_t count;
    if (!text_split(&stored, ' ', &stored_token) || !text_split(&stored, ' ', &receivers) || !stored.bytes)
        return false;
    if (!parse_unsigned(receivers.bytes, receivers.length, &count) || !copy_id(ret_receipt, stored))
        return false;
    ret_receipt->receivers = (int64_t)count;
    ret_receipt->duplicate =
        stored_token.length != token.length || memcmp(stored_token.bytes, token.bytes, token.length) != 0;
    return true;
}

bool publish_script_read(const struct reply *reply, struct text token, struct publish_receipt *ret_receipt)
{
    *ret_receipt = (struct publish_receipt){ 0 };
    if (reply->kind == REPLY_INTEGER) {
        ret_receipt->receivers = reply->integer;
        return true;
    }
    struct reply was_there = reply_element(reply, 0);
    struct reply second = reply_element(reply, 1);
    if (reply->kind != REPLY_ARRAY || was_there.kind != REPLY_INTEGER)
        return false;
    if (was_there.integer == 1)
        return second.kind == REPLY_TEXT &&
               read_stored_receipt(text_of(second.text, second.text_length), token, ret_receipt);

    struct reply id = reply_element(reply, 2);
    ret_receipt->receivers = second.integer;
    return second.kind == REPLY_INTEGER && id.kind == REPLY_TEXT &&
           copy_id(ret_receipt, text_of(id.text, id.text_length));
}

#include "consumers/group_script.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "consumers/dead_letter.h"

#define ARGUMENTS_MAX 8

/* A nacked entry counts as idle for so long, so that it is above everybody's idle_ms: 30 days. */
#define NACKED_IDLE_MS "2592000000"

/*
 * KEYS: stream. ARGV: group, start. Ids are compared as numbers: their milliseconds stay exact for 285,000
 * years. A group that is there is only looked at: Redis at maxmemory makes none, but lets them be read.
 */
static const char create_script[] =
    "local function find(made)\n"
    "  local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])\n"
    "  if groups.err and not groups.err:find('no such key', 1, true) then return groups end\n"
    "  for _, group in ipairs(groups) do\n"
    "    local facts = {}\n"
    "    for i = 1, #group, 2 do facts[group[i]] = group[i + 1] end\n"
    "    if facts['name'] == ARGV[1] then return {made, facts['last-delivered-id']} end\n"
    "  end\n"
    "end\n"
    "local found = find(0)\n"
    "if found then return found end\n"
    "local start = ARGV[2]\n"
    "if start ~= '$' then\n"
    "  local last\n"
    "  local facts = redis.pcall('XINFO', 'STREAM', KEYS[1])\n"
    "  for i = 1, #facts, 2 do if facts[i] == 'last-generated-id' then last = facts[i + 1] end end\n"
    "  local function parts(id)\n"
    "    local ms, sequence = id:match('(%d+)%-(%d+)')\n"
    "    return tonumber(ms), tonumber(sequence)\n"
    "  end\n"
    "  if not last then start = '0-0' else\n"
    "    local ms, sequence = parts(start)\n"
    "    local last_ms, last_sequence = parts(last)\n"
    "    if ms > last_ms or (ms == last_ms and sequence > last_sequence) then start = '0-0' end\n"
    "  end\n"
    "end\n"
    "local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], start, 'MKSTREAM')\n"
    "if made.err then return made end\n"
    "return find(1) or redis.error_reply('NOGROUP vanished')\n";

/*
 * bury(id, deliveries, reason): true when it is in the dead letters or was deleted, second whether the entry
 * was there; else false and why. KEYS: stream, dead letters; ARGV[1]: group. Lua unpacks some 8,000 values at
 * most: the fields of a larger entry are kept as one JSON array.
 */
#define BURY_FUNCTION                                                                                        \
    "local function bury(id, deliveries, reason)\n"                                                          \
    "  local found = redis.call('XRANGE', KEYS[1], id, id)[1]\n"                                             \
    "  if found then\n"                                                                                      \
    "    local fields = found[2]\n"                                                                          \
    "    if #fields > 7000 then fields = {'fields', cjson.encode(fields)} end\n"                             \
    "    local more = {'" DEAD_LETTER_REASON "', reason, '" DEAD_LETTER_DELIVERIES "', deliveries,\n"        \
    "      '" DEAD_LETTER_ID "', id, '" DEAD_LETTER_GROUP "', ARGV[1]}\n"                                    \
    "    for i = 1, #more do fields[#fields + 1] = more[i] end\n"                                            \
    "    local added = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', '" DEAD_LETTER_MAXLEN                     \
    "', '*', unpack(fields))\n"                                                                              \
    "    if type(added) == 'table' then return false, added.err end\n"                                       \
    "  end\n"                                                                                                \
    "  redis.call('XACK', KEYS[1], ARGV[1], id)\n"                                                           \
    "  return true, found\n"                                                                                 \
    "end\n"

/* ARGV: group, consumer, idle (empty: own), after, count, max deliveries. */
static const char claim_script[] = BURY_FUNCTION
    "local own = ARGV[3] == ''\n"
    "local pending\n"
    "if own then pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[4], '+', ARGV[5], ARGV[2])\n"
    "else pending = redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], ARGV[4], '+', ARGV[5]) end\n"
    "local entries, ended, dead, missing, taken, problem = {}, {}, 0, 0, 0, ''\n"
    "for _, item in ipairs(pending) do\n"
    "  local id, owner, deliveries = item[1], item[2], item[4]\n"
    "  if deliveries >= tonumber(ARGV[6]) then\n"
    "    local buried, found = bury(id, deliveries, '" DEAD_LETTER_BY_DELIVERIES "')\n"
    "    if not buried then problem = found else\n"
    "      ended[#ended + 1] = id\n"
    "      if found then dead = dead + 1 else missing = missing + 1 end\n"
    "    end\n"
    "  else\n"
    "    local claimed = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id)[1]\n"
    "    if claimed then\n"
    "      entries[#entries + 1] = {id, deliveries + 1, claimed[2]}\n"
    "      if owner ~= ARGV[2] then taken = taken + 1 end\n"
    "    else\n"
    "      redis.call('XACK', KEYS[1], ARGV[1], id)\n"
    "      ended[#ended + 1] = id\n"
    "      missing = missing + 1\n"
    "    end\n"
    "  end\n"
    "end\n"
    "local last = #pending > 0 and pending[#pending][1] or ''\n"
    "return {entries, ended, dead, missing, taken, #pending, last, problem}\n";

/*
 * ARGV: group, ids with a space between, consumer (empty: anybody). XPENDING says NOGROUP, which XACK does
 * not. Each id that is pending is handed to `act` with what XPENDING says of it.
 */
#define IDS_SCRIPT(act)                                                                                      \
    "redis.call('XPENDING', KEYS[1], ARGV[1])\n"                                                             \
    "local done = {}\n"                                                                                      \
    "for id in ARGV[2]:gmatch('%S+') do\n"                                                                   \
    "  local item\n"                                                                                         \
    "  if ARGV[3] == '' then item = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1]\n"                \
    "  else item = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[3])[1] end\n"                    \
    "  done[#done + 1] = item and " act " or 0\n"                                                            \
    "end\n"                                                                                                  \
    "return done\n"

static const char *const ids_scripts[] = {
    [GROUP_VERB_ACK] = IDS_SCRIPT("redis.call('XACK', KEYS[1], ARGV[1], id)"),
    [GROUP_VERB_NACK] = IDS_SCRIPT(
        "#redis.call('XCLAIM', KEYS[1], ARGV[1], item[2], 0, id, 'IDLE', " NACKED_IDLE_MS ", 'JUSTID')"),
    [GROUP_VERB_RELEASE] =
        IDS_SCRIPT("#redis.call('XCLAIM', KEYS[1], ARGV[1], item[2], 0, id, 'IDLE', " NACKED_IDLE_MS
                   ", 'RETRYCOUNT', math.max(item[4] - 1, 0), 'JUSTID')"),
    [GROUP_VERB_TOUCH] = IDS_SCRIPT("#redis.call('XCLAIM', KEYS[1], ARGV[1], item[2], 0, id, 'JUSTID')"),
};

/* ARGV: group, consumer, id, reason. */
static const char bury_script[] =
    BURY_FUNCTION "local item = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])[1]\n"
                  "if not item then return 0 end\n"
                  "local buried, found = bury(item[1], item[4], ARGV[4])\n"
                  "if not buried then return {err = found} end\n"
                  "return found and 1 or 0\n";

/* ARGV: group, consumer. */
static const char forget_script[] =
    "if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end\n"
    "return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])\n";

/* --- sending ------------------------------------------------------------------------------------------- */

struct arguments {
    const char *bytes[ARGUMENTS_MAX];
    size_t lengths[ARGUMENTS_MAX];
    int count;
};

static void add(struct arguments *arguments, const char *bytes, size_t length)
{
    arguments->bytes[arguments->count] = bytes;
    arguments->lengths[arguments->count] = length;
    arguments->count++;
}

static void add_text(struct arguments *arguments, const char *text)
{
    add(arguments, text, strlen(text));
}

static bool run(struct commands *commands, const char *script, int key_count,
                const struct arguments *arguments, commands_done *done, void *context)
{
    const struct command command = { .count = arguments->count,
                                     .arguments = arguments->bytes,
                                     .lengths = arguments->lengths };
    return commands_run_script(commands, script, key_count, &command, done, context);
}

/* The same with the key of the dead letters between the stream's and the rest; `rest` begins with the group.
 */
static bool run_with_dead_letters(struct commands *commands, const char *script,
                                  const struct group_names *names, const struct arguments *rest,
                                  commands_done *done, void *context)
{
    struct buffer key = { 0 };
    buffer_append(&key, names->stream, names->stream_length);
    buffer_append_text(&key, DEAD_LETTER_SUFFIX);
    struct arguments arguments = { .count = 0 };
    add(&arguments, names->stream, names->stream_length);
    add(&arguments, key.data, key.size);
    for (int i = 0; i < rest->count; i++)
        add(&arguments, rest->bytes[i], rest->lengths[i]);
    bool sent = !key.failed && run(commands, script, 2, &arguments, done, context);
    buffer_free(&key);
    return sent;
}

bool group_script_create(struct commands *commands, const struct group_names *names, bool only_new,
                         struct entry_id start, commands_done *done, void *context)
{
    char id[ENTRY_ID_LENGTH_MAX] = "$";
    if (!only_new)
        entry_id_format(start, id);
    struct arguments arguments = { .count = 0 };
    add(&arguments, names->stream, names->stream_length);
    add(&arguments, names->group, names->group_length);
    add_text(&arguments, id);
    return run(commands, create_script, 1, &arguments, done, context);
}

bool group_script_claim(struct commands *commands, const struct group_names *names,
                        const struct group_claim *claim, commands_done *done, void *context)
{
    char idle[24] = "", after[ENTRY_ID_LENGTH_MAX + 1] = "(", count[24], max_deliveries[24];
    if (!claim->own)
        snprintf(idle, sizeof(idle), "%" PRIu64, claim->idle_ms);
    entry_id_format(claim->after, after + 1);
    snprintf(count, sizeof(count), "%zu", claim->count);
    snprintf(max_deliveries, sizeof(max_deliveries), "%" PRIu64, claim->max_deliveries);

    struct arguments arguments = { .count = 0 };
    add(&arguments, names->group, names->group_length);
    add(&arguments, claim->consumer, claim->consumer_length);
    add_text(&arguments, idle);
    add_text(&arguments, after);
    add_text(&arguments, count);
    add_text(&arguments, max_deliveries);
    return run_with_dead_letters(commands, claim_script, names, &arguments, done, context);
}

bool group_script_ids(struct commands *commands, const struct group_names *names, enum group_verb verb,
                      const char *consumer, size_t consumer_length, const struct entry_id *ids, size_t count,
                      commands_done *done, void *context)
{
    struct buffer list = { 0 };
    for (size_t i = 0; i < count; i++) {
        char id[ENTRY_ID_LENGTH_MAX];
        size_t length = entry_id_format(ids[i], id);
        buffer_append(&list, id, length);
        buffer_append_byte(&list, ' ');
    }
    struct arguments arguments = { .count = 0 };
    add(&arguments, names->stream, names->stream_length);
    add(&arguments, names->group, names->group_length);
    add(&arguments, list.data, list.size);
    add(&arguments, consumer ? consumer : "", consumer ? consumer_length : 0);
    bool sent = !list.failed && run(commands, ids_scripts[verb], 1, &arguments, done, context);
    buffer_free(&list);
    return sent;
}

bool group_script_bury(struct commands *commands, const struct group_names *names, const char *consumer,
                       size_t consumer_length, struct entry_id id, const char *reason, commands_done *done,
                       void *context)
{
    char text[ENTRY_ID_LENGTH_MAX];
    entry_id_format(id, text);
    struct arguments arguments = { .count = 0 };
    add(&arguments, names->group, names->group_length);
    add(&arguments, consumer, consumer_length);
    add_text(&arguments, text);
    add(&arguments, reason, strnlen(reason, DEAD_LETTER_REASON_MAX));
    return run_with_dead_letters(commands, bury_script, names, &arguments, done, context);
}

bool group_script_forget(struct commands *commands, const struct group_names *names, const char *consumer,
                         size_t consumer_length, commands_done *done, void *context)
{
    struct arguments arguments = { .count = 0 };
    add(&arguments, names->stream, names->stream_length);
    add(&arguments, names->group, names->group_length);
    add(&arguments, consumer, consumer_length);
    return run(commands, forget_script, 1, &arguments, done, context);
}

/* --- replies ------------------------------------------------------------------------------------------- */

bool group_script_read_create(const struct reply *reply, bool *ret_made, struct entry_id *ret_position)
{
    struct reply made = reply_element(reply, 0), position = reply_element(reply, 1);
    *ret_made = made.kind == REPLY_INTEGER && made.integer == 1;
    return made.kind == REPLY_INTEGER && position.kind == REPLY_TEXT &&
           entry_id_parse(position.text, position.text_length, ret_position);
}

static uint64_t number_at(const struct reply *reply, size_t index)
{
    struct reply element = reply_element(reply, index);
    return element.kind == REPLY_INTEGER && element.integer > 0 ? (uint64_t)element.integer : 0;
}

bool group_script_read_claim(const struct reply *reply, struct group_claimed *ret_claimed)
{
    if (reply->kind != REPLY_ARRAY || reply->count != 8)
        return false;
    struct reply last = reply_element(reply, 6);
    *ret_claimed = (struct group_claimed){
        .entries = reply_element(reply, 0),
        .ended = reply_element(reply, 1),
        .dead = number_at(reply, 2),
        .missing = number_at(reply, 3),
        .taken = number_at(reply, 4),
        .seen = number_at(reply, 5),
        .problem = reply_element(reply, 7),
    };
    if (ret_claimed->seen > 0 &&
        (last.kind != REPLY_TEXT || !entry_id_parse(last.text, last.text_length, &ret_claimed->last)))
        return false;
    return ret_claimed->entries.kind == REPLY_ARRAY && ret_claimed->ended.kind == REPLY_ARRAY;
}

/* Redis before 7.0 puts its own words in front of an error that a script passes on. */
static bool mentions(const struct reply *reply, const char *word)
{
    return reply->text_length > 0 && memmem(reply->text, reply->text_length, word, strlen(word)) != NULL;
}

enum group_error group_error_of(const struct reply *reply)
{
    if (reply->kind != REPLY_ERROR)
        return GROUP_ERROR_TRANSIENT;
    if (mentions(reply, "NOGROUP"))
        return GROUP_ERROR_NO_GROUP;
    if (mentions(reply, "WRONGTYPE"))
        return GROUP_ERROR_WRONG_TYPE;
    /* Inside of a script: Redis 6 and 7.2 say ACL failure, 7.0 begins with the user. */
    if (mentions(reply, "NOPERM") || mentions(reply, "NOAUTH") || mentions(reply, "ACL failure") ||
        mentions(reply, "The user executing the script"))
        return GROUP_ERROR_REFUSED;
    return GROUP_ERROR_TRANSIENT;
}

/* `sluice streams dead`: lists the dead letters of a stream, puts them back, or drops them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "command/streams_state.h"
#include "consumers/dead_letter.h"
#include "wire/entry.h"
#include "wire/entry_id.h"

#define PAGE 100
#define PAGE_TEXT "100"
#define COUNT_DEFAULT 100
#define DEAD_FIELDS 4

/* Adds the fields of the original to the stream and takes the dead letter away: both or neither. */
static const char replay_script[] =
    "local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]\n"
    "if not entry then return false end\n"
    "local fields, last = entry[2], #entry[2]\n"
    "for i = 1, 4 do\n"
    "  local name = last > 2 and fields[last - 1]\n"
    "  if name == '" DEAD_LETTER_REASON "' or name == '" DEAD_LETTER_DELIVERIES "'\n"
    "    or name == '" DEAD_LETTER_ID "' or name == '" DEAD_LETTER_GROUP "' then last = last - 2 end\n"
    "end\n"
    "if last > 7000 then return redis.error_reply('ERR the entry has too many fields for a script') end\n"
    "local id = redis.call('XADD', KEYS[2], '*', unpack(fields, 1, last))\n"
    "redis.call('XDEL', KEYS[1], ARGV[1])\n"
    "return id\n";

struct dead {
    struct streams *streams;
    const char *stream;
    char *key; /* of its dead letters */
    uint64_t left;
    uint64_t done;
    bool is_first;
    /* the page that was read */
    struct entry_id ids[PAGE];
    size_t id_count;
};

/* The stream's name, or that of its dead letters, is taken. */
static bool open_dead(struct dead *dead, struct streams *streams, const char *name)
{
    size_t length = strlen(name), suffix = strlen(DEAD_LETTER_SUFFIX);
    if (length > suffix && strcmp(name + length - suffix, DEAD_LETTER_SUFFIX) == 0)
        length -= suffix;
    char *stream = strndup(name, length);
    *dead = (struct dead){ .streams = streams, .stream = stream, .is_first = true };
    if (!stream || asprintf(&dead->key, "%s" DEAD_LETTER_SUFFIX, stream) < 0) {
        fputs("sluice: out of memory\n", stderr);
        free(stream);
        *dead = (struct dead){ 0 };
        return false;
    }
    /* The analyzer loses what so large a struct holds. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    return true;
}

static void close_dead(struct dead *dead)
{
    free((char *)dead->stream);
    free(dead->key);
}

/* ---- pages ---- */

static struct entry_id id_of(const struct reply *entry)
{
    struct reply id = reply_element(entry, 0);
    struct entry_id parsed = { 0 };
    if (id.kind == REPLY_TEXT && !entry_id_parse(id.text, id.text_length, &parsed))
        return (struct entry_id){ 0 };
    return parsed;
}

/* Reads the page behind `after`, each page once. */
static bool read_page(struct dead *dead, struct entry_id after, streams_redis_take *take)
{
    char start[ENTRY_ID_LENGTH_MAX + 1] = "(";
    entry_id_format(after, start + 1);
    const char *const range[] = { "XRANGE", dead->key, start, "+", "COUNT", PAGE_TEXT, NULL };
    const char *const *const commands[] = { range };
    dead->id_count = 0;
    return streams_redis_call(dead->streams->redis, commands, 1, take, dead);
}

static void take_ids(void *context, const struct reply *entries)
{
    struct dead *dead = context;
    for (size_t i = 0; i < entries->count && i < PAGE; i++) {
        struct reply entry = reply_element(entries, i);
        dead->ids[dead->id_count++] = id_of(&entry);
    }
}

/* ---- listing ---- */

/* Of the last four pairs those that are about the death; the others are the original's. */
static const char *const dead_names[DEAD_FIELDS] = { DEAD_LETTER_ID, DEAD_LETTER_GROUP,
                                                     DEAD_LETTER_DELIVERIES, DEAD_LETTER_REASON };

static bool take_dead_field(const struct reply *name, const struct reply *value,
                            struct reply values[static DEAD_FIELDS])
{
    for (size_t i = 0; i < DEAD_FIELDS; i++) {
        if (name->text_length == strlen(dead_names[i]) &&
            memcmp(name->text, dead_names[i], name->text_length) == 0) {
            values[i] = *value;
            return true;
        }
    }
    return false;
}

static void append_data(const struct reply *pairs, size_t count, struct buffer *out)
{
    struct entry_field *fields = calloc(count ? count : 1, sizeof(*fields));
    if (!fields) {
        buffer_append_text(out, "null");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct reply name = reply_element(pairs, 2 * i), value = reply_element(pairs, 2 * i + 1);
        fields[i] = (struct entry_field){ .name = name.text ? name.text : "",
                                          .name_length = name.text_length,
                                          .value = value.text ? value.text : "",
                                          .value_length = value.text_length };
    }
    entry_append_json(out, fields, count);
    free(fields);
}

static void append_text_json(const char *name, const struct reply *value, struct buffer *out)
{
    buffer_printf(out, ",\"%s\":", name);
    if (value->kind == REPLY_TEXT)
        buffer_append_json_string(out, value->text, value->text_length);
    else
        buffer_append_text(out, "null");
}

static void append_number_json(const char *name, const struct reply *value, struct buffer *out)
{
    uint64_t number;
    if (value->kind == REPLY_TEXT && parse_unsigned(value->text, value->text_length, &number))
        buffer_printf(out, ",\"%s\":%" PRIu64, name, number);
    else
        append_text_json(name, value, out);
}

static void print_entry(struct dead *dead, const struct reply *entry)
{
    char id[ENTRY_ID_LENGTH_MAX];
    struct reply pairs = reply_element(entry, 1), values[DEAD_FIELDS] = { 0 };
    struct buffer line = { 0 };
    size_t count = pairs.count / 2;
    for (size_t left = DEAD_FIELDS; left > 0 && count > 0; left--) {
        struct reply name = reply_element(&pairs, 2 * count - 2),
                     value = reply_element(&pairs, 2 * count - 1);
        if (name.kind != REPLY_TEXT || value.kind != REPLY_TEXT || !take_dead_field(&name, &value, values))
            break;
        count--;
    }
    entry_id_format(id_of(entry), id);
    if (dead->streams->arguments.is_json) {
        buffer_append_text(&line, dead->is_first ? "{\"stream\":" : ",{\"stream\":");
        buffer_append_json_string(&line, dead->stream, strlen(dead->stream));
        buffer_printf(&line, ",\"id\":\"%s\"", id);
        append_text_json("originalId", &values[0], &line);
        append_text_json("group", &values[1], &line);
        append_number_json("deliveries", &values[2], &line);
        append_text_json("reason", &values[3], &line);
        buffer_append_text(&line, ",\"data\":");
        append_data(&pairs, count, &line);
        buffer_append_byte(&line, '}');
    } else {
        static const char *const labels[DEAD_FIELDS] = { "of", "group", "deliveries", "reason" };
        buffer_append_text(&line, id);
        for (size_t i = 0; i < DEAD_FIELDS; i++) {
            buffer_printf(&line, "  %s ", labels[i]);
            buffer_append_json_string(&line, values[i].text ? values[i].text : "", values[i].text_length);
        }
        buffer_append_text(&line, "\n    ");
        append_data(&pairs, count, &line);
        buffer_append_byte(&line, '\n');
    }
    fwrite(line.data, 1, line.size, stdout);
    dead->is_first = false;
    buffer_free(&line);
}

static void take_entries(void *context, const struct reply *entries)
{
    struct dead *dead = context;
    take_ids(context, entries);
    for (size_t i = 0; i < entries->count && i < PAGE && dead->left > 0; i++, dead->left--) {
        struct reply entry = reply_element(entries, i);
        print_entry(dead, &entry);
    }
}

static void take_length(void *context, const struct reply *reply)
{
    uint64_t *length = context;
    *length = reply->kind == REPLY_INTEGER ? (uint64_t)reply->integer : 0;
}

static bool list_stream(struct streams *streams, const char *name, uint64_t count, bool *is_first)
{
    struct dead dead;
    uint64_t length = 0;
    if (!open_dead(&dead, streams, name))
        return false;
    const char *const words[] = { "XLEN", dead.key, NULL };
    const char *const *const commands[] = { words };
    bool is_done = streams_redis_call(streams->redis, commands, 1, take_length, &length);
    if (is_done && !streams->arguments.is_json)
        printf("%s: %" PRIu64 " dead letters\n", dead.stream, length);
    dead.left = count;
    dead.is_first = *is_first;
    struct entry_id after = { 0 };
    while (is_done && dead.left > 0) {
        is_done = read_page(&dead, after, take_entries);
        if (dead.id_count < PAGE)
            break;
        after = dead.ids[dead.id_count - 1];
    }
    if (is_done && length > count && !streams->arguments.is_json)
        printf("… and %" PRIu64 " more; --count says how many to show\n", length - count);
    *is_first = dead.is_first;
    close_dead(&dead);
    return is_done;
}

static enum exit_code list(struct streams *streams, const char *const *words, size_t word_count)
{
    const char *count_text = streams->arguments.count;
    uint64_t count = COUNT_DEFAULT;
    size_t stream_count = word_count ? word_count : streams->settings->streams.count;
    if (count_text && !parse_unsigned(count_text, strlen(count_text), &count)) {
        fprintf(stderr, "sluice: --count %s is no number of entries\n", count_text);
        return EXIT_CODE_USAGE;
    }
    if (stream_count == 0) {
        fputs("sluice: no stream is configured; name some: sluice streams dead orders\n", stderr);
        return EXIT_CODE_USAGE;
    }
    if (!(streams->redis = streams_redis_open(streams->settings)))
        return EXIT_CODE_FAILED;
    bool is_first = true, are_done = true;
    if (streams->arguments.is_json)
        fputs("{\"deadLetters\":[", stdout);
    for (size_t i = 0; i < stream_count; i++)
        are_done &= list_stream(streams, word_count ? words[i] : streams_configured(streams, i)->name, count,
                                &is_first);
    if (streams->arguments.is_json)
        puts("]}");
    return are_done ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}

/* ---- one dead letter ---- */

/* What became of it, said on standard output; false when Redis would not. */
typedef bool handle_entry(struct dead *dead, const char *id);

static void take_replayed(void *context, const struct reply *reply)
{
    struct dead *dead = context;
    if (reply->kind != REPLY_TEXT)
        return;
    printf("%.*s", (int)reply->text_length, reply->text);
    dead->done++;
}

static bool replay_entry(struct dead *dead, const char *id)
{
    uint64_t done = dead->done;
    const char *const words[] = { dead->key, dead->stream, id, NULL };
    printf("%s → ", id);
    bool is_done =
        streams_redis_run_script(dead->streams->redis, replay_script, 2, words, take_replayed, dead);
    puts(dead->done > done ? "" : is_done ? "is not there" : "failed");
    return is_done;
}

static void take_dropped(void *context, const struct reply *reply)
{
    struct dead *dead = context;
    dead->done += reply->kind == REPLY_INTEGER && reply->integer > 0;
}

static bool drop_entry(struct dead *dead, const char *id)
{
    uint64_t done = dead->done;
    const char *const words[] = { "XDEL", dead->key, id, NULL };
    const char *const *const commands[] = { words };
    if (!streams_redis_call(dead->streams->redis, commands, 1, take_dropped, dead))
        return false;
    printf("%s %s\n", id, dead->done > done ? "dropped" : "is not there");
    return true;
}

/* ---- those that are named, or all ---- */

static bool check_ids(const char *const *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct entry_id id;
        if (!entry_id_parse(ids[i], strlen(ids[i]), &id)) {
            fprintf(stderr, "sluice: %s is no id of an entry, such as 1517574547834-0\n", ids[i]);
            return false;
        }
    }
    return true;
}

static bool handle_named(struct dead *dead, handle_entry *handle, const char *const *ids, size_t count)
{
    bool is_done = true;
    for (size_t i = 0; i < count && is_done; i++)
        is_done = handle(dead, ids[i]);
    return is_done && dead->done == count;
}

static void take_last(void *context, const struct reply *entries)
{
    struct entry_id *last = context;
    struct reply entry = reply_element(entries, 0);
    *last = id_of(&entry);
}

/* Those that were there at the start: one that dies again meanwhile is left for next time. */
static bool handle_all(struct dead *dead, handle_entry *handle)
{
    struct entry_id last = { 0 }, after = { 0 };
    const char *const words[] = { "XREVRANGE", dead->key, "+", "-", "COUNT", "1", NULL };
    const char *const *const commands[] = { words };
    bool is_done = streams_redis_call(dead->streams->redis, commands, 1, take_last, &last);
    while (is_done && entry_id_compare(after, last) < 0) {
        is_done = read_page(dead, after, take_ids);
        if (dead->id_count == 0)
            break;
        for (size_t i = 0; i < dead->id_count && is_done; i++) {
            char id[ENTRY_ID_LENGTH_MAX];
            after = dead->ids[i];
            if (entry_id_compare(after, last) > 0)
                break;
            entry_id_format(after, id);
            is_done = handle(dead, id);
        }
    }
    return is_done;
}

static enum exit_code handle(struct streams *streams, const char *const *words, size_t word_count,
                             handle_entry *entry, const char *done_word)
{
    struct dead dead;
    if (word_count == 0) {
        fputs("usage: sluice streams dead replay STREAM [ID…]\n"
              "       sluice streams dead drop STREAM [ID…]\n",
              stderr);
        return EXIT_CODE_USAGE;
    }
    if (!check_ids(words + 1, word_count - 1))
        return EXIT_CODE_USAGE;
    if (!(streams->redis = streams_redis_open(streams->settings)) || !open_dead(&dead, streams, words[0]))
        return EXIT_CODE_FAILED;
    bool is_done =
        word_count > 1 ? handle_named(&dead, entry, words + 1, word_count - 1) : handle_all(&dead, entry);
    printf("%s: %" PRIu64 " %s\n", dead.stream, dead.done, done_word);
    close_dead(&dead);
    return is_done ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}

enum exit_code streams_dead(struct streams *streams, const char *const *words, size_t word_count)
{
    const char *action = word_count ? words[0] : "";
    if (strcmp(action, "replay") == 0)
        return handle(streams, words + 1, word_count - 1, replay_entry, "replayed");
    if (strcmp(action, "drop") == 0)
        return handle(streams, words + 1, word_count - 1, drop_entry, "dropped");
    return strcmp(action, "list") == 0 ? list(streams, words + 1, word_count - 1)
                                       : list(streams, words, word_count);
}

#include "tail_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* --- what the tail tells -------------------------------------------------------------------------------- */

static void tell(struct reader *reader, const char *what, const char *stream, size_t length,
                 struct entry_id id)
{
    char text[ENTRY_ID_LENGTH_MAX];
    entry_id_format(id, text);
    buffer_printf(&reader->story, "%s %.*s %s, ", what, (int)length, stream, text);
}

static void on_watched(void *context, const char *stream, size_t length, struct entry_id last)
{
    struct reader *reader = context;
    reader->watched++;
    if (!reader->is_silent)
        tell(reader, "watched", stream, length, last);
    if (reader->on_watched)
        reader->on_watched(reader, stream, last);
}

static void on_refused(void *context, const char *stream, size_t length, const char *problem)
{
    struct reader *reader = context;
    reader->refused++;
    buffer_printf(&reader->story, "refused %.*s %.*s, ", (int)length, stream, (int)strcspn(problem, " "),
                  problem);
}

static void on_entry(void *context, const char *stream, size_t length, struct entry_id id,
                     const struct entry_field *fields, size_t field_count)
{
    struct reader *reader = context;
    reader->entries++;
    if (!reader->is_silent)
        tell(reader, "entry", stream, length, id);
    if (reader->on_entry)
        reader->on_entry(reader, stream, id, fields, field_count);
}

static void on_broken(void *context, const char *stream, size_t length, enum tail_break reason,
                      struct entry_id last)
{
    struct reader *reader = context;
    reader->broken++;
    tell(reader, reason == TAIL_BREAK_TRIMMED ? "trimmed" : "reset", stream, length, last);
}

static void on_up(void *context)
{
    ((struct reader *)context)->ups++;
}

static void on_down(void *context, const char *reason)
{
    (void)reason;
    ((struct reader *)context)->downs++;
}

/* --- the reader ----------------------------------------------------------------------------------------- */

void reader_create(struct reader *reader, const char *address, size_t reply_bytes_max)
{
    *reader = (struct reader){ .base = event_base_new(), .metrics = metrics_create() };
    captured_log_open(&reader->log);
    struct commands_options options = { .link = link_options_for(address, &reader->commands_url),
                                        .pending_max = 10000,
                                        .timeout_ms = 3000 };
    options.link.reply_bytes_max = (size_t)64 * 1024 * 1024;
    const struct commands_events none = { .context = NULL };
    reader->commands = commands_create(reader->base, NULL, &options, &none, NULL, reader->log.log);
    cr_assert_not_null(reader->commands);

    struct redis_link_options link = link_options_for(address, &reader->tail_url);
    link.reply_bytes_max = reply_bytes_max;
    link.ping_after_ms = TAIL_PING_AFTER_MS;
    link.ping_timeout_ms = 2 * TAIL_PING_AFTER_MS;
    link.metrics = reader->metrics;
    const struct tail_events events = {
        .on_watched = on_watched,
        .on_refused = on_refused,
        .on_entry = on_entry,
        .on_broken = on_broken,
        .on_up = on_up,
        .on_down = on_down,
        .context = reader,
    };
    reader->tail = tail_create(reader->base, NULL, &link, &events, reader->commands, reader->log.log);
    cr_assert_not_null(reader->tail);
}

void reader_start(struct reader *reader)
{
    commands_start(reader->commands);
    tail_start(reader->tail);
}

void reader_open(struct reader *reader, struct private_redis *redis)
{
    reader_create(reader, redis->address, (size_t)64 * 1024 * 1024);
    reader_start(reader);
    cr_assert(reader_await_up(reader, 1));
}

void reader_close(struct reader *reader)
{
    tail_destroy(reader->tail);
    commands_destroy(reader->commands);
    buffer_free(&reader->story);
    captured_log_close(&reader->log);
    metrics_destroy(reader->metrics);
    redis_url_clear(&reader->commands_url);
    redis_url_clear(&reader->tail_url);
    event_base_free(reader->base);
}

void reader_watch(struct reader *reader, const char *stream)
{
    cr_assert(tail_watch(reader->tail, stream, strlen(stream)));
}

void reader_unwatch(struct reader *reader, const char *stream)
{
    tail_unwatch(reader->tail, stream, strlen(stream));
}

void reader_watch_now(struct reader *reader, const char *stream)
{
    unsigned watched = reader->watched + 1;
    reader_watch(reader, stream);
    cr_assert(reader_await_watched(reader, watched, 3000), "%s", stream);
    buffer_reset(&reader->story);
}

/* --- waiting -------------------------------------------------------------------------------------------- */

static bool has_piece(void *context)
{
    struct reader *reader = context;
    return reader->story.size > 0 &&
           memmem(reader->story.data, reader->story.size, reader->awaited, strlen(reader->awaited)) != NULL;
}

bool reader_await(struct reader *reader, const char *piece, unsigned timeout_ms)
{
    reader->awaited = piece;
    bool has = wait_until(reader->base, has_piece, reader, timeout_ms);
    if (!has)
        cr_log_info("no \"%s\" in \"%.*s\"", piece, (int)reader->story.size,
                    reader->story.data ? reader->story.data : "");
    return has;
}

void reader_expect(struct reader *reader, const char *story)
{
    (void)reader_await(reader, story, 5000);
    const char *told = reader->story.data ? reader->story.data : "";
    size_t length = reader->story.size;
    cr_assert(length == strlen(story) && memcmp(told, story, length) == 0, "expected \"%s\", told \"%.*s\"",
              story, (int)length, told);
    buffer_reset(&reader->story);
}

static bool has_entries(void *context)
{
    struct reader *reader = context;
    return reader->entries >= reader->entries_awaited;
}

bool reader_await_entries(struct reader *reader, unsigned entries, unsigned timeout_ms)
{
    reader->entries_awaited = entries;
    return wait_until(reader->base, has_entries, reader, timeout_ms);
}

static bool has_watched(void *context)
{
    struct reader *reader = context;
    return reader->watched >= reader->watched_awaited;
}

bool reader_await_watched(struct reader *reader, unsigned watched, unsigned timeout_ms)
{
    reader->watched_awaited = watched;
    return wait_until(reader->base, has_watched, reader, timeout_ms);
}

static bool is_up(void *context)
{
    struct reader *reader = context;
    return reader->ups >= reader->entries_awaited && commands_is_up(reader->commands);
}

bool reader_await_up(struct reader *reader, unsigned ups)
{
    reader->entries_awaited = ups;
    return wait_until(reader->base, is_up, reader, 10000);
}

static bool is_down(void *context)
{
    struct reader *reader = context;
    return reader->downs >= reader->entries_awaited;
}

bool reader_await_down(struct reader *reader, unsigned downs)
{
    reader->entries_awaited = downs;
    return wait_until(reader->base, is_down, reader, 10000);
}

/* --- Redis ---------------------------------------------------------------------------------------------- */

void cut_connections(struct private_redis *redis)
{
    private_redis_command(redis, "CLIENT KILL TYPE normal SKIPME yes");
}

void add_entries(struct private_redis *redis, const char *stream, unsigned from, unsigned to, unsigned maxlen)
{
    char words[512];
    char trim[48] = "";
    if (maxlen > 0)
        snprintf(trim, sizeof(trim), "'MAXLEN','=','%u',", maxlen);
    snprintf(words, sizeof(words),
             "EVAL for\ti=%u,%u\tdo\tredis.call('XADD',KEYS[1],%si..'-0','n',i)end 1 %s", from, to, trim,
             stream);
    const char *reply = private_redis_command(redis, words);
    while (strncmp(reply, "LOADING", strlen("LOADING")) == 0) /* just started */
        reply = private_redis_command(redis, words);
    cr_assert_str_eq(reply, "(nil)");
}

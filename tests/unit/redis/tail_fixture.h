/* A tail on a private redis-server, and what it told as one line of words. */
#pragma once

#include "base/buffer.h"
#include "redis/tail.h"
#include "redis_fixture.h"

#define TAIL_PING_AFTER_MS 1000 /* so a read blocks for 800 ms */

struct reader {
    struct event_base *base;
    struct captured_log log;
    struct metrics *metrics;
    struct redis_url commands_url;
    struct redis_url tail_url;
    struct commands *commands;
    struct tail *tail;
    struct buffer story; /* all but ups and downs */
    const char *awaited; /* a piece of the story */
    unsigned ups, downs;
    unsigned watched, entries, broken, refused; /* how many were told */
    unsigned entries_awaited;
    unsigned watched_awaited;
    bool is_silent; /* no story of entries */
    void (*on_entry)(struct reader *reader, const char *stream, struct entry_id id,
                     const struct entry_field *fields, size_t field_count);
    void (*on_watched)(struct reader *reader, const char *stream, struct entry_id last);
    void *context;
};

/* Creates without starting. `reply_bytes_max` is that of the tail. */
void reader_create(struct reader *reader, const char *address, size_t reply_bytes_max);
void reader_start(struct reader *reader);
void reader_open(struct reader *reader, struct private_redis *redis);
void reader_close(struct reader *reader);

void reader_watch(struct reader *reader, const char *stream);
void reader_unwatch(struct reader *reader, const char *stream);

/* Watches and waits until Redis has been asked. Forgets the story. */
void reader_watch_now(struct reader *reader, const char *stream);

/* Waits until the story has this piece, then asserts that the story is exactly `story` and forgets it. */
void reader_expect(struct reader *reader, const char *story);
bool reader_await(struct reader *reader, const char *piece, unsigned timeout_ms);
bool reader_await_entries(struct reader *reader, unsigned entries, unsigned timeout_ms);
bool reader_await_watched(struct reader *reader, unsigned watched, unsigned timeout_ms);
bool reader_await_up(struct reader *reader, unsigned ups);
bool reader_await_down(struct reader *reader, unsigned downs);

/* Cuts all connections; the loop does not run, so nobody comes back before it does. */
void cut_connections(struct private_redis *redis);

/* Adds entries `from`-0 … `to`-0 to a stream as one command. `maxlen` 0: no trimming. */
void add_entries(struct private_redis *redis, const char *stream, unsigned from, unsigned to,
                 unsigned maxlen);

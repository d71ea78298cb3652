#include "redis/reply_reader.h"

#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

#define ARENA_BLOCK_BYTES 16384
#define ARENA_ALIGNMENT 16

/* Lines are statuses, errors and numbers. An endless one is searched for its end again with every piece. */
#define LINE_BYTES_MAX 65536

/* The line with a string's length: 20 digits are more than enough. */
#define LENGTH_LINE_MAX 24

/* hiredis 0.14 has this bound itself, 1.x has none. */
#define DEPTH_MAX 7

#define INPUT_BYTES_KEPT ((size_t)4 * REPLY_READER_PIECE)

static const char too_large[] = REPLY_READER_TOO_LARGE;

/* hiredis changed one signature when it learnt RESP3. */
#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

struct arena_block {
    struct arena_block *previous;
    size_t used;
    size_t capacity;
    _Alignas(ARENA_ALIGNMENT) char bytes[];
};

struct reply_reader {
    redisReader *parser; /* NULL only after memory was short */
    size_t bytes_max;
    struct arena_block *block; /* the last is kept for the next reply */
    size_t arena_bytes;
    size_t input_peak; /* the longest that the parser's buffer has been */
    bool reply_is_out; /* the arena holds a reply that was handed out */
    const char *problem;
    char parser_problem[128];
};

/* --- the arena ------------------------------------------------------------------------------------------ */

static void arena_empty(struct reply_reader *reader)
{
    while (reader->block && (reader->block->previous || reader->block->capacity > ARENA_BLOCK_BYTES)) {
        struct arena_block *previous = reader->block->previous;
        free(reader->block);
        reader->block = previous;
    }
    if (reader->block)
        reader->block->used = 0;
    reader->arena_bytes = 0;
}

/* NULL tells hiredis to give up, which it reports as "Out of memory": `problem` says better. */
static void *arena_take(struct reply_reader *reader, size_t size)
{
    if (size > reader->bytes_max || reader->arena_bytes > reader->bytes_max - size) {
        reader->problem = too_large;
        return NULL;
    }
    size = (size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
    struct arena_block *block = reader->block;
    if (!block || block->capacity - block->used < size) {
        /* Doubling keeps the blocks of a large reply few. */
        size_t capacity = block ? block->capacity * 2 : ARENA_BLOCK_BYTES;
        if (capacity > 64 * ARENA_BLOCK_BYTES)
            capacity = 64 * ARENA_BLOCK_BYTES;
        if (capacity < size)
            capacity = size;
        block = malloc(sizeof(*block) + capacity);
        if (!block) {
            reader->problem = "memory is short";
            return NULL;
        }
        *block = (struct arena_block){ .previous = reader->block, .capacity = capacity };
        reader->block = block;
    }
    void *taken = block->bytes + block->used;
    block->used += size;
    reader->arena_bytes += size;
    return taken;
}

/* --- what hiredis calls --------------------------------------------------------------------------------- */

static redisReply *create_reply(const redisReadTask *task, size_t extra)
{
    struct reply_reader *reader = task->privdata;
    if (extra > SIZE_MAX - sizeof(redisReply) || task->type < REDIS_REPLY_STRING ||
        task->type > REDIS_REPLY_ERROR) {
        reader->problem = "a kind of reply that RESP2 does not have";
        return NULL;
    }
    redisReply *reply = arena_take(reader, sizeof(*reply) + extra);
    if (!reply)
        return NULL;
    *reply = (redisReply){ .type = task->type };
    if (task->parent) {
        redisReply *parent = task->parent->obj;
        parent->element[task->idx] = reply;
    }
    return reply;
}

static void *create_string(const redisReadTask *task, char *bytes, size_t length)
{
    redisReply *reply = create_reply(task, length + 1);
    if (!reply)
        return NULL;
    reply->str = (char *)(reply + 1);
    reply->len = length;
    memcpy(reply->str, bytes, length);
    reply->str[length] = '\0';
    return reply;
}

static void *create_array(const redisReadTask *task, element_count announced)
{
    struct reply_reader *reader = task->privdata;
    size_t count = (size_t)announced;
    size_t depth = 0;
    for (const redisReadTask *parent = task->parent; parent; parent = parent->parent)
        depth++;
    if (depth > DEPTH_MAX) {
        reader->problem = "a reply nested too deep";
        return NULL;
    }
    if (count > reader->bytes_max / sizeof(redisReply *)) {
        reader->problem = too_large;
        return NULL;
    }
    redisReply *reply = create_reply(task, count * sizeof(redisReply *));
    if (!reply)
        return NULL;
    reply->element = (redisReply **)(void *)(reply + 1);
    reply->elements = count;
    memset(reply->element, 0, count * sizeof(redisReply *));
    return reply;
}

static void *create_integer(const redisReadTask *task, long long value)
{
    redisReply *reply = create_reply(task, 0);
    if (reply)
        reply->integer = value;
    return reply;
}

static void *create_nil(const redisReadTask *task)
{
    /* The task carries the type that was announced: a string or an array. */
    redisReply *reply = create_reply(task, 0);
    if (reply)
        reply->type = REDIS_REPLY_NIL;
    return reply;
}

/* The arena frees. */
static void free_nothing(void *reply)
{
    (void)reply;
}

#if HIREDIS_MAJOR >= 1
/* Types of RESP3, which we never ask for. Without these functions hiredis would hand out a type number as a
 * pointer. */
static void *refuse_double(const redisReadTask *task, double value, char *text, size_t length)
{
    (void)value;
    (void)text;
    (void)length;
    return create_reply(task, 0);
}

static void *refuse_bool(const redisReadTask *task, int value)
{
    (void)value;
    return create_reply(task, 0);
}
#endif

static const redisReplyObjectFunctions reply_functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
    .freeObject = free_nothing,
#if HIREDIS_MAJOR >= 1
    .createDouble = refuse_double,
    .createBool = refuse_bool,
#endif
};

/* --- the reader ----------------------------------------------------------------------------------------- */

struct reply_reader *reply_reader_create(size_t bytes_max)
{
    struct reply_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return NULL;
    reader->bytes_max = bytes_max;
    if (!reply_reader_reset(reader)) {
        free(reader);
        return NULL;
    }
    return reader;
}

void reply_reader_destroy(struct reply_reader *reader)
{
    if (!reader)
        return;
    redisReaderFree(reader->parser);
    arena_empty(reader);
    free(reader->block);
    free(reader);
}

bool reply_reader_reset(struct reply_reader *reader)
{
    if (reader->parser)
        redisReaderFree(reader->parser);
    arena_empty(reader);
    reader->reply_is_out = false;
    reader->input_peak = 0;
    reader->problem = NULL;
    reader->parser = redisReaderCreateWithFunctions((redisReplyObjectFunctions *)&reply_functions);
    if (!reader->parser) {
        reader->problem = "memory is short";
        return false;
    }
    reader->parser->privdata = reader;
    /* hiredis 0.14 asserts that memory is there when it shrinks its buffer by itself; shrink_input() does it
     * instead. */
    reader->parser->maxbuf = 0;
    return true;
}

static void take_parser_problem(struct reply_reader *reader)
{
    if (reader->problem)
        return;
    memcpy(reader->parser_problem, reader->parser->errstr, sizeof(reader->parser_problem));
    reader->parser_problem[sizeof(reader->parser_problem) - 1] = '\0';
    reader->problem = reader->parser_problem;
}

/* Between replies, gives back the buffer that a large one has left. When that fails the old one just stays.
 */
static void shrink_input(struct reply_reader *reader)
{
    redisReader *fresh = redisReaderCreateWithFunctions((redisReplyObjectFunctions *)&reply_functions);
    if (!fresh)
        return;
    fresh->privdata = reader;
    fresh->maxbuf = 0;
    redisReaderFree(reader->parser);
    reader->parser = fresh;
    reader->input_peak = 0;
}

void reply_reader_feed(struct reply_reader *reader, const char *bytes, size_t length)
{
    if (reader->problem)
        return;
    if (redisReaderFeed(reader->parser, bytes, length) != REDIS_OK)
        take_parser_problem(reader);
    else if (reader->parser->len > reader->input_peak)
        reader->input_peak = reader->parser->len;
}

/*
 * Looks at what hiredis could not finish. Its type byte is consumed, and only a string stays unfinished with
 * a whole line in sight: that line is its length.
 */
static void check_unfinished(struct reply_reader *reader)
{
    const char *bytes = reader->parser->buf + reader->parser->pos;
    size_t length = reader->parser->len - reader->parser->pos;
    const char *line_end = memmem(bytes, length < LENGTH_LINE_MAX ? length : LENGTH_LINE_MAX, "\r\n", 2);
    uint64_t announced = 0;
    if (line_end && parse_unsigned(bytes, (size_t)(line_end - bytes), &announced) &&
        announced > reader->bytes_max)
        reader->problem = too_large;
    if (!line_end && length > LINE_BYTES_MAX)
        reader->problem = "a line without end";
}

bool reply_reader_next(struct reply_reader *reader, const struct redisReply **ret_reply)
{
    if (reader->problem)
        return false;
    if (reader->reply_is_out) {
        arena_empty(reader);
        reader->reply_is_out = false;
    }
    if (reader->parser->pos >= reader->parser->len) {
        bool between_replies = reader->parser->ridx < 0;
        if (between_replies && reader->input_peak > INPUT_BYTES_KEPT)
            shrink_input(reader);
        return false;
    }

    void *reply = NULL;
    if (redisReaderGetReply(reader->parser, &reply) != REDIS_OK) {
        take_parser_problem(reader);
        return false;
    }
    if (!reply) {
        if (reader->parser->pos < reader->parser->len)
            check_unfinished(reader);
        return false;
    }
    reader->reply_is_out = true;
    *ret_reply = reply;
    return true;
}

const char *reply_reader_problem(const struct reply_reader *reader)
{
    return reader->problem;
}

size_t reply_reader_held_bytes(const struct reply_reader *reader)
{
    return (reader->parser ? reader->parser->len - reader->parser->pos : 0) + reader->arena_bytes;
}

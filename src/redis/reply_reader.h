/*
 * Turns the bytes of a connection into replies: hiredis' redisReader inside bounds. Takes bytes, knows no
 * socket.
 *
 *     reply_reader_feed(reader, bytes, length);           at most REPLY_READER_PIECE bytes
 *     while (reply_reader_next(reader, &reply))
 *         ...                                             until the next call on the reader
 *     if ((problem = reply_reader_problem(reader))) ...   the stream is lost: start afresh
 *
 * A reply and all its parts lie in an arena that is emptied before the next one, so a Pub/Sub message costs
 * no malloc. What a peer can make us hold is `bytes_max`, once as input and once as parsed reply: a string
 * announced to be longer is refused when its length is read, an array when its memory is asked for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct reply_reader;
struct redisReply;

/* redisReader moves what is left of its input after each 1 KiB it has parsed; small pieces keep that cheap.
 */
#define REPLY_READER_PIECE 16384

/* The problem of a reply that does not fit. */
#define REPLY_READER_TOO_LARGE "a reply larger than allowed (redis_reply_bytes_max)"

struct reply_reader *reply_reader_create(size_t bytes_max);
void reply_reader_destroy(struct reply_reader *reader);

/* Forgets everything, for a new connection. False when memory is short; then there is a problem to read. */
bool reply_reader_reset(struct reply_reader *reader);

void reply_reader_feed(struct reply_reader *reader, const char *bytes, size_t length);

/* False when more bytes are needed or there is a problem. */
bool reply_reader_next(struct reply_reader *reader, const struct redisReply **ret_reply);

/* NULL while all is well. Lives until reply_reader_reset(). */
const char *reply_reader_problem(const struct reply_reader *reader);

/* Bytes of input and of the unfinished reply held now. */
size_t reply_reader_held_bytes(const struct reply_reader *reader);

/* A Redis that sends anything: bounded, and no crash. Input: length of the pieces, what Redis sends. */
#include <stdbool.h>

#include "fuzz.h"
#include "redis/reply_reader.h"

#define BYTES_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    size_t piece = (size_t)input_take_byte(&input) + 1;
    const struct redisReply *reply;
    struct reply_reader *reader = reply_reader_create(BYTES_MAX);
    REQUIRE(reader);
    while (input.length > 0 && !reply_reader_problem(reader)) {
        struct input part = input_take(&input, piece);
        reply_reader_feed(reader, part.bytes, part.length);
        while (reply_reader_next(reader, &reply))
            REQUIRE(reply);
        REQUIRE(reply_reader_held_bytes(reader) <= 3 * BYTES_MAX);
    }
    REQUIRE(reply_reader_reset(reader));
    REQUIRE(!reply_reader_problem(reader));
    reply_reader_destroy(reader);
    return 0;
}

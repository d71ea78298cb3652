/* What Redis says of a stream: the answer to XINFO STREAM, of Redis 5 to 8. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "redis/reply.h"
#include "wire/entry_id.h"

struct stream_info {
    bool exists;
    uint64_t length;
    struct entry_id last;   /* last-generated-id; 0-0 without a stream */
    struct entry_id first;  /* of the entries there are; 0-0 when it is empty */
    bool has_entries_added; /* since Redis 7 */
    uint64_t entries_added; /* ever, those since deleted or trimmed included */
};

/* Takes the answer or `ERR no such key`. False for anything else. */
bool stream_info_parse(const struct reply *reply, struct stream_info *ret_info);

/*
 * Publishing that may be tried again: one Lua script looks for the receipt of an earlier attempt, adds the
 * stream entries, publishes and stores the receipt. Redis runs it as a whole or not at all, so after an
 * uncertain outcome the same call finds out what happened, or does it.
 */
#pragma once

#include "front/publish_body.h"
#include "redis/commands.h"

/* What Redis says about one item. */
struct publish_receipt {
    char id[64]; /* of the stream entry, NUL-terminated; empty without one */
    int64_t receivers;
    bool duplicate;
};

/*
 * Sends the item: a plain PUBLISH if it is one channel and has no id, else the script. `id` is what the
 * receipt is kept under, for `window_ms`; `token` tells this item's own attempts from somebody else's. False
 * when memory is short.
 */
bool publish_script_send(struct commands *commands, const struct publish_item *item, struct text id,
                         struct text token, uint64_t window_ms, commands_done *done, void *context);

/* Reads the reply of COMMANDS_OK. False if it is not what the script answers. */
bool publish_script_read(const struct reply *reply, struct text token, struct publish_receipt *ret_receipt);

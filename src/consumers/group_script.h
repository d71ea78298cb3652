/*
 * What groups ask of Redis in more than one command: each is a Lua script, so that it happens as a whole, and
 * that no other gateway comes in between.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "redis/commands.h"
#include "wire/entry_id.h"

/* Entries that one claim looks at. */
#define GROUP_CLAIM_MAX 100

struct group_names {
    const char *stream;
    size_t stream_length;
    const char *group;
    size_t group_length;
};

/*
 * All of these: false when memory is short, `done` is not called then; else like commands_run_script().
 *
 * Makes the stream and the group if they are not there. The group begins behind `start`, or with the stream's
 * first entry where that id is beyond the stream's last (it was deleted meanwhile); `only_new`: behind the
 * last.
 */
bool group_script_create(struct commands *commands, const struct group_names *names, bool only_new,
                         struct entry_id start, commands_done *done, void *context);

/* Whether it was made now, and the last id that was delivered to the group. False if that is no reply of the
 * script. */
bool group_script_read_create(const struct reply *reply, bool *ret_made, struct entry_id *ret_position);

struct group_claim {
    const char *consumer; /* who gets the entries */
    size_t consumer_length;
    bool own;              /* only what is pending for this consumer, however short: it has come back */
    uint64_t idle_ms;      /* otherwise what has been pending for so long, whoever has it */
    struct entry_id after; /* only ids behind this one */
    size_t count;          /* entries to look at, up to GROUP_CLAIM_MAX */
    uint64_t max_deliveries;
};

/* Gives pending entries to a consumer; those that were delivered max_deliveries times become dead letters. */
bool group_script_claim(struct commands *commands, const struct group_names *names,
                        const struct group_claim *claim, commands_done *done, void *context);

/* What a claim has done. The replies are views into its reply. */
struct group_claimed {
    struct reply entries; /* of [id, deliveries, [field, value, …]] */
    struct reply ended;   /* ids that are not pending any more: dead letters, and deleted ones */
    uint64_t dead;
    uint64_t missing; /* deleted from the stream before they were acknowledged */
    uint64_t taken;   /* of the entries: were somebody else's */
    uint64_t seen;    /* entries looked at; `count` when there may be more */
    struct entry_id last;
    struct reply problem; /* TEXT: why dead letters could not be written */
};

/* False if that is no reply of the script. */
bool group_script_read_claim(const struct reply *reply, struct group_claimed *ret_claimed);

enum group_verb {
    GROUP_VERB_ACK,
    GROUP_VERB_NACK,    /* may be claimed at once */
    GROUP_VERB_RELEASE, /* the same, and this delivery is not counted: the entry was not seen */
    GROUP_VERB_TOUCH,   /* is idle for 0 ms */
};

/* Does this to each id that is pending; with a consumer: pending for it. The reply is an array of 1 and 0. */
bool group_script_ids(struct commands *commands, const struct group_names *names, enum group_verb verb,
                      const char *consumer, size_t consumer_length, const struct entry_id *ids, size_t count,
                      commands_done *done, void *context);

/* Makes one entry, if it is pending for the consumer, a dead letter. */
bool group_script_bury(struct commands *commands, const struct group_names *names, const char *consumer,
                       size_t consumer_length, struct entry_id id, const char *reason, commands_done *done,
                       void *context);

/* Makes Redis forget a consumer for whom nothing is pending. */
bool group_script_forget(struct commands *commands, const struct group_names *names, const char *consumer,
                         size_t consumer_length, commands_done *done, void *context);

/* What an error means, whether it came from a script or a command. */
enum group_error {
    GROUP_ERROR_NO_GROUP,
    GROUP_ERROR_WRONG_TYPE,
    GROUP_ERROR_REFUSED,   /* NOPERM, NOAUTH */
    GROUP_ERROR_TRANSIENT, /* or unknown: to be tried again */
};
enum group_error group_error_of(const struct reply *reply);

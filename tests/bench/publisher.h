/*
 * Publishes numbered messages at a given rate, pipelined on one connection, in turn over all channels:
 * message m is number m / channels of channel m modulo channels. Channels may be streams: then a message is
 * an entry whose only field is PUBLISHER_FIELD, and its event is PUBLISHER_ENTRY_HEAD, the message, `}`.
 * Servers that take nothing from Redis' Pub/Sub get a POST for each message instead.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "payload.h"

#define PUBLISHER_FIELD "m"
#define PUBLISHER_ENTRY_HEAD "{\"" PUBLISHER_FIELD "\":"

struct publisher_counts {
    uint64_t published; /* handed over */
    uint64_t answered;
    uint64_t without_receiver; /* Redis knew of no subscriber */
    uint64_t errors;
    uint64_t
        late_us_max; /* behind the schedule: above a few ms the machine is too busy to trust the latencies */
};

enum publisher_way { PUBLISHER_PUBLISH, PUBLISHER_XADD, PUBLISHER_POST };

struct publisher_options {
    struct address to; /* Redis, or the server that takes POST */
    enum publisher_way way;
    const char *path; /* of POST; `{channel}` stands for the channel's name */
    const char *channel_prefix;
    size_t channels;
};

struct publisher;

/* NULL with errno. Borrows its arguments. */
struct publisher *publisher_create(int loop, const struct publisher_options *options,
                                   const struct payload_form *form);
void publisher_destroy(struct publisher *publisher);

/* Publishes `count` more messages, `rate` a second; 0: as fast as Redis takes them. */
bool publisher_start(struct publisher *publisher, uint64_t count, double rate);

/* All of them are handed over, and answered. */
bool publisher_idle(const struct publisher *publisher);

const struct publisher_counts *publisher_counts(const struct publisher *publisher);

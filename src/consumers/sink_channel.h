/*
 * A sink that posts each message of a channel at most once: for what only informs. Of several gateways one
 * posts: the one that holds a lease in Redis. Messages wait in a bounded queue; those without room, those
 * that a receiver does not take, and those that come while the lease passes to another gateway, are lost.
 */
#pragma once

#include "base/log.h"
#include "consumers/sink_figures.h"
#include "consumers/sink_options.h"
#include "redis/commands.h"

#define SINK_LEASE_MS 6000
#define SINK_LEASE_RENEW_MS 1500

struct sink_channel;

/* Borrows all but the base. NULL when memory is short. */
struct sink_channel *sink_channel_create(struct event_base *base, const struct sink_options *options,
                                         struct commands *commands, struct sink_figures *figures,
                                         struct log *log);

/* Redis can be asked for the lease now. */
void sink_channel_redis_up(struct sink_channel *sink);

/* A message of the channel; ignored while another gateway has the lease. */
void sink_channel_message(struct sink_channel *sink, const char *payload, size_t length);

/* Gives the lease up, drops what is not being sent, and finishes the rest. */
void sink_channel_drain(struct sink_channel *sink);

size_t sink_channel_held(const struct sink_channel *sink);

/* Before the commands are destroyed, which answers what is under way. */
void sink_channel_stop(struct sink_channel *sink);
/* No-op for NULL. */
void sink_channel_destroy(struct sink_channel *sink);

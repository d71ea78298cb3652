/*
 * What gateways ask of each other: who has streams, and the end of somebody's (front/roll_call.h has the
 * words). The main thread's feed hears it and each worker does it, and says so in Redis.
 *
 * A gateway that was cut off hears nothing, so revocations are kept in a stream, and what was missed is read
 * when the feed is back.
 *
 *   feed up ──▶ SUBSCRIBE sluice:control ──▶ confirmed ──▶ XRANGE sluice:revocations (last +
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

struct control;
struct gateway;

/* NULL when memory is short. Belongs to the main thread. */
struct control *control_create(struct gateway *gateway);
void control_destroy(struct control *control);

bool control_is_own_channel(const char *channel, size_t length);

void control_feed_up(struct control *control);
/* Our channel is subscribed. */
void control_confirmed(struct control *control);
void control_refused(struct control *control, const char *problem);
void control_commands_up(struct control *control);
void control_message(struct control *control, const char *payload, size_t length);

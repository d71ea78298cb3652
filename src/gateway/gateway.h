/*
 * The whole gateway: builds what there is, binds it together, owns it, and lets it go in order.
 *
 *   main thread      Redis ──feed, tail──▶ dispatcher ──▶ workers          webhooks, figures of streams, and
 *                                                                          what the application is asked
 *   worker (1 … n)   listener ──▶ front ──▶ hub, snapshot cache, commands ──▶ Redis, origin
 *
 * The parts know nothing of one another but callbacks.
 */
#pragma once

#include <event2/event.h>

#include "base/log.h"
#include "gateway/settings.h"
#include "redis/commands.h"

struct gateway;

/*
 * Listens from here on. `settings` is borrowed, outlives the gateway, and is changed only between
 * gateway_hold() and gateway_apply_settings(). NULL with *ret_problem set to a sentence (address in use, no
 * memory), which the caller frees.
 */
struct gateway *gateway_create(struct event_base *base, const struct settings *settings, const char *version,
                               struct log *log, char **ret_problem);
void gateway_destroy(struct gateway *gateway);

/* Nobody looks at the settings between these two: they may be changed. The second takes over those that can
 * change while running. */
void gateway_hold(struct gateway *gateway);
void gateway_apply_settings(struct gateway *gateway);

/*
 * Accepts no more, lets the clients go one after the other, and calls `done` when nobody is left or
 * drain_timeout is over. False when memory is short: `done` is not called.
 */
typedef void gateway_drained(void *context);
bool gateway_drain(struct gateway *gateway, gateway_drained *done, void *context);

/* Where it can be reached, e.g. `http://127.0.0.1:8000`. Caller frees. NULL when memory is short. */
char *gateway_url(const struct gateway *gateway);

/* The gateway's own connection to Redis, for those who bring a demo. */
struct commands *gateway_commands(struct gateway *gateway);

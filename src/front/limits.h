/*
 * Who has too much already: the answers to it, and the place that an open stream has in the quota.
 *
 *   limits_take_place() ──▶ exchange ──limits_pass_place()──▶ subscriber ──▶ given back when it is freed
 *                              └────── limits_drop_place(): the stream was not opened after all
 */
#pragma once

#include <stdint.h>

#include "front/exchange.h"
#include "metrics/metrics.h"

struct stream_place;

/* False: over a limit, or memory is short, and answered. */
bool limits_take_place(struct exchange *exchange);
void limits_pass_place(struct exchange *exchange, struct subscriber *subscriber);
/* Nothing if there is none. */
void limits_drop_place(struct exchange *exchange);

/* For that many events. False: answered. */
bool limits_take_publish(struct exchange *exchange, uint64_t events);

/*
 * Refuses because of a limit, and counts it. An EventSource gets a stream that ends with `event: refused`,
 * since a 429 would stop it for good; everybody else gets 429 with Retry-After. `retry_ms` 0: nobody can
 * know.
 */
void limits_refuse(struct exchange *exchange, enum limit limit, uint64_t retry_ms);

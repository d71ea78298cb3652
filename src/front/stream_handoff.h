/*
 * How a stream leaves the HTTP library. The library sends the response head; its first call for content is
 * the moment when the socket is duplicated and the duplicate given to the hub, and the library told that the
 * response is over. It closes its own copy, and the connection lives on in the hub at a fraction of the
 * memory.
 */
#pragma once

#include "front/exchange.h"
#include "hub/hub.h"

/*
 * Answers with a stream. One that cannot be had now is refused with 200, a late `retry:` and the end: any
 * other status would stop an EventSource for good.
 */
void stream_open(struct exchange *exchange, const struct stream_request *request);

/* The same for a subscriber that is open already; NULL for HEAD. */
void stream_accept(struct exchange *exchange, struct subscriber *subscriber);

/* Answers a stream with nothing but when to come back, soon: the gateway is ending. */
void stream_defer(struct exchange *exchange);

/* Refuses a stream for another reason, a word or a few. */
void stream_refuse(struct exchange *exchange, const char *reason);

/* The library's response for an exchange with is_stream set; NULL when memory is short. */
struct MHD_Response *stream_make_response(struct exchange *exchange);

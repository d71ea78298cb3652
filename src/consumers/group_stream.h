/*
 * A consumer of a group at the end of an HTTP stream: for workers that have no Redis client.
 *
 *   id: 1517574547834-0
 *   data: {"id":"1517574547834-0","deliveries":1,"data":{"subject":"hello"}}
 *
 * Besides entries there are `event: gap` with `{"reason":"group-reset"}` or
 * `{"reason":"trimmed","missing":2}`, and before the stream ends `event: refused` with the reason `replaced`,
 * `wrong-type` or `not-permitted`.
 */
#pragma once

#include "consumers/group.h"
#include "hub/hub.h"

struct group_stream;

enum group_stream_status {
    GROUP_STREAM_OPEN,
    GROUP_STREAM_WRONG_TYPE,
    GROUP_STREAM_REFUSED,  /* by Redis; `problem` is what it said */
    GROUP_STREAM_REPLACED, /* a newer connection under this name came meanwhile */
    GROUP_STREAM_FULL,
    GROUP_STREAM_DRAINING,
    GROUP_STREAM_NO_MEMORY,
};

/* `subscriber` is NULL unless GROUP_STREAM_OPEN; hub_attach() or hub_abandon() follows. The stream frees
 * itself when its client is gone, or after this call if it is not open. */
typedef void group_stream_opened(void *context, enum group_stream_status status,
                                 struct subscriber *subscriber, const char *problem);

/* `opened` is called once, never inside this call, when the group is known to be there, or Redis to be away.
 * NULL when memory is short. */
struct group_stream *group_stream_open(struct hub *hub, struct groups *groups,
                                       const struct consumer_request *request, group_stream_opened *opened,
                                       void *context);

/* Before `opened` was called: it will not be. */
void group_stream_cancel(struct group_stream *stream);

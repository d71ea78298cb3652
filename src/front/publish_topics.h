/* Where a request would publish to, for asking whether it may. */
#pragma once

#include "access/access.h"
#include "front/publish_body.h"

struct publish_topics {
    struct access_topic *topics; /* refer to the body and to `names` */
    size_t count;
    char *names;
};

/* Of all items that can be published: an item's channel and stream, an event's channel live:<event>, and of a
 * critical one the stream events:<event>. False when memory is short. */
bool publish_topics_collect(const struct publish_body *body, struct publish_topics *ret_topics);
void publish_topics_clear(struct publish_topics *topics);

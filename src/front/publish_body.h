/*
 * What a POST to /events/publish asks for, from its bytes. An array's items stand on their own: one that is
 * wrong carries its problem, the others are published.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/text.h"
#include "front/problem.h"

#define PUBLISH_NAME_MAX 512
#define PUBLISH_ID_MAX 256
#define PUBLISH_FIELDS_MAX 1000

enum publish_body_kind { PUBLISH_BODY_JSON, PUBLISH_BODY_FORM };

/* A name and a value of a Redis Stream entry; both lie in the item's `entry` buffer. */
struct publish_field {
    size_t name_at, name_length;
    size_t value_at, value_length;
};

/* A zeroed buffer stands for an absent field: names are never empty. */
struct publish_item {
    struct buffer channel;
    struct buffer stream;
    struct buffer event;
    struct buffer id;
    struct buffer payload; /* compact JSON */
    struct buffer entry;
    struct publish_field *fields; /* of the payload, where it is to become a stream entry */
    size_t field_count;
    uint64_t maxlen;
    bool critical;
    bool nomkstream;        /* refused where the stream does not exist */
    struct problem problem; /* status 0: can be published */
};

struct publish_body {
    struct publish_item *items;
    size_t count;
    bool is_array;
};

struct publish_limits {
    size_t items_max;
    uint64_t maxlen_default;
    /* What the settings say of this stream; 0: nothing, so that maxlen_default holds. May be NULL. */
    uint64_t (*maxlen_of)(const void *context, const char *stream, size_t length);
    const void *context;
};

/*
 * `idempotency_key` is the header's value, or without bytes; an item's own `id` wins, and in an array the
 * items get the key with their index behind it. False with the answer in *ret_problem when nothing of it can
 * be published: 400 where a field is wrong, 422 where each is right and what they ask for together cannot be.
 */
bool publish_body_parse(enum publish_body_kind kind, struct text bytes, struct text idempotency_key,
                        const struct publish_limits *limits, struct publish_body *ret_body,
                        struct problem *ret_problem);
void publish_body_clear(struct publish_body *body);

static inline bool publish_item_is_durable(const struct publish_item *item)
{
    return item->stream.size > 0 || item->critical;
}

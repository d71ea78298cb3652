/*
 * What Redis answered, for those who do not know hiredis. A view: it lives as long as the reply behind it,
 * which is the call that hands it out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reply_kind { REPLY_NIL, REPLY_TEXT, REPLY_INTEGER, REPLY_ARRAY, REPLY_ERROR };

struct reply {
    enum reply_kind kind;
    const char *text; /* TEXT, ERROR; not NUL-terminated */
    size_t text_length;
    int64_t integer;
    size_t count;         /* ARRAY */
    const void *elements; /* for reply_element() */
};

struct redisReply;

/* NULL becomes NIL. */
struct reply reply_view(const struct redisReply *source);

/* NIL when out of range, or when it is no array. */
struct reply reply_element(const struct reply *array, size_t index);

/* True when the text (or error) starts with this word: `reply_has_prefix(&reply, "NOSCRIPT")`. */
bool reply_has_prefix(const struct reply *reply, const char *word);

/* True for errors that go away by themselves: LOADING, BUSY, READONLY, MASTERDOWN, CLUSTERDOWN, TRYAGAIN,
 * OOM, MISCONF, NOREPLICAS. */
bool reply_error_is_transient(const struct reply *reply);

/* What a person can do about an error of Redis; NULL when its own words say enough. A static sentence. */
const char *reply_error_remedy(const struct reply *reply);

/*
 * What a grant names, and what a request names: topics.
 *
 *   in a grant       covers
 *   batch:42         the channel batch:42, and no other
 *   batch:*          every channel whose name begins with batch:
 *   stream:email.*   every Redis Stream whose name begins with email.
 *   *                every channel and every stream
 *
 * A `*` stands at the end or nowhere; there is no other wildcard. Channels and streams are two worlds: what
 * begins with `stream:` covers streams alone, everything else channels alone, so a channel that somebody
 * calls stream:x is reached by `*` only, and a grant for `s*` reaches no stream. Names are compared byte by
 * byte: percent-encoding was undone before, Unicode is not normalised.
 *
 * A subscription to a Redis glob is covered if everything it could ever match is: its bytes before the first
 * of `* ? [ \` must begin with all of a prefix grant.
 */
#pragma once

#include <stdbool.h>

#include "base/text.h"

#define PATTERN_BYTES_MAX 512

enum access_topic_kind {
    ACCESS_CHANNEL, /* a batch is the channel batch:<id>; an event X is live:X and, critical, the stream
                       events:X */
    ACCESS_GLOB,    /* all channels that a Redis glob matches */
    ACCESS_STREAM,
};

/* What somebody wants to read or write. `name` is decoded, and without the `stream:` of a grant. */
struct access_topic {
    enum access_topic_kind kind;
    struct text name;
};

struct pattern {
    bool everything;
    bool is_stream;
    bool is_prefix;
    struct text text; /* without `stream:` and `*`; refers to what was parsed */
};

/* False with *ret_problem a phrase ("is empty", …) for what is none. */
bool pattern_parse(struct text text, struct pattern *ret_pattern, const char **ret_problem);

bool pattern_covers(const struct pattern *pattern, const struct access_topic *topic);

/* Whether all that `inner` covers is covered by `outer`, too. */
bool pattern_within(const struct pattern *inner, const struct pattern *outer);

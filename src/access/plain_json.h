/*
 * JSON of the plain sort, read in place: strings of printable ASCII without escapes, whole numbers of up to
 * 15 digits, true, false and null, in objects and arrays. So are nearly all tokens. What is not plain is not
 * wrong: whoever reads must turn to a parser for all of JSON then, and never half of each.
 *
 *     struct plain_json json = plain_json_of(bytes, length);
 *     struct text name;
 *     for (bool more = plain_json_enter(&json, '{'); more && plain_json_next(&json, '}'); )
 *         more = plain_json_name(&json, &name) && plain_json_skip(&json);
 *     … plain_json_is_read(&json) …   // all of it was plain, and nothing is behind it
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

#define PLAIN_JSON_DEPTH_MAX 4  /* of what is skipped */
#define PLAIN_JSON_NAMES_MAX 24 /* members of an object */

struct plain_json {
    const char *at;
    const char *end;
    bool is_first; /* no comma before the next one */
    bool is_broken;
};

struct plain_json plain_json_of(const char *bytes, size_t length);

/* All false from the first thing on that is not plain. */

/* `open` is { or [. */
bool plain_json_enter(struct plain_json *json, char open);
/* Whether another member or element follows; false, too, when `close` ended the object or array. */
bool plain_json_next(struct plain_json *json, char close);
/* A member's name and the colon. */
bool plain_json_name(struct plain_json *json, struct text *ret_name);
bool plain_json_string(struct plain_json *json, struct text *ret_string);
bool plain_json_number(struct plain_json *json, uint64_t *ret_number);
bool plain_json_boolean(struct plain_json *json, bool *ret_value);
/* Any plain value. */
bool plain_json_skip(struct plain_json *json);

/* What comes next, to choose by: '"', '[', '{', or another byte; 0 at the end. */
char plain_json_peek(struct plain_json *json);

/* Everything was plain, and only white space is left. */
bool plain_json_is_read(struct plain_json *json);

/* The names of an object so far: JSON with a member twice is ambiguous, and not plain. */
struct plain_names {
    struct text names[PLAIN_JSON_NAMES_MAX];
    unsigned count;
};

bool plain_names_add(struct plain_names *names, struct text name);

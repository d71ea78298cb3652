/*
 * JSON as text. A payload is passed on as its author wrote it, only without the white space: parsed and
 * printed again, 1e400 or a 30-digit number would come out as something else. Once a text is known to be JSON
 * (json_text_check), these functions find their way in it. They stay inside their bounds on any input.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/text.h"
#include "front/problem.h"

enum json_kind {
    JSON_KIND_NULL,
    JSON_KIND_BOOLEAN,
    JSON_KIND_NUMBER,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT
};

/* False with 400, line and column in *ret_problem unless `text` is exactly one JSON value. */
bool json_text_check(struct text text, struct problem *ret_problem);

/* By the first byte; NULL for no bytes at all. */
enum json_kind json_text_kind(struct text value);

/* A walk through the members of an object or the elements of an array: start with the value's text. */
struct json_walk {
    struct text rest;
};
struct json_walk json_walk_start(struct text value);

/* False at the end. `ret_name` is still quoted and escaped; values are without the space around them. */
bool json_walk_member(struct json_walk *walk, struct text *ret_name, struct text *ret_value);
bool json_walk_element(struct json_walk *walk, struct text *ret_value);

/* Appends the value without insignificant white space. */
void json_text_append_compact(struct buffer *out, struct text value);

/* Appends the bytes that a quoted string means. False if it is no valid JSON string, or memory is short
 * (out->failed). */
bool json_text_append_decoded(struct buffer *out, struct text quoted);

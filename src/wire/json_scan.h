/*
 * A strict check of JSON text (RFC 8259) that builds nothing: what the gateway passes on it only has to know
 * to be JSON, once for each message. Takes numbers of any size and any \u escape, as the grammar does;
 * nesting ends at JSON_DEPTH_MAX.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define JSON_DEPTH_MAX 1024

/* A value's own text inside what was scanned, with the quotes of a string; NULL: there is none. */
struct json_span {
    const char *bytes;
    size_t length;
};

/*
 * True for exactly one JSON value with white space around it. If that is an object, `*ret_is_object` is set
 * and `*ret_member` is the value of its member called `name` (the last one, as for JSON.parse).
 */
bool json_scan(const char *bytes, size_t length, const char *name, bool *ret_is_object,
               struct json_span *ret_member);

/* True when `span` is a JSON string that stands for exactly this ASCII text, however it is escaped. */
bool json_span_is(struct json_span span, const char *text);

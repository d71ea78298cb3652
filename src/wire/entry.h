/*
 * Stream entries as JSON: the fields become one object in their order. A value that is a JSON object or array
 * is embedded as it is, everything else stays a string; a value that is not UTF-8 becomes {"base64": "…"}, so
 * that nothing is lost. Of a repeated field name the values become an array.
 */
#pragma once

#include <stddef.h>

#include "base/buffer.h"
#include "wire/entry_id.h"

struct entry_field {
    const char *name;
    size_t name_length;
    const char *value;
    size_t value_length;
};

void entry_append_json(struct buffer *out, const struct entry_field *fields, size_t count);

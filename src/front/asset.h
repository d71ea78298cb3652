/*
 * The files of the web page, inside the binary: `embed` (embed/embed.c) makes a table of them while building.
 * What is not in that table does not exist; nothing is ever read from a disk.
 */
#pragma once

#include <stddef.h>

#include "base/text.h"

struct asset {
    const char *name; /* "index.html" */
    const char *content_type;
    const char *etag; /* with its quotes */
    const unsigned char *bytes;
    size_t length;
};

/* Sorted by name. */
extern const struct asset asset_table[];
extern const size_t asset_count;

/* NULL if there is none. */
const struct asset *asset_find(struct text name);

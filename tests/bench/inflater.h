/* Takes gzip off a response that never ends. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct inflater;

/* NULL when memory is short, or when this was built without zlib. */
struct inflater *inflater_create(void);
void inflater_destroy(struct inflater *inflater);

/* Hands on what can be read so far, in pieces; false when it is no gzip, or when `take` says so. */
bool inflater_take(struct inflater *inflater, char *bytes, size_t count,
                   bool (*take)(void *context, const char *bytes, size_t count), void *context);

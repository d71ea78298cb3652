/* What a client has not taken yet: references to parts of shared chunks, oldest first. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "wire/chunk.h"

struct backlog;

struct backlog *backlog_create(void);
void backlog_destroy(struct backlog *backlog); /* NULL is a no-op */

size_t backlog_bytes(const struct backlog *backlog);

/* Adds bytes begin..end; a part that continues the last one is merged with it. False when memory is short. */
bool backlog_append(struct backlog *backlog, struct chunk *chunk, size_t begin, size_t end);

/* Fills up to `max` vectors with what is first in line and returns how many. */
int backlog_vectors(const struct backlog *backlog, struct iovec *ret_vectors, int max);

/* Forgets the first `length` bytes: they are sent. */
void backlog_consume(struct backlog *backlog, size_t length);

/* Keeps only the rest of an event of which something has been sent, if there is one. What is coded stays
 * whole or goes, and is taken back from `check` then. */
void backlog_conflate(struct backlog *backlog, struct gzip_check *check);

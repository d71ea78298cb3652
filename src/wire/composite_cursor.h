/*
 * The id of an event for a client that listens to several topics, some of them streams: where it stands in
 * each stream, and among the channels.
 *
 *     5f3a9c2e81b04d17-1284~9a41c07f~mab3k2x1.0~mab3k2zz.2
 *     └ channels (wire/cursor.h) ┘└ tag ─┘└ one position a stream, in the order asked for: base 36,
 * ms.sequence
 *
 * Without channels the first part is empty. The tag is a hash of the streams' names in their order, so that
 * an id is not taken for that of another set of streams. Only characters that need no CORS preflight; up to
 * eight streams stay within the 128 bytes that a Last-Event-ID header may have without one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "wire/cursor.h"
#include "wire/entry_id.h"

/* Appends the part before the positions; `channels` NULL: no channels. */
void composite_cursor_begin(struct buffer *out, const struct cursor *channels, uint32_t tag);
/* Appends the position in the next stream. */
void composite_cursor_add(struct buffer *out, struct entry_id position);

/*
 * Reads an id of `position_count` streams. False unless it is one of exactly that many and that tag.
 * *ret_has_channels says whether *ret_channels was there.
 */
bool composite_cursor_parse(const char *text, size_t length, uint32_t tag, size_t position_count,
                            struct entry_id *ret_positions, bool *ret_has_channels,
                            struct cursor *ret_channels);

/* The tag of a set of streams: start with 0 and add each name. */
uint32_t composite_cursor_tag(uint32_t tag, const char *stream, size_t length);

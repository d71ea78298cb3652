/*
 * A growable byte buffer for building replies, frames and log lines.
 *
 * Failure is sticky: when memory runs out the buffer drops what it holds, every later append is a no-op, and
 * `failed` stays true until buffer_reset(). So an encoder appends without checking and its caller looks at
 * `failed` once.
 *
 *     struct buffer out = {0};
 *     buffer_append_text(&out, "id: ");
 *     buffer_append(&out, id, id_length);
 *     if (out.failed) ...
 *     buffer_free(&out);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A zeroed struct is an empty buffer. `data` is NULL while `capacity` is 0 and is not NUL-terminated. */
struct buffer {
    char *data;
    size_t size;
    size_t capacity;
    bool failed;
};

void buffer_append(struct buffer *buffer, const void *bytes, size_t length);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_append_byte(struct buffer *buffer, char byte);
void buffer_append_unsigned(struct buffer *buffer, uint64_t value);
void buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends a JSON string (RFC 8259) with its quotes; invalid UTF-8 becomes U+FFFD. */
void buffer_append_json_string(struct buffer *buffer, const char *bytes, size_t length);

/* Makes room for `extra` more bytes; false (and `failed`) when memory is short. */
bool buffer_reserve(struct buffer *buffer, size_t extra);

/* Forgets the content and a failure, keeps the memory. */
void buffer_reset(struct buffer *buffer);

/* Frees the memory; the buffer is empty and usable again. */
void buffer_free(struct buffer *buffer);

/* Gives the bytes to the caller, who frees them with free(); the buffer is empty afterwards. NULL if it
 * failed or is empty. */
char *buffer_take(struct buffer *buffer, size_t *ret_size);

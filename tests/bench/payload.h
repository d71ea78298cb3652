/*
 * What a benchmark publishes: JSON of one fixed length that says which message it is and when it was sent.
 * The rest of its bytes follow from those three numbers, so a reader can tell whether a single byte was
 * changed on the way.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAYLOAD_BYTES_MIN 96
#define PAYLOAD_BYTES_MAX (2u << 20)
#define PAYLOAD_SEQUENCE_MAX 99999999
#define PAYLOAD_CHANNEL_MAX 99999999

struct payload_stamp {
    uint64_t sequence; /* counts from 0 on each channel */
    uint64_t channel;
    uint64_t sent_us; /* monotonic clock */
};

/* The length and the filler that all messages of one run share. */
struct payload_form;

/* What fills a message up: letters in any order, or words as in applications' JSON, which gzip can make less
 * of. */
enum payload_filler { PAYLOAD_LETTERS, PAYLOAD_WORDS };

struct payload_form *payload_form_create(size_t length, enum payload_filler filler);
void payload_form_destroy(struct payload_form *form);
size_t payload_form_length(const struct payload_form *form);

/* Writes exactly payload_form_length() bytes. */
void payload_write(const struct payload_form *form, const struct payload_stamp *stamp, char *out);

/* False if any byte differs from what payload_write() made. */
bool payload_read(const struct payload_form *form, const char *bytes, size_t length,
                  struct payload_stamp *ret_stamp);

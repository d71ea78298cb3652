#include "payload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* {"sequence":"00000007","channel":"00000003","sent_us":"0000001234567890","filler":"…"} */
#define SEQUENCE_KEY "{\"sequence\":\""
#define CHANNEL_KEY "\",\"channel\":\""
#define SENT_KEY "\",\"sent_us\":\""
#define FILLER_KEY "\",\"filler\":\""
#define END "\"}"

#define LENGTH_OF(literal) (sizeof(literal) - 1)
#define SEQUENCE_AT LENGTH_OF(SEQUENCE_KEY)
#define CHANNEL_KEY_AT (SEQUENCE_AT + 8)
#define CHANNEL_AT (CHANNEL_KEY_AT + LENGTH_OF(CHANNEL_KEY))
#define SENT_KEY_AT (CHANNEL_AT + 8)
#define SENT_AT (SENT_KEY_AT + LENGTH_OF(SENT_KEY))
#define FILLER_KEY_AT (SENT_AT + 16)
#define FILLER_AT (FILLER_KEY_AT + LENGTH_OF(FILLER_KEY))

/* Where a message's filler starts depends on its stamp. Powers of two: letters stay in the first-level cache;
 * words are more than gzip's window of 32 KiB, so that it does not find every message in an earlier one. */
#define LETTER_STARTS_BITS 12
#define WORD_STARTS_BITS 18

struct payload_form {
    size_t length;
    size_t filler_length;
    unsigned starts_bits;
    char filler[];
};

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void fill_with_letters(char *filler, size_t length, uint32_t *state)
{
    for (size_t i = 0; i < length; i++)
        filler[i] = (char)('a' + next_random(state) % 26);
}

static void fill_with_words(char *filler, size_t length, uint32_t *state)
{
    static const char *const words[] = {
        "status",   "order", "customer", "price",   "amount",  "currency", "created", "updated",
        "progress", "batch", "items",    "total",   "shipped", "paid",     "pending", "failed",
        "Berlin",   "Paris", "London",   "email",   "name",    "type",     "user",    "id",
        "true",     "false", "null",     "percent", "message", "error",
    };
    size_t at = 0;
    while (at < length) {
        char text[32];
        uint32_t random = next_random(state);
        int count = random % 4 == 0 ? snprintf(text, sizeof text, "%u,", next_random(state) % 100000)
                                    : snprintf(text, sizeof text, "%s:", words[random / 4 % 30]);
        for (int i = 0; i < count && at < length; i++)
            filler[at++] = text[i];
    }
}

struct payload_form *payload_form_create(size_t length, enum payload_filler filler)
{
    if (length < PAYLOAD_BYTES_MIN || length > PAYLOAD_BYTES_MAX)
        return NULL;
    size_t filler_length = length - FILLER_AT - LENGTH_OF(END);
    unsigned starts_bits = filler == PAYLOAD_WORDS ? WORD_STARTS_BITS : LETTER_STARTS_BITS;
    size_t all = ((size_t)1 << starts_bits) + filler_length;
    struct payload_form *form = malloc(sizeof *form + all);
    if (!form)
        return NULL;
    form->length = length;
    form->filler_length = filler_length;
    form->starts_bits = starts_bits;
    uint32_t state = 2463534242; /* xorshift32: the same text in every run */
    if (filler == PAYLOAD_WORDS)
        fill_with_words(form->filler, all, &state);
    else
        fill_with_letters(form->filler, all, &state);
    return form;
}

void payload_form_destroy(struct payload_form *form)
{
    free(form);
}

size_t payload_form_length(const struct payload_form *form)
{
    return form->length;
}

static const char *filler_of(const struct payload_form *form, const struct payload_stamp *stamp)
{
    uint64_t mixed = (stamp->sequence * 0x9e3779b97f4a7c15u) ^ (stamp->channel * 0xc2b2ae3d27d4eb4fu) ^
                     (stamp->sent_us * 0x165667b19e3779f9u);
    return form->filler + (mixed >> (64 - form->starts_bits));
}

static void write_digits(char *out, size_t count, uint64_t value)
{
    while (count--) {
        out[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

void payload_write(const struct payload_form *form, const struct payload_stamp *stamp, char *out)
{
    memcpy(out, SEQUENCE_KEY, LENGTH_OF(SEQUENCE_KEY));
    write_digits(out + SEQUENCE_AT, 8, stamp->sequence);
    memcpy(out + CHANNEL_KEY_AT, CHANNEL_KEY, LENGTH_OF(CHANNEL_KEY));
    write_digits(out + CHANNEL_AT, 8, stamp->channel);
    memcpy(out + SENT_KEY_AT, SENT_KEY, LENGTH_OF(SENT_KEY));
    write_digits(out + SENT_AT, 16, stamp->sent_us);
    memcpy(out + FILLER_KEY_AT, FILLER_KEY, LENGTH_OF(FILLER_KEY));
    memcpy(out + FILLER_AT, filler_of(form, stamp), form->filler_length);
    memcpy(out + FILLER_AT + form->filler_length, END, LENGTH_OF(END));
}

/* Eight digits at a time, as pairs, then fours, then all eight (little-endian): the reader checks millions a
 * second. */
static bool read_digits8(const char *text, uint64_t *ret_value)
{
    uint64_t digits;
    memcpy(&digits, text, sizeof digits);
    uint64_t high_halves = digits & 0xf0f0f0f0f0f0f0f0u;
    uint64_t above_nine = (digits + 0x0606060606060606u) & 0xf0f0f0f0f0f0f0f0u;
    if (high_halves != 0x3030303030303030u || above_nine != 0x3030303030303030u)
        return false;
    digits &= 0x0f0f0f0f0f0f0f0fu;
    digits = (digits * ((10 << 8) + 1)) >> 8;
    digits = ((digits & 0x00ff00ff00ff00ffu) * ((100 << 16) + 1)) >> 16;
    *ret_value = ((digits & 0x0000ffff0000ffffu) * ((UINT64_C(10000) << 32) + 1)) >> 32;
    return true;
}

bool payload_read(const struct payload_form *form, const char *bytes, size_t length,
                  struct payload_stamp *ret_stamp)
{
    if (length != form->length)
        return false;
    uint64_t sent_high, sent_low;
    if (!read_digits8(bytes + SEQUENCE_AT, &ret_stamp->sequence) ||
        !read_digits8(bytes + CHANNEL_AT, &ret_stamp->channel) ||
        !read_digits8(bytes + SENT_AT, &sent_high) || !read_digits8(bytes + SENT_AT + 8, &sent_low))
        return false;
    ret_stamp->sent_us = sent_high * 100000000 + sent_low;
    return memcmp(bytes, SEQUENCE_KEY, LENGTH_OF(SEQUENCE_KEY)) == 0 &&
           memcmp(bytes + CHANNEL_KEY_AT, CHANNEL_KEY, LENGTH_OF(CHANNEL_KEY)) == 0 &&
           memcmp(bytes + SENT_KEY_AT, SENT_KEY, LENGTH_OF(SENT_KEY)) == 0 &&
           memcmp(bytes + FILLER_KEY_AT, FILLER_KEY, LENGTH_OF(FILLER_KEY)) == 0 &&
           memcmp(bytes + FILLER_AT, filler_of(form, ret_stamp), form->filler_length) == 0 &&
           memcmp(bytes + FILLER_AT + form->filler_length, END, LENGTH_OF(END)) == 0;
}

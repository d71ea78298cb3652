#include "wire/entry.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "wire/payload.h"

/* Entries have a few fields; those with more ask for memory. */
#define SLOTS_ON_STACK 32

/* A field whose name has been written as JSON: names are compared as their readers will see them. */
struct slot {
    size_t name_start;
    size_t name_length;
    const char *names;      /* where name_start counts from */
    struct slot *next_same; /* the next field of this name */
    bool is_repeat;
};

static int compare_slots(const void *left, const void *right)
{
    const struct slot *a = *(const struct slot *const *)left;
    const struct slot *b = *(const struct slot *const *)right;
    size_t shorter = a->name_length < b->name_length ? a->name_length : b->name_length;
    int order = memcmp(a->names + a->name_start, b->names + b->name_start, shorter);
    if (order != 0)
        return order;
    if (a->name_length != b->name_length)
        return a->name_length < b->name_length ? -1 : 1;
    return a < b ? -1 : a > b; /* of one name, in the entry's order */
}

static bool is_same_name(const struct slot *a, const struct slot *b)
{
    return a->name_length == b->name_length &&
           memcmp(a->names + a->name_start, b->names + b->name_start, a->name_length) == 0;
}

/* Sorting keeps an entry of very many fields from being quadratic. */
static void link_repeats(struct slot *slots, struct slot **sorted, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sorted[i] = &slots[i];
    qsort(sorted, count, sizeof(*sorted), compare_slots);
    for (size_t i = 1; i < count; i++) {
        if (!is_same_name(sorted[i - 1], sorted[i]))
            continue;
        sorted[i - 1]->next_same = sorted[i];
        sorted[i]->is_repeat = true;
    }
}

static void append_base64(struct buffer *out, const char *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    const size_t padding = 64;
    if (!buffer_reserve(out, (length / 3 + 1) * 4))
        return;
    for (size_t i = 0; i < length; i += 3) {
        size_t taken = length - i < 3 ? length - i : 3;
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (k < taken ? (unsigned char)bytes[i + k] : 0u);
        for (size_t k = 0; k < 4; k++)
            buffer_append_byte(out, digits[k <= taken ? group >> (18 - 6 * k) & 63 : padding]);
    }
}

static bool is_object_or_array(const char *bytes, size_t length)
{
    size_t start = 0;
    while (start < length && memchr(" \t\r\n", bytes[start], 4))
        start++;
    return start < length && (bytes[start] == '{' || bytes[start] == '[') && payload_is_json(bytes, length);
}

static void append_value(struct buffer *out, const struct entry_field *field)
{
    const char *value = field->value;
    size_t length = field->value_length;
    if (is_object_or_array(value, length)) {
        buffer_append(out, value, length);
    } else if (utf8_valid_prefix(value, length) == length) {
        buffer_append_json_string(out, value, length);
    } else {
        buffer_append_text(out, "{\"base64\":\"");
        append_base64(out, value, length);
        buffer_append_text(out, "\"}");
    }
}

static void append_member(struct buffer *out, const struct slot *slots, size_t index,
                          const struct entry_field *fields)
{
    const struct slot *slot = &slots[index];
    buffer_append(out, slot->names + slot->name_start, slot->name_length);
    buffer_append_byte(out, ':');
    if (!slot->next_same) {
        append_value(out, &fields[index]);
        return;
    }
    for (char before = '['; slot; slot = slot->next_same, before = ',') {
        buffer_append_byte(out, before);
        append_value(out, &fields[slot - slots]);
    }
    buffer_append_byte(out, ']');
}

static void append_members(struct buffer *out, struct slot *slots, struct slot **sorted,
                           const struct entry_field *fields, size_t count)
{
    struct buffer names = { 0 };
    for (size_t i = 0; i < count; i++) {
        slots[i] = (struct slot){ .name_start = names.size };
        buffer_append_json_string(&names, fields[i].name, fields[i].name_length);
        slots[i].name_length = names.size - slots[i].name_start;
    }
    if (names.failed) {
        (void)buffer_reserve(out, SIZE_MAX); /* fails */
        return;
    }
    for (size_t i = 0; i < count; i++)
        slots[i].names = names.data;
    link_repeats(slots, sorted, count);

    char before = '{';
    for (size_t i = 0; i < count; i++) {
        if (slots[i].is_repeat)
            continue;
        buffer_append_byte(out, before);
        append_member(out, slots, i, fields);
        before = ',';
    }
    buffer_append_byte(out, '}');
    buffer_free(&names);
}

void entry_append_json(struct buffer *out, const struct entry_field *fields, size_t count)
{
    if (count == 0) {
        buffer_append_text(out, "{}");
        return;
    }
    if (count <= SLOTS_ON_STACK) {
        struct slot slots[SLOTS_ON_STACK];
        struct slot *sorted[SLOTS_ON_STACK];
        append_members(out, slots, sorted, fields, count);
        return;
    }
    struct slot *slots = calloc(count, sizeof(*slots));
    struct slot **sorted = calloc(count, sizeof(*sorted));
    if (slots && sorted)
        append_members(out, slots, sorted, fields, count);
    else
        (void)buffer_reserve(out, SIZE_MAX); /* fails */
    free(slots);
    free(sorted);
}

#include "sequence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct gap {
    uint64_t first;
    uint64_t end; /* not included */
};

struct sequence_gaps {
    uint64_t forgotten; /* numbers in gaps that no longer fitted */
    size_t count;
    struct gap list[SEQUENCE_GAPS_MAX]; /* ascending */
};

static void remove_gap(struct sequence_gaps *gaps, size_t index)
{
    gaps->count--;
    memmove(&gaps->list[index], &gaps->list[index + 1], (gaps->count - index) * sizeof gaps->list[0]);
}

static void append_gap(struct sequence_gaps *gaps, struct gap gap)
{
    if (gaps->count == SEQUENCE_GAPS_MAX) {
        gaps->forgotten += gaps->list[0].end - gaps->list[0].first;
        remove_gap(gaps, 0);
    }
    gaps->list[gaps->count++] = gap;
}

static void split_gap(struct sequence_gaps *gaps, size_t index, uint64_t number)
{
    struct gap *gap = &gaps->list[index];
    if (gaps->count == SEQUENCE_GAPS_MAX) {
        gaps->forgotten += number - gap->first;
        gap->first = number + 1;
        return;
    }
    memmove(gap + 1, gap, (gaps->count - index) * sizeof *gap);
    gaps->count++;
    gap[0].end = number;
    gap[1].first = number + 1;
}

/* Takes `number` out of the gap it lies in; false if it lies in none. */
static bool fill_gap(struct sequence_gaps *gaps, uint64_t number)
{
    for (size_t i = gaps->count; i-- > 0;) {
        struct gap *gap = &gaps->list[i];
        if (number >= gap->end)
            return false;
        if (number < gap->first)
            continue;
        if (gap->end - gap->first == 1)
            remove_gap(gaps, i);
        else if (number == gap->first)
            gap->first++;
        else if (number == gap->end - 1)
            gap->end--;
        else
            split_gap(gaps, i, number);
        return true;
    }
    return false;
}

enum sequence_verdict sequence_take(struct sequence *sequence, uint64_t number)
{
    if (number < sequence->next) {
        bool was_missing = sequence->gaps && fill_gap(sequence->gaps, number);
        return was_missing ? SEQUENCE_OUT_OF_ORDER : SEQUENCE_DUPLICATE;
    }
    if (number > sequence->next) {
        if (!sequence->gaps)
            sequence->gaps = calloc(1, sizeof *sequence->gaps);
        if (!sequence->gaps)
            abort(); /* a measurement that cannot count is worth nothing */
        append_gap(sequence->gaps, (struct gap){ sequence->next, number });
    }
    sequence->next = number + 1;
    return SEQUENCE_IN_ORDER;
}

uint64_t sequence_lost(const struct sequence *sequence, uint64_t end)
{
    uint64_t lost = end > sequence->next ? end - sequence->next : 0;
    if (!sequence->gaps)
        return lost;
    lost += sequence->gaps->forgotten;
    for (size_t i = 0; i < sequence->gaps->count; i++)
        lost += sequence->gaps->list[i].end - sequence->gaps->list[i].first;
    return lost;
}

void sequence_free(struct sequence *sequence)
{
    free(sequence->gaps);
    sequence->gaps = NULL;
}

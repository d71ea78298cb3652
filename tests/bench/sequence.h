/*
 * Which messages of a numbered series came: in order, late, twice, or never.
 *
 * A number beyond the expected one opens a gap; a number inside a gap came out of order; any other old number
 * is a duplicate; what is still a gap at the end is lost.
 */
#pragma once

#include <stdint.h>

/* Gaps remembered per series; a series with more has lost so much that the oldest gap is taken as lost for
 * good. */
#define SEQUENCE_GAPS_MAX 4096

struct sequence_gaps;

/* A zeroed struct expects number 0. */
struct sequence {
    uint64_t next;
    struct sequence_gaps *gaps; /* NULL while there never was one */
};

enum sequence_verdict { SEQUENCE_IN_ORDER, SEQUENCE_OUT_OF_ORDER, SEQUENCE_DUPLICATE };

enum sequence_verdict sequence_take(struct sequence *sequence, uint64_t number);

/* How many of the numbers below `end` never came. */
uint64_t sequence_lost(const struct sequence *sequence, uint64_t end);

void sequence_free(struct sequence *sequence);

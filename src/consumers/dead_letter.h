/*
 * Where entries go that nobody could handle: the stream `<stream>:dead`. An entry there has the fields of the
 * original and behind them these four.
 */
#pragma once

#define DEAD_LETTER_SUFFIX ":dead"

#define DEAD_LETTER_REASON "dead:reason"         /* DEAD_LETTER_BY_DELIVERIES, or what a consumer said */
#define DEAD_LETTER_DELIVERIES "dead:deliveries" /* how often it was delivered */
#define DEAD_LETTER_ID "dead:id"                 /* its id in the stream */
#define DEAD_LETTER_GROUP "dead:group"

/* The reason of an entry that came to its group's max_deliveries without being acknowledged. */
#define DEAD_LETTER_BY_DELIVERIES "max-deliveries"

/* The stream of dead letters is trimmed to about so many. */
#define DEAD_LETTER_MAXLEN "100000"

/* Longest reason that a consumer may give, in bytes; more is cut. */
#define DEAD_LETTER_REASON_MAX 512

/* The inside of struct stream_watch, for stream_watch*.c only. */
#pragma once

#include "consumers/stream_watch.h"
#include "metrics/series.h"

struct watched_stream {
    struct stream_watch *watch;
    char *name;
    size_t name_length;
    uint64_t maxlen;
    char *groups; /* those that should be there, comma-separated */
    enum stream_report_status status;
    struct stream_report *report; /* NULL unless FOUND */
    char *problem;                /* REFUSED; NULL when memory was short */
};

struct stream_watch {
    struct commands *commands;
    struct event *timer;
    struct watched_stream **streams;
    size_t count;
    /* the round of reading; none while next == count and nothing is under way */
    bool is_reading;
    bool is_stopped;
    size_t next, under_way;
    struct list waiting;       /* for the round that comes */
    struct list waiting_round; /* for the one under way */
    struct metrics_source source;
};

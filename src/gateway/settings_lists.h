/*
 * Settings that are lists: `streams` of names, or of mappings with the keys that settings_lists_table.c
 * describes in the same terms as the settings themselves.
 *
 *     streams:
 *       - emails                                  # the name alone
 *       - { name: orders, maxlen: 50000, groups: [billing, mail] }
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "consumers/group.h"

/* An array of `count` records of one type, which stands where the list is declared. */
struct setting_records {
    void *items;
    size_t count;
};

/* A stream that is watched and set up. */
struct stream_settings {
    char *name;
    uint64_t maxlen; /* 0: stream_maxlen */
    char *groups;    /* comma-separated, may be empty */
};

/* A webhook. */
struct sink_settings {
    char *name;
    char *stream; /* either of these two */
    char *channel;
    char *url;
    char *group; /* empty: sink:<name> */
    enum group_start start;
    char *headers; /* lines of `Name: value` */
    char *secret;  /* at most one of these two */
    char *secret_file;
    uint64_t timeout_ms;
    uint64_t retries;
    uint64_t backoff_ms;
    uint64_t backoff_max_ms;
    uint64_t concurrency;
    uint64_t max_deliveries;
    uint64_t idle_ms;
    uint64_t queue; /* of a channel */
};

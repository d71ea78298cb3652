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

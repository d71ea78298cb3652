/* The little of Redis's protocol (RESP2) that the bare loop needs: what a subscribed connection receives. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum resp_push_kind { RESP_MESSAGE, RESP_SUBSCRIBED, RESP_OTHER };

struct resp_push {
    enum resp_push_kind kind;
    const char *channel;
    size_t channel_length;
    const char *payload; /* RESP_MESSAGE only */
    size_t payload_length;
};

enum resp_result { RESP_COMPLETE, RESP_UNFINISHED, RESP_BROKEN };

/* Reads one push from the start of `bytes`; the slices point into them. */
enum resp_result resp_read_push(const char *bytes, size_t length, struct resp_push *ret_push,
                                size_t *ret_consumed);

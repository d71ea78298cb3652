/*
 * The gate every request passes before anything of it is believed. libmicrohttpd 0.9.75 lets through what
 * makes two servers in a row disagree about where a request ends (RFC 9112, section 11.2 "Request
 * Smuggling"), so we look ourselves, in the first call of the handler and before a body is read. Whoever is
 * refused here is answered and disconnected.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "front/problem.h"

#define GATE_HEADERS_MAX 100

struct gate_header {
    struct text name;
    struct text value;
};

/* A request head as the HTTP library has cut it into pieces, nothing decoded. */
struct gate_head {
    struct text method;
    struct text uri;
    struct text version;
    const struct gate_header *headers;
    size_t header_count;
    size_t head_bytes; /* all of it on the wire; 0 if unknown */
};

struct gate_limits {
    size_t uri_bytes_max;
    size_t head_bytes_max;
    uint64_t body_bytes_max;
};

/* False with the answer in *ret_problem. On success *ret_body_bytes is the length of the body that will
 * follow. */
bool gate_check(const struct gate_head *head, const struct gate_limits *limits, uint64_t *ret_body_bytes,
                struct problem *ret_problem);

/*
 * libmicrohttpd shows headers as NUL-terminated strings inside the buffer it read them into: what follows a
 * NUL in a value, and a folded line, it hides or mixes up. True if the pieces of `head` lie one behind the
 * other from `start` on, `bytes` in all, with nothing in between but what separates them.
 */
bool gate_layout_is_clean(const struct gate_head *head, const char *start, size_t bytes);

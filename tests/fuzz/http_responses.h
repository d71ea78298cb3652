/*
 * The client's side of HTTP/1.1 for fuzz_http: takes a connection's whole output apart (RFC 9112) and
 * requires of every response what any client may expect.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* `had_head`: some request may have been a HEAD. Returns the number of final responses. */
size_t http_responses_check(const char *bytes, size_t length, bool had_head);

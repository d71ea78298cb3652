/* One line a request, when its answer is ready: method, path without query (it may hold secrets), status,
 * time, peer. */
#pragma once

struct exchange;

void access_log_write(const struct exchange *exchange, double seconds);

/* What the operating system knows about this process: the figures that Prometheus client libraries call
 * `process_*`. */
#pragma once

#include <stdint.h>

struct process_usage {
    double cpu_seconds; /* user and system */
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t open_fds;
    uint64_t max_fds; /* the soft limit; UINT64_MAX if there is none */
};

/* Reads /proc/self. A figure that cannot be read is 0. */
struct process_usage process_usage_read(void);

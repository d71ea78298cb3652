/* What a process has used, from /proc. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All threads together. `total_us` is the scheduler's own account; user and system are split by clock ticks
 * where the kernel has no better. */
struct cpu_usage {
    uint64_t total_us;
    uint64_t user_us;
    uint64_t system_us;
};

struct memory_usage {
    uint64_t anonymous_bytes; /* heap, stacks and written data: what the program itself asked for */
    uint64_t private_dirty_bytes;
    uint64_t resident_bytes;
};

/* Adds the process's figures to *usage. False when there is no such process. */
bool process_add_cpu(pid_t process, struct cpu_usage *usage);
bool process_add_memory(pid_t process, struct memory_usage *usage);

/* What the kernel has in slabs, sockets among them, for all processes of the machine; 0 when it does not say.
 */
uint64_t machine_slab_bytes(void);

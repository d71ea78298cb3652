#include "process_usage.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Nanoseconds on a CPU; the kernel keeps them per thread only. */
static uint64_t scheduled_ns(pid_t process)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    DIR *threads = opendir(path);
    if (!threads)
        return 0;
    uint64_t sum = 0;
    struct dirent *thread;
    while ((thread = readdir(threads))) {
        if (thread->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.16s/schedstat", (int)process, thread->d_name);
        FILE *file = fopen(path, "re");
        if (!file)
            continue;
        unsigned long long running = 0;
        if (fscanf(file, "%llu", &running) == 1)
            sum += running;
        fclose(file);
    }
    closedir(threads);
    return sum;
}

bool process_add_cpu(pid_t process, struct cpu_usage *usage)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    char line[1024];
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    const char *behind_name = read ? strrchr(line, ')') : NULL;
    unsigned long user, system;
    if (!behind_name ||
        sscanf(behind_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return false;
    uint64_t us_per_tick = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
    uint64_t scheduled_us = scheduled_ns(process) / 1000;
    usage->user_us += user * us_per_tick;
    usage->system_us += system * us_per_tick;
    usage->total_us += scheduled_us ? scheduled_us : (user + system) * us_per_tick;
    return true;
}

bool process_add_memory(pid_t process, struct memory_usage *usage)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)process);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    char line[256];
    unsigned long kibibytes;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "Anonymous: %lu kB", &kibibytes) == 1)
            usage->anonymous_bytes += kibibytes * 1024;
        else if (sscanf(line, "Private_Dirty: %lu kB", &kibibytes) == 1)
            usage->private_dirty_bytes += kibibytes * 1024;
        else if (sscanf(line, "Rss: %lu kB", &kibibytes) == 1)
            usage->resident_bytes += kibibytes * 1024;
    }
    fclose(file);
    return true;
}

uint64_t machine_slab_bytes(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    if (!file)
        return 0;
    char line[256];
    unsigned long kibibytes = 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Slab: %lu kB", &kibibytes) == 1)
            break;
    fclose(file);
    return (uint64_t)kibibytes * 1024;
}

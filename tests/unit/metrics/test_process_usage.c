#include "metrics/process_usage.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

Test(process_usage, looks_like_a_process)
{
    struct process_usage usage = process_usage_read();
    cr_assert_gt(usage.cpu_seconds, 0);
    cr_assert_gt(usage.resident_bytes, 100 * 1024);
    cr_assert_geq(usage.virtual_bytes, usage.resident_bytes);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    cr_assert_eq(usage.max_fds, limit.rlim_cur);
}

Test(process_usage, counts_descriptors)
{
    uint64_t before = process_usage_read().open_fds;
    cr_assert_geq(before, 1);
    int descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(process_usage_read().open_fds, before + 1);
    close(descriptor);
    cr_assert_eq(process_usage_read().open_fds, before);
}

/*
 * An LD_PRELOAD library that makes allocations fail on demand. The file that FAIL_ALLOCATIONS names is mapped
 * and is the switchboard; whoever tests writes to it and reads from it while the program runs:
 *
 *     offset 0   count       allocations seen since main() was entered
 *            8   fail_at     the one that fails; 0: none
 *            16  fail_every  each whose number this divides fails; 0: none
 *            24  failed      how many have failed
 *
 * Allocations before main() are those of the libraries' constructors, and never fail. With
 * FAIL_ALLOCATIONS_TRACE set, the calls that led to a failure are written to standard error (addr2line tells
 * the lines).
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct switchboard {
    _Atomic uint64_t count;
    _Atomic uint64_t fail_at;
    _Atomic uint64_t fail_every;
    _Atomic uint64_t failed;
};

static struct switchboard *switchboard;
static bool is_running;
static bool is_traced;

#define TRACE_DEPTH 24

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

/* The names are the C library's. NOLINTBEGIN(bugprone-reserved-identifier) */
typedef int entered(int, char **, char **);
typedef int starter(entered *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);
int __libc_start_main(entered *enter, int argument_count, char **arguments, void (*initialize)(void),
                      void (*finish)(void), void (*finish_loader)(void), void *stack_end);

__attribute__((constructor)) static void open_switchboard(void)
{
    const char *path = getenv("FAIL_ALLOCATIONS");
    int descriptor = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (descriptor < 0)
        return;
    void *page = mmap(NULL, sizeof(*switchboard), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (page != MAP_FAILED)
        switchboard = page;
    close(descriptor);
    is_traced = getenv("FAIL_ALLOCATIONS_TRACE") != NULL;
    void *frames[1];
    if (is_traced)
        backtrace(frames, 1); /* the first call loads a library, which allocates */
}

static void trace(void)
{
    void *frames[TRACE_DEPTH];
    backtrace_symbols_fd(frames, backtrace(frames, TRACE_DEPTH), STDERR_FILENO);
}

int __libc_start_main(entered *enter, int argument_count, char **arguments, void (*initialize)(void),
                      void (*finish)(void), void (*finish_loader)(void), void *stack_end)
{
    starter *start = (starter *)dlsym(RTLD_NEXT, "__libc_start_main");
    is_running = true;
    return start(enter, argument_count, arguments, initialize, finish, finish_loader, stack_end);
}
/* NOLINTEND(bugprone-reserved-identifier) */

static bool must_fail(void)
{
    if (!switchboard || !is_running)
        return false;
    uint64_t number = atomic_fetch_add(&switchboard->count, 1) + 1;
    uint64_t every = switchboard->fail_every;
    if (number != switchboard->fail_at && (every == 0 || number % every != 0))
        return false;
    atomic_fetch_add(&switchboard->failed, 1);
    if (is_traced)
        trace();
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return must_fail() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return must_fail() ? NULL : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return must_fail() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
    if (must_fail())
        return ENOMEM;
    *ret_memory = __libc_memalign(alignment, size);
    return *ret_memory ? 0 : ENOMEM;
}

/*
 * Stands in for Criterion's library where that cannot run: its processes want their memory at addresses that
 * ThreadSanitizer keeps for itself. Takes the tests that Criterion's headers have laid into the program, and
 * runs each in a process of its own, one after the other.
 */
#include <criterion/criterion.h>
#include <criterion/event.h>
#include <criterion/redirect.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST_SECONDS_MAX 120
#define STATUS_FAILED 101
#define STATUS_SKIPPED 102

/* Where the linker lays what Test() and TestSuite() make. */
extern struct criterion_test *__start_cr_tst[], *__stop_cr_tst[];
extern struct criterion_suite *__start_cr_sts[] __attribute__((weak)), *__stop_cr_sts[] __attribute__((weak));

/* Of the process that runs one test. The headers leave it no other place. */
struct criterion_options criterion_options;
static struct criterion_test *running;
static struct criterion_test_extra_data *suite;
static bool has_failed;

/* --- what the headers call --- */

int cr_asprintf(char **ret_text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(ret_text, format, arguments);
    va_end(arguments);
    return length;
}

void cr_asprintf_free(char *text)
{
    free(text);
}

char *cr_translate_assert_msg(int index, ...)
{
    va_list arguments;
    va_start(arguments, index);
    const char *condition = va_arg(arguments, const char *);
    char *text = strdup(condition ? condition : "");
    va_end(arguments);
    return text;
}

void criterion_send_assert(struct criterion_assert_stats *stats)
{
    fprintf(stderr, "%s:%u: %s/%s: %s\n", stats->file, stats->line, running->category, running->name,
            stats->message);
    has_failed = true;
}

void cri_asserts_passed_incr(void)
{
}

void criterion_continue_test(void)
{
}

void criterion_abort_test(void)
{
    exit(STATUS_FAILED);
}

void criterion_skip_test(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    exit(STATUS_SKIPPED);
}

void cr_log(enum criterion_severity severity, const char *format, ...)
{
    (void)severity;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}

void cr_redirect_stderr(void)
{
    FILE *file = tmpfile();
    if (!file || dup2(fileno(file), STDERR_FILENO) < 0)
        abort();
}

void criterion_internal_test_setup(void)
{
    if (suite && suite->init)
        suite->init();
    if (running->data->init)
        running->data->init();
}

void criterion_internal_test_main(void (*test)(void))
{
    test();
}

void criterion_internal_test_teardown(void)
{
    if (running->data->fini)
        running->data->fini();
    if (suite && suite->fini)
        suite->fini();
}

/* --- the runner --- */

static struct criterion_test_extra_data *suite_of(const struct criterion_test *test)
{
    for (struct criterion_suite **at = __start_cr_sts; at < __stop_cr_sts; at++)
        if (*at && strcmp((*at)->name, test->category) == 0)
            return (*at)->data;
    return NULL;
}

static bool run(struct criterion_test *test)
{
    const struct criterion_test_extra_data *data = test->data;
    running = test;
    suite = suite_of(test);
    pid_t child = fork();
    if (child == 0) {
        alarm(TEST_SECONDS_MAX);
        test->test();
        exit(has_failed ? STATUS_FAILED : 0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    int wanted_signal = data->signal ? data->signal : suite ? suite->signal : 0;
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == wanted_signal;
    return wanted_signal == 0 &&
           (WEXITSTATUS(status) == data->exit_code || WEXITSTATUS(status) == STATUS_SKIPPED);
}

int main(void)
{
    unsigned tested = 0, failing = 0;
    for (struct criterion_test **at = __start_cr_tst; at < __stop_cr_tst; at++) {
        if (!*at || (*at)->data->disabled)
            continue;
        tested++;
        if (run(*at))
            continue;
        failing++;
        fprintf(stderr, "failed: %s/%s\n", (*at)->category, (*at)->name);
    }
    /* In Criterion's words, for those who count. */
    fprintf(stderr, "Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: 0\n", tested,
            tested - failing, failing);
    return failing > 0;
}

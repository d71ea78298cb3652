#include "command/dev_redis.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TIMEOUT_MS 5000
#define START_CHECK_MS 5

struct dev_redis {
    char folder[64];
    char socket[96];
    char url[112];
    pid_t keeper;
    int lifeline; /* our end of the pipe */
};

/* ---- in the children ---- */

static void be_silent(void)
{
    int null = open("/dev/null", O_RDWR);
    if (null < 0)
        return;
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
}

static _Noreturn void become_server(const struct dev_redis *redis, pid_t keeper, int report)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper)
        _exit(1); /* it died before it could be waited for */
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", redis->socket, "--unixsocketperm",
           "700", "--dir", redis->folder, "--save", "", "--appendonly", "no", "--daemonize", "no",
           (char *)NULL);
    int problem = errno;
    ssize_t ignored = write(report, &problem, sizeof(problem));
    (void)ignored;
    _exit(127);
}

static _Noreturn void keep_server(const struct dev_redis *redis, int lifeline, int report)
{
    prctl(PR_SET_NAME, "sluice-keeper");
    setpgid(0, 0); /* Ctrl-C in the terminal is for sluice, which needs its Redis until it has drained */
    be_silent();
    pid_t keeper = getpid();
    pid_t server = fork();
    if (server == 0)
        become_server(redis, keeper, report);
    close(report);
    char byte;
    while (read(lifeline, &byte, 1) < 0 && errno == EINTR)
        ;
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    unlink(redis->socket);
    rmdir(redis->folder);
    _exit(0);
}

/* ---- in sluice ---- */

static bool make_folder(struct dev_redis *redis)
{
    snprintf(redis->folder, sizeof(redis->folder), "/tmp/sluice-dev-XXXXXX");
    if (!mkdtemp(redis->folder))
        return false;
    snprintf(redis->socket, sizeof(redis->socket), "%s/redis.sock", redis->folder);
    snprintf(redis->url, sizeof(redis->url), "unix://%s", redis->socket);
    return true;
}

/* The child closes what it must not hold: its copy of our end would keep the lifeline alive. */
static bool spawn(struct dev_redis *redis, int *ret_report)
{
    int lifeline[2], report[2];
    if (pipe2(lifeline, O_CLOEXEC) != 0)
        return false;
    if (pipe2(report, O_CLOEXEC) != 0) {
        close(lifeline[0]);
        close(lifeline[1]);
        return false;
    }
    redis->keeper = fork();
    if (redis->keeper == 0) {
        close(lifeline[1]);
        close(report[0]);
        keep_server(redis, lifeline[0], report[1]);
    }
    close(lifeline[0]);
    close(report[1]);
    redis->lifeline = lifeline[1];
    *ret_report = report[0];
    return redis->keeper > 0;
}

static bool wait_until_it_listens(const struct dev_redis *redis)
{
    for (int waited_ms = 0; waited_ms < START_TIMEOUT_MS; waited_ms += START_CHECK_MS) {
        struct stat status;
        if (stat(redis->socket, &status) == 0 && S_ISSOCK(status.st_mode))
            return true;
        usleep(START_CHECK_MS * 1000);
    }
    return false;
}

struct dev_redis *dev_redis_start(char **ret_problem)
{
    *ret_problem = NULL;
    struct dev_redis *redis = calloc(1, sizeof(*redis));
    if (!redis)
        return NULL;
    redis->lifeline = -1;
    int report = -1, problem = 0;
    if (!make_folder(redis) || !spawn(redis, &report)) {
        *ret_problem = strdup("a folder or process for the private Redis could not be made");
    } else if (read(report, &problem, sizeof(problem)) == sizeof(problem)) {
        if (asprintf(ret_problem,
                     "redis-server cannot be run (%s); --dev needs it on the PATH: apt install redis-server",
                     strerror(problem)) < 0)
            *ret_problem = NULL;
    } else if (!wait_until_it_listens(redis)) {
        *ret_problem = strdup("the private redis-server has not come up within 5 seconds");
    } else {
        close(report);
        return redis;
    }
    if (report >= 0)
        close(report);
    dev_redis_stop(redis);
    return NULL;
}

void dev_redis_stop(struct dev_redis *redis)
{
    if (!redis)
        return;
    if (redis->lifeline >= 0)
        close(redis->lifeline);
    if (redis->keeper > 0)
        waitpid(redis->keeper, NULL, 0);
    else if (*redis->folder)
        rmdir(redis->folder);
    free(redis);
}

const char *dev_redis_url(const struct dev_redis *redis)
{
    return redis->url;
}

/*
 * A redis-server of our own for `serve --dev`: on a unix socket in a new folder, keeping nothing.
 *
 *     sluice ──pipe──▶ keeper ──fork──▶ redis-server
 *
 * The keeper is a forked child that waits for its end of the pipe to close, which the kernel does however
 * sluice ends; then it ends the server and removes the folder. If the keeper is killed, PR_SET_PDEATHSIG
 * still ends the server.
 */
#pragma once

struct dev_redis;

/* Waits until it listens. NULL with *ret_problem set to a sentence, which the caller frees. Call it before
 * there are threads. */
struct dev_redis *dev_redis_start(char **ret_problem);
void dev_redis_stop(struct dev_redis *redis);

/* `unix:///tmp/sluice-dev-…/redis.sock`. Borrowed. */
const char *dev_redis_url(const struct dev_redis *redis);

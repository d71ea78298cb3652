/* A private redis-server, servers that misbehave, and an event loop to wait in: for the tests of this folder.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/log.h"
#include "redis/redis_link.h"

/* --- redis-server -------------------------------------------------------------------------------------- */

struct private_redis {
    pid_t pid; /* 0: not running */
    char folder[64];
    char socket_path[80];
    char address[128];         /* unix://… */
    const char *arguments[24]; /* what was asked for, NULL-terminated */
};

/* Starts one on a unix socket in a folder of its own and waits until it answers. Skips the test where Redis
 * is not installed. */
void private_redis_start(struct private_redis *redis, const char *const *arguments);
/* As a crash would. */
void private_redis_kill(struct private_redis *redis);
void private_redis_start_again(struct private_redis *redis);
/* Ends it and removes its folder. */
void private_redis_stop(struct private_redis *redis);

/* Runs one command over a connection of its own, words separated by a space; the reply as text, arrays joined
 * by spaces. Static. */
const char *private_redis_command(struct private_redis *redis, const char *words);

/* A TCP port that is free at the moment. */
int free_port(void);

/* --- the loop ------------------------------------------------------------------------------------------- */

typedef bool condition(void *context);

/* Runs the loop until the condition holds; false after `timeout_ms`. */
bool wait_until(struct event_base *base, condition *holds, void *context, unsigned timeout_ms);
/* Runs the loop for so long. */
void wait_ms(struct event_base *base, unsigned duration_ms);

/* --- the log -------------------------------------------------------------------------------------------- */

struct captured_log {
    struct log *log;
    int descriptor;
};
void captured_log_open(struct captured_log *captured);
bool captured_log_has(const struct captured_log *captured, const char *text);
void captured_log_close(struct captured_log *captured);

/* --- a server that misbehaves --------------------------------------------------------------------------- */

struct fake_server;

/* Says `bytes` to whoever connects, then closes or stays. On a unix socket; `repeat` bytes more of 'x'
 * follow. */
struct fake_server *fake_server_create(struct event_base *base, const char *bytes, size_t length,
                                       bool closes);
void fake_server_destroy(struct fake_server *server);
unsigned fake_server_connections(const struct fake_server *server);
const char *fake_server_address(const struct fake_server *server);

/* Options that suit a test. Parses `address` into `url`, which the caller clears. */
struct redis_link_options link_options_for(const char *address, struct redis_url *url);

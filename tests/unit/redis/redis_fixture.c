#include "redis_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "redis/redis_request.h"
#include "redis/reply_reader.h"

#define START_TIMEOUT_MS 10000
#define WORDS_MAX 16

/* --- redis-server -------------------------------------------------------------------------------------- */

static bool is_installed(void)
{
    return system("command -v redis-server >/dev/null 2>&1") == 0;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(descriptor, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

static void run_server(const struct private_redis *redis)
{
    const char *words[48] = { "redis-server",
                              "--port",
                              "0",
                              "--unixsocket",
                              redis->socket_path,
                              "--save",
                              "",
                              "--appendonly",
                              "no",
                              "--dir",
                              redis->folder,
                              "--logfile",
                              "redis.log",
                              "--daemonize",
                              "no" };
    size_t count = 15;
    for (size_t i = 0; redis->arguments[i]; i++)
        words[count++] = redis->arguments[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(words[0], (char *const *)words);
    _exit(127);
}

void private_redis_start_again(struct private_redis *redis)
{
    redis->pid = fork();
    cr_assert_geq(redis->pid, 0);
    if (redis->pid == 0)
        run_server(redis);
    for (uint64_t end = clock_now_ms() + START_TIMEOUT_MS; clock_now_ms() < end; usleep(5000)) {
        int descriptor = connect_unix(redis->socket_path);
        if (descriptor >= 0) {
            close(descriptor);
            return;
        }
    }
    cr_assert_fail("redis-server did not start, see %s/redis.log", redis->folder);
}

void private_redis_start(struct private_redis *redis, const char *const *arguments)
{
    if (!is_installed())
        cr_skip_test("redis-server is not installed");
    signal(SIGPIPE, SIG_IGN);
    *redis = (struct private_redis){ .folder = "/tmp/sluice-redis-XXXXXX" };
    cr_assert_not_null(mkdtemp(redis->folder));
    snprintf(redis->socket_path, sizeof(redis->socket_path), "%s/s", redis->folder);
    snprintf(redis->address, sizeof(redis->address), "unix://%s", redis->socket_path);
    for (size_t i = 0; arguments && arguments[i]; i++)
        redis->arguments[i] = arguments[i];
    private_redis_start_again(redis);
}

void private_redis_kill(struct private_redis *redis)
{
    if (redis->pid <= 0)
        return;
    kill(redis->pid, SIGKILL);
    waitpid(redis->pid, NULL, 0);
    redis->pid = 0;
    unlink(redis->socket_path);
}

void private_redis_stop(struct private_redis *redis)
{
    private_redis_kill(redis);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", redis->folder);
    cr_assert_eq(system(command), 0);
}

static void append_text(struct buffer *out, const redisReply *reply)
{
    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        buffer_printf(out, "%lld", reply->integer);
        break;
    case REDIS_REPLY_NIL:
        buffer_append_text(out, "(nil)");
        break;
    case REDIS_REPLY_ARRAY:
        for (size_t i = 0; i < reply->elements; i++) {
            buffer_append_text(out, i > 0 ? " " : "");
            append_text(out, reply->element[i]);
        }
        break;
    default:
        buffer_append(out, reply->str, reply->len);
        break;
    }
}

const char *private_redis_command(struct private_redis *redis, const char *words)
{
    static char text[65536];
    char copy[1024];
    const char *arguments[WORDS_MAX];
    int count = 0;
    snprintf(copy, sizeof(copy), "%s", words);
    for (char *rest = copy, *word; (word = strsep(&rest, " ")) && count < WORDS_MAX;)
        arguments[count++] = word;

    struct buffer bytes = { 0 };
    redis_request_append(&bytes, count, arguments, NULL);
    int descriptor = connect_unix(redis->socket_path);
    cr_assert_geq(descriptor, 0, "no connection for: %s", words);
    cr_assert_eq(write(descriptor, bytes.data, bytes.size), (ssize_t)bytes.size);
    buffer_free(&bytes);

    struct reply_reader *reader = reply_reader_create(sizeof(text));
    const redisReply *reply = NULL;
    while (!reply_reader_next(reader, &reply)) {
        char piece[4096];
        ssize_t got = read(descriptor, piece, sizeof(piece));
        cr_assert_gt(got, 0, "no answer to: %s", words);
        reply_reader_feed(reader, piece, (size_t)got);
    }
    append_text(&bytes, reply);
    snprintf(text, sizeof(text), "%.*s", (int)bytes.size, bytes.data ? bytes.data : "");
    buffer_free(&bytes);
    reply_reader_destroy(reader);
    close(descriptor);
    return text;
}

int free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(descriptor, (const struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(getsockname(descriptor, (struct sockaddr *)&address, &length), 0);
    close(descriptor);
    return ntohs(address.sin_port);
}

/* --- the loop ------------------------------------------------------------------------------------------- */

static void on_tick(evutil_socket_t descriptor, short what, void *context)
{
    (void)descriptor;
    (void)what;
    (void)context;
}

bool wait_until(struct event_base *base, condition *holds, void *context, unsigned timeout_ms)
{
    struct event *tick = event_new(base, -1, EV_PERSIST, on_tick, NULL);
    struct timeval period = { .tv_usec = 5000 };
    event_add(tick, &period);
    uint64_t end = clock_now_ms() + timeout_ms;
    bool held = false;
    while (!(held = holds(context)) && clock_now_ms() < end)
        event_base_loop(base, EVLOOP_ONCE);
    event_free(tick);
    return held;
}

static bool never(void *context)
{
    (void)context;
    return false;
}

void wait_ms(struct event_base *base, unsigned duration_ms)
{
    (void)wait_until(base, never, NULL, duration_ms);
}

/* --- the log -------------------------------------------------------------------------------------------- */

void captured_log_open(struct captured_log *captured)
{
    captured->descriptor = memfd_create("log", MFD_CLOEXEC);
    cr_assert_geq(captured->descriptor, 0);
    captured->log = log_create(captured->descriptor, LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
}

bool captured_log_has(const struct captured_log *captured, const char *text)
{
    static char lines[262144];
    ssize_t length = pread(captured->descriptor, lines, sizeof(lines), 0);
    bool found = length > 0 && memmem(lines, (size_t)length, text, strlen(text)) != NULL;
    if (!found)
        cr_log_info("no \"%s\" in: %.*s", text, (int)length, lines);
    return found;
}

void captured_log_close(struct captured_log *captured)
{
    log_destroy(captured->log);
    close(captured->descriptor);
}

/* --- a server that misbehaves --------------------------------------------------------------------------- */

#define FAKE_CONNECTIONS_MAX 64

struct fake_server {
    struct evconnlistener *listener;
    const char *bytes;
    size_t length;
    bool closes;
    unsigned connections;
    struct bufferevent *open[FAKE_CONNECTIONS_MAX];
    char path[80];
    char address[128];
};

static void on_accept(struct evconnlistener *listener, evutil_socket_t descriptor, struct sockaddr *address,
                      int length, void *context)
{
    (void)address;
    (void)length;
    struct fake_server *server = context;
    unsigned index = server->connections++;
    if (server->closes || index >= FAKE_CONNECTIONS_MAX) {
        if (server->length > 0)
            cr_assert_gt(write(descriptor, server->bytes, server->length), 0);
        close(descriptor);
        return;
    }
    struct bufferevent *connection =
        bufferevent_socket_new(evconnlistener_get_base(listener), descriptor, BEV_OPT_CLOSE_ON_FREE);
    server->open[index] = connection;
    bufferevent_write(connection, server->bytes, server->length);
    bufferevent_enable(connection, EV_READ | EV_WRITE);
}

struct fake_server *fake_server_create(struct event_base *base, const char *bytes, size_t length, bool closes)
{
    signal(SIGPIPE, SIG_IGN);
    struct fake_server *server = calloc(1, sizeof(*server));
    cr_assert_not_null(server);
    server->bytes = bytes;
    server->length = length;
    server->closes = closes;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(server->path, sizeof(server->path), "/tmp/sluice-fake-%d-%d", (int)getpid(), free_port());
    snprintf(server->address, sizeof(server->address), "unix://%s", server->path);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", server->path);
    server->listener = evconnlistener_new_bind(base, on_accept, server, LEV_OPT_CLOSE_ON_FREE, 16,
                                               (const struct sockaddr *)&address, sizeof(address));
    cr_assert_not_null(server->listener);
    return server;
}

void fake_server_destroy(struct fake_server *server)
{
    for (unsigned i = 0; i < FAKE_CONNECTIONS_MAX; i++)
        if (server->open[i])
            bufferevent_free(server->open[i]);
    evconnlistener_free(server->listener);
    unlink(server->path);
    free(server);
}

unsigned fake_server_connections(const struct fake_server *server)
{
    return server->connections;
}

const char *fake_server_address(const struct fake_server *server)
{
    return server->address;
}

struct redis_link_options link_options_for(const char *address, struct redis_url *url)
{
    const char *problem = NULL;
    cr_assert(redis_url_parse(address, url, &problem), "%s: %s", address, problem);
    return (struct redis_link_options){
        .url = url,
        .name = "test",
        .tls_verify = true,
        .reply_bytes_max = (size_t)4 * 1024 * 1024,
        .output_bytes_max = (size_t)4 * 1024 * 1024,
        .read_bytes_per_turn = (size_t)1024 * 1024,
    };
}

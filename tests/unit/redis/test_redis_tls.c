#include <criterion/criterion.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "redis/redis_link.h"
#include "redis_fixture.h"

/* A CA of our own, another one, and a server certificate for 127.0.0.1 and sluice.test. */
static const char make_certificates[] =
    "cd '%s' && "
    "for ca in ca other; do openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$ca -keyout $ca.key "
    "-out $ca.pem; done && "
    "openssl req -newkey rsa:2048 -nodes -subj /CN=redis -keyout redis.key -out redis.csr && "
    "printf 'subjectAltName=%s' > names && "
    "openssl x509 -req -in redis.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out "
    "redis.pem";

struct tls_server {
    struct private_redis redis;
    char folder[64];
    char files[4][96];
    char tls_port[8];
    char plain_port[8];
};

static void tls_server_start(struct tls_server *server, const char *names)
{
    char command[1024];
    char quiet[1100];
    snprintf(server->folder, sizeof(server->folder), "/tmp/sluice-tls-XXXXXX");
    cr_assert_not_null(mkdtemp(server->folder));
    snprintf(command, sizeof(command), make_certificates, server->folder, names);
    snprintf(quiet, sizeof(quiet), "(%s) >/dev/null 2>&1", command);
    if (system("command -v openssl >/dev/null 2>&1") != 0)
        cr_skip_test("openssl is not installed");
    cr_assert_eq(system(quiet), 0);
    static const char *const files[] = { "redis.pem", "redis.key", "ca.pem", "other.pem" };
    for (size_t i = 0; i < 4; i++)
        snprintf(server->files[i], sizeof(server->files[i]), "%s/%s", server->folder, files[i]);
    snprintf(server->tls_port, sizeof(server->tls_port), "%d", free_port());
    snprintf(server->plain_port, sizeof(server->plain_port), "%d", free_port());
    const char *const arguments[] = { "--port",
                                      server->plain_port,
                                      "--tls-port",
                                      server->tls_port,
                                      "--tls-cert-file",
                                      server->files[0],
                                      "--tls-key-file",
                                      server->files[1],
                                      "--tls-ca-cert-file",
                                      server->files[2],
                                      "--tls-auth-clients",
                                      "no",
                                      NULL };
    private_redis_start(&server->redis, arguments);
}

static void tls_server_stop(struct tls_server *server)
{
    char command[128];
    private_redis_stop(&server->redis);
    snprintf(command, sizeof(command), "rm -rf '%s'", server->folder);
    cr_assert_eq(system(command), 0);
}

struct visit {
    struct event_base *base;
    struct captured_log log;
    struct redis_url url;
    struct redis_link *link;
    size_t bytes_echoed;
    unsigned replies, downs;
};

static void on_reply(void *context, const struct redisReply *reply)
{
    struct visit *visit = context;
    visit->replies++;
    visit->bytes_echoed += reply->len;
}

static void on_down(void *context, const char *reason)
{
    (void)reason;
    ((struct visit *)context)->downs++;
}

static void visit_open(struct visit *visit, const char *host, const char *port, const char *ca_file,
                       bool verify)
{
    char address[96];
    snprintf(address, sizeof(address), "rediss://%s:%s", host, port);
    *visit = (struct visit){ .base = event_base_new() };
    captured_log_open(&visit->log);
    struct redis_link_options options = link_options_for(address, &visit->url);
    options.tls_ca_file = ca_file;
    options.tls_verify = verify;
    const struct redis_link_events events = { .on_reply = on_reply, .on_down = on_down, .context = visit };
    visit->link = redis_link_create(visit->base, NULL, &options, &events, visit->log.log);
    cr_assert_not_null(visit->link);
    redis_link_start(visit->link);
}

static void visit_close(struct visit *visit)
{
    redis_link_destroy(visit->link);
    captured_log_close(&visit->log);
    redis_url_clear(&visit->url);
    event_base_free(visit->base);
}

static bool is_ready(void *context)
{
    return redis_link_state(((struct visit *)context)->link) == REDIS_LINK_READY;
}

static bool is_backing_off(void *context)
{
    return redis_link_state(((struct visit *)context)->link) == REDIS_LINK_BACKOFF;
}

static bool has_echoes(void *context)
{
    return ((struct visit *)context)->replies == 200;
}

static bool went_down(void *context)
{
    return ((struct visit *)context)->downs > 0;
}

static void expect_refusal(const char *host, const char *port, const char *ca_file, const char *words)
{
    struct visit visit;
    visit_open(&visit, host, port, ca_file, true);
    cr_assert(wait_until(visit.base, is_backing_off, &visit, 7000));
    cr_assert(captured_log_has(&visit.log, words), "%s", words);
    visit_close(&visit);
}

Test(redis_tls, is_spoken_with_a_server_that_is_who_it_says)
{
    struct tls_server server;
    struct visit visit;
    char value[20001];
    tls_server_start(&server, "IP:127.0.0.1,DNS:localhost");
    static const char *const hosts[] = { "127.0.0.1", "localhost" };
    for (size_t i = 0; i < 2; i++) {
        visit_open(&visit, hosts[i], server.tls_port, server.files[2], true);
        cr_assert(wait_until(visit.base, is_ready, &visit, 3000), "%s", hosts[i]);
        visit_close(&visit);
    }

    visit_open(&visit, "127.0.0.1", server.tls_port, server.files[2], true);
    cr_assert(wait_until(visit.base, is_ready, &visit, 3000));
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    const char *const echo[] = { "ECHO", value };
    for (int i = 0; i < 200; i++)
        cr_assert(redis_link_send(visit.link, 2, echo, NULL));
    cr_assert(wait_until(visit.base, has_echoes, &visit, 5000), "4 MB there and back, past every buffer");
    cr_assert_eq(visit.bytes_echoed, 200 * (sizeof(value) - 1));

    private_redis_kill(&server.redis);
    cr_assert(wait_until(visit.base, went_down, &visit, 3000));
    private_redis_start_again(&server.redis);
    cr_assert(wait_until(visit.base, is_ready, &visit, 6000));
    visit_close(&visit);
    tls_server_stop(&server);
}

Test(redis_tls, is_refused_to_a_server_that_is_not)
{
    struct tls_server server;
    tls_server_start(&server, "DNS:redis.example,IP:192.0.2.1");
    expect_refusal("127.0.0.1", server.tls_port, server.files[2], "IP address mismatch");
    expect_refusal("localhost", server.tls_port, server.files[2], "hostname mismatch");
    expect_refusal("127.0.0.1", server.tls_port, server.files[3], "the certificate of Redis is refused");
    expect_refusal("127.0.0.1", server.tls_port, NULL, "the certificate of Redis is refused");
    expect_refusal("127.0.0.1", server.tls_port, "/nonexistent/ca.pem", "redis_tls_ca_file");
    expect_refusal("127.0.0.1", server.plain_port, server.files[2], "speaks TLS, or use redis://");

    struct visit visit;
    visit_open(&visit, "127.0.0.1", server.tls_port, NULL, false);
    cr_assert(wait_until(visit.base, is_ready, &visit, 3000), "as was asked for");
    visit_close(&visit);

    /* Gone in the middle of everything. */
    for (unsigned delay_ms = 0; delay_ms < 20; delay_ms += 3) {
        visit_open(&visit, "127.0.0.1", server.tls_port, NULL, false);
        if (delay_ms > 0)
            wait_ms(visit.base, delay_ms);
        visit_close(&visit);
    }
    tls_server_stop(&server);
}

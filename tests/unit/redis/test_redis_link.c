#include "redis/redis_link.h"

#include <criterion/criterion.h>
#include <event2/dns.h>
#include <hiredis/hiredis.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "redis_fixture.h"

/* A link and what came of it. */
struct probe {
    struct event_base *base;
    struct captured_log log;
    struct metrics *metrics;
    struct redis_url url;
    struct redis_link *link;
    unsigned ups, downs, replies, turns;
    char last_reply[128];
    char last_reason[256];
    const char *reset_on_reply;
    bool stop_on_reply;
};

static void on_ready(void *context)
{
    ((struct probe *)context)->ups++;
}

static void on_down(void *context, const char *reason)
{
    struct probe *probe = context;
    probe->downs++;
    snprintf(probe->last_reason, sizeof(probe->last_reason), "%s", reason);
}

static void on_reply(void *context, const struct redisReply *reply)
{
    struct probe *probe = context;
    probe->replies++;
    if (reply->str)
        snprintf(probe->last_reply, sizeof(probe->last_reply), "%s", reply->str);
    if (probe->reset_on_reply)
        redis_link_reset(probe->link, probe->reset_on_reply);
    if (probe->stop_on_reply)
        redis_link_stop(probe->link);
}

static void on_turn_end(void *context)
{
    ((struct probe *)context)->turns++;
}

static void probe_open_on(struct probe *probe, struct event_base *base, const char *address,
                          const struct redis_link_options *changes)
{
    *probe = (struct probe){ .base = base };
    captured_log_open(&probe->log);
    probe->metrics = metrics_create();
    struct redis_link_options options = link_options_for(address, &probe->url);
    options.metrics = probe->metrics;
    if (changes) {
        options.ping_after_ms = changes->ping_after_ms;
        options.ping_timeout_ms = changes->ping_timeout_ms;
        options.is_subscriber = changes->is_subscriber;
        if (changes->output_bytes_max)
            options.output_bytes_max = changes->output_bytes_max;
        if (changes->read_bytes_per_turn)
            options.read_bytes_per_turn = changes->read_bytes_per_turn;
    }
    const struct redis_link_events events = {
        .on_ready = on_ready,
        .on_down = on_down,
        .on_reply = on_reply,
        .on_turn_end = on_turn_end,
        .context = probe,
    };
    probe->link = redis_link_create(probe->base, NULL, &options, &events, probe->log.log);
    cr_assert_not_null(probe->link);
    cr_assert_eq(redis_link_state(probe->link), REDIS_LINK_DOWN);
}

static void probe_open_with(struct probe *probe, const char *address,
                            const struct redis_link_options *changes)
{
    probe_open_on(probe, event_base_new(), address, changes);
}

static void probe_open(struct probe *probe, const char *address)
{
    probe_open_with(probe, address, NULL);
    redis_link_start(probe->link);
}

static void probe_close(struct probe *probe)
{
    redis_link_destroy(probe->link);
    metrics_destroy(probe->metrics);
    captured_log_close(&probe->log);
    redis_url_clear(&probe->url);
    event_base_free(probe->base);
}

static bool is_ready(void *context)
{
    return redis_link_state(((struct probe *)context)->link) == REDIS_LINK_READY;
}

static bool is_backing_off(void *context)
{
    return redis_link_state(((struct probe *)context)->link) == REDIS_LINK_BACKOFF;
}

static bool has_reply(void *context)
{
    return ((struct probe *)context)->replies > 0;
}

static bool went_down(void *context)
{
    return ((struct probe *)context)->downs > 0;
}

static bool is_up_again(void *context)
{
    struct probe *probe = context;
    return probe->ups == 2 && is_ready(probe);
}

static bool send_words(struct probe *probe, int count, const char *first, const char *second)
{
    const char *const arguments[] = { first, second };
    return redis_link_send(probe->link, count, arguments, NULL);
}

/* --- a real server -------------------------------------------------------------------------------------- */

Test(redis_link, connects_and_answers)
{
    struct private_redis redis;
    struct probe probe;
    private_redis_start(&redis, NULL);
    probe_open(&probe, redis.address);
    cr_assert_not(send_words(&probe, 1, "PING", NULL), "not ready yet");
    cr_assert(wait_until(probe.base, is_ready, &probe, 3000));
    cr_assert_eq(probe.ups, 1);
    cr_assert_gt(redis_link_client_id(probe.link), 0);
    cr_assert_not_null(strstr(private_redis_command(&redis, "CLIENT LIST"), "name=sluice-test"));
    cr_assert(send_words(&probe, 2, "ECHO", "hello"));
    cr_assert(wait_until(probe.base, has_reply, &probe, 3000));
    cr_assert_str_eq(probe.last_reply, "hello");
    cr_assert_geq(probe.turns, 1);
    probe_close(&probe);
    private_redis_stop(&redis);
}

static unsigned refusals; /* of memory; counted only while `is_short` */
static bool is_short;

/* What a buffer of output takes, not what a timer takes. */
static void *allocate_small(size_t size)
{
    if (!is_short || size < 256)
        return malloc(size);
    refusals++;
    return NULL;
}

static bool was_refused(void *context)
{
    (void)context;
    return refusals > 0;
}

Test(redis_link, a_ping_for_which_there_was_no_memory_takes_no_reply)
{
    struct private_redis redis;
    struct probe probe;
    const struct redis_link_options fast = { .ping_after_ms = 50, .ping_timeout_ms = 1000 };
    event_set_mem_functions(allocate_small, realloc, free);
    private_redis_start(&redis, NULL);
    probe_open_with(&probe, redis.address, &fast);
    redis_link_start(probe.link);
    cr_assert(wait_until(probe.base, is_ready, &probe, 3000));
    is_short = true;
    cr_assert(wait_until(probe.base, was_refused, &probe, 3000));
    is_short = false;
    cr_assert(send_words(&probe, 2, "ECHO", "hello"));
    cr_assert(wait_until(probe.base, has_reply, &probe, 3000), "it was taken for the answer to the PING");
    cr_assert_str_eq(probe.last_reply, "hello");
    wait_ms(probe.base, 200);
    cr_assert_eq(probe.replies, 1, "later PINGs are sent, and their answers are nobody's");
    probe_close(&probe);
    private_redis_stop(&redis);
}

Test(redis_link, selects_the_database_as_an_acl_user)
{
    struct private_redis redis;
    struct probe probe;
    char address[256];
    private_redis_start(&redis, NULL);
    private_redis_command(&redis, "ACL SETUSER bob on >pa:ss allcommands allkeys allchannels");
    snprintf(address, sizeof(address), "unix://bob:pa%%3Ass@%s?db=3", redis.socket_path);
    probe_open(&probe, address);
    cr_assert(wait_until(probe.base, is_ready, &probe, 3000));
    const char *clients = private_redis_command(&redis, "CLIENT LIST");
    const char *line = strstr(clients, "name=sluice-test");
    cr_assert_not_null(line);
    cr_assert_not_null(strstr(line, "db=3"));
    cr_assert_not_null(strstr(line, "user=bob"));
    probe_close(&probe);
    private_redis_stop(&redis);
}

Test(redis_link, tells_of_a_wrong_password_without_repeating_it)
{
    struct private_redis redis;
    struct probe probe;
    char address[256];
    private_redis_start(&redis, NULL);
    snprintf(address, sizeof(address), "unix://bob:hunter2@%s", redis.socket_path);
    probe_open(&probe, address);
    cr_assert(wait_until(probe.base, is_backing_off, &probe, 3000));
    cr_assert(captured_log_has(&probe.log, "WRONGPASS"));
    cr_assert(captured_log_has(&probe.log, "check user and password in redis_url"));
    cr_assert_not(captured_log_has(&probe.log, "hunter2"));
    wait_ms(probe.base, 500);
    cr_assert_eq(probe.ups, 0);
    cr_assert_eq(probe.downs, 0);
    probe_close(&probe);
    private_redis_stop(&redis);
}

Test(redis_link, tells_that_a_password_is_asked_for)
{
    struct private_redis redis;
    struct probe probe;
    const char *const arguments[] = { "--requirepass", "secret", NULL };
    private_redis_start(&redis, arguments);
    probe_open(&probe, redis.address);
    cr_assert(wait_until(probe.base, is_backing_off, &probe, 3000));
    cr_assert(captured_log_has(&probe.log, "NOAUTH"));
    cr_assert(captured_log_has(&probe.log, "redis_url"));
    probe_close(&probe);
    private_redis_stop(&redis);
}

Test(redis_link, lives_with_a_user_that_may_do_little)
{
    struct private_redis redis;
    struct probe probe;
    char address[256];
    private_redis_start(&redis, NULL);
    private_redis_command(&redis, "ACL SETUSER bob on >pw +get ~*");
    snprintf(address, sizeof(address), "unix://bob:pw@%s", redis.socket_path);
    probe_open(&probe, address);
    cr_assert(wait_until(probe.base, is_ready, &probe, 3000));
    cr_assert_eq(redis_link_client_id(probe.link), 0);
    cr_assert(captured_log_has(&probe.log, "+ping"));
    probe_close(&probe);
    private_redis_stop(&redis);
}

Test(redis_link, backs_off_at_the_limit_of_clients)
{
    struct private_redis redis;
    struct probe probe;
    private_redis_start(&redis, NULL);
    private_redis_command(&redis, "CONFIG SET maxclients 1");
    struct private_redis other = redis; /* takes the only place */
    struct probe first;
    probe_open(&first, other.address);
    cr_assert(wait_until(first.base, is_ready, &first, 3000));
    probe_open(&probe, redis.address);
    cr_assert(wait_until(probe.base, is_backing_off, &probe, 3000));
    cr_assert(captured_log_has(&probe.log, "max number of clients"));
    cr_assert(captured_log_has(&probe.log, "raise maxclients"));
    probe_close(&first);
    cr_assert(wait_until(probe.base, is_ready, &probe, 3000), "takes the place when it is free");
    probe_close(&probe);
    private_redis_stop(&redis);
}

Test(redis_link, waits_while_a_script_holds_redis_up)
{
    struct private_redis redis;
    struct probe probe;
    const char *const arguments[] = { "--lua-time-limit", "20", NULL };
    private_redis_start(&redis, arguments);
    pid_t script = fork();
    if (script == 0) {
        (void)!freopen("/dev/null", "w", stdout);
        execlp("redis-cli", "redis-cli", "-s", redis.socket_path, "EVAL", "while true do end", "0", NULL);
        _exit(127);
    }
    usleep(200000);
    probe_open(&probe, redis.address);
    cr_assert(wait_until(probe.base, is_backing_off, &probe, 3000));
    cr_assert(captured_log_has(&probe.log, "SCRIPT KILL ends it"));
    cr_assert_str_eq(private_redis_command(&redis, "SCRIPT KILL"), "OK");
    cr_assert(wait_until(probe.base, is_ready, &probe, 3000));
    cr_assert_eq(waitpid(script, NULL, 0), script);
    probe_close(&probe);
    private_redis_stop(&redis);
}

Test(redis_link, comes_back_after_a_crash_of_the_server)
{
    struct private_redis redis;
    struct probe probe;
    private_redis_start(&redis, NULL);
    probe_open(&probe, redis.address);
    cr_assert(wait_until(probe.base, is_ready, &probe, 3000));
    private_redis_kill(&redis);
    cr_assert(wait_until(probe.base, went_down, &probe, 3000));
    cr_assert_str_eq(probe.last_reason, "closed by Redis");
    cr_assert_not(send_words(&probe, 1, "PING", NULL));
    wait_ms(probe.base, 300);
    private_redis_start_again(&redis);
    cr_assert(wait_until(probe.base, is_up_again, &probe, 6000));
    cr_assert_eq(probe.downs, 1, "attempts that fail are no loss");
    cr_assert_eq(probe.metrics->redis_reconnects, 1);
    probe_close(&probe);
    private_redis_stop(&redis);
}

Test(redis_link, waits_for_a_server_that_comes_later)
{
    struct private_redis redis;
    struct probe probe;
    private_redis_start(&redis, NULL);
    private_redis_kill(&redis);
    probe_open(&probe, redis.address);
    wait_ms(probe.base, 300);
    cr_assert(captured_log_has(&probe.log, "No such file or directory"));
    private_redis_start_again(&redis);
    cr_assert(wait_until(probe.base, is_ready, &probe, 6000));
    cr_assert_eq(probe.metrics->redis_reconnects, 0);
    probe_close(&probe);
    private_redis_stop(&redis);
}

Test(redis_link, notices_a_frozen_server)
{
    struct private_redis redis;
    struct probe probe;
    const struct redis_link_options fast = { .ping_after_ms = 200, .ping_timeout_ms = 400 };
    private_redis_start(&redis, NULL);
    probe_open_with(&probe, redis.address, &fast);
    redis_link_start(probe.link);
    cr_assert(wait_until(probe.base, is_ready, &probe, 3000));
    wait_ms(probe.base, 1000);
    cr_assert_eq(probe.downs, 0, "an idle link is held by PING");
    cr_assert_eq(probe.replies, 0, "nobody else sees its PONG");
    kill(redis.pid, SIGSTOP);
    cr_assert(wait_until(probe.base, went_down, &probe, 3000));
    cr_assert_str_eq(probe.last_reason, "no answer to PING");
    kill(redis.pid, SIGCONT);
    cr_assert(wait_until(probe.base, is_up_again, &probe, 8000));
    probe_close(&probe);
    private_redis_stop(&redis);
}

Test(redis_link, holds_an_idle_subscriber)
{
    struct private_redis redis;
    struct probe probe;
    const struct redis_link_options fast = { .ping_after_ms = 100,
                                             .ping_timeout_ms = 400,
                                             .is_subscriber = true };
    private_redis_start(&redis, NULL);
    probe_open_with(&probe, redis.address, &fast);
    redis_link_start(probe.link);
    cr_assert(wait_until(probe.base, is_ready, &probe, 3000));
    wait_ms(probe.base, 400); /* answered by PONG */
    cr_assert(send_words(&probe, 2, "SUBSCRIBE", "channel"));
    wait_ms(probe.base, 1000); /* answered by ["pong", ""] */
    cr_assert_eq(probe.downs, 0);
    cr_assert_eq(probe.replies, 1, "the confirmation alone");
    probe_close(&probe);
    private_redis_stop(&redis);
}

Test(redis_link, reset_takes_effect_in_the_loop)
{
    struct private_redis redis;
    struct probe probe;
    private_redis_start(&redis, NULL);
    probe_open(&probe, redis.address);
    redis_link_reset(probe.link, "while connecting");
    cr_assert(wait_until(probe.base, is_ready, &probe, 3000));
    redis_link_reset(probe.link, "by hand");
    cr_assert_eq(probe.downs, 0);
    cr_assert_not(send_words(&probe, 1, "PING", NULL));
    cr_assert(wait_until(probe.base, went_down, &probe, 1000));
    cr_assert_str_eq(probe.last_reason, "by hand");
    cr_assert(wait_until(probe.base, is_up_again, &probe, 3000));

    probe.reset_on_reply = "in a callback";
    for (int i = 0; i < 10; i++)
        cr_assert(send_words(&probe, 2, "ECHO", "x"));
    probe.downs = 0;
    cr_assert(wait_until(probe.base, went_down, &probe, 1000));
    cr_assert_str_eq(probe.last_reason, "in a callback");
    cr_assert_eq(probe.replies, 1, "nothing after it");
    probe_close(&probe);
    private_redis_stop(&redis);
}

Test(redis_link, can_be_stopped_and_started_from_a_callback)
{
    struct private_redis redis;
    struct probe probe;
    private_redis_start(&redis, NULL);
    probe_open(&probe, redis.address);
    cr_assert(wait_until(probe.base, is_ready, &probe, 3000));
    probe.stop_on_reply = true;
    send_words(&probe, 2, "ECHO", "x");
    send_words(&probe, 2, "ECHO", "y");
    cr_assert(wait_until(probe.base, has_reply, &probe, 1000));
    cr_assert_eq(redis_link_state(probe.link), REDIS_LINK_DOWN);
    wait_ms(probe.base, 100);
    cr_assert_eq(probe.replies, 1);
    cr_assert_eq(probe.downs, 0);
    redis_link_start(probe.link);
    cr_assert(wait_until(probe.base, is_ready, &probe, 3000));
    probe_close(&probe);
    private_redis_stop(&redis);
}

Test(redis_link, refuses_output_past_its_bound)
{
    struct private_redis redis;
    struct probe probe;
    const struct redis_link_options small = { .output_bytes_max = 1000 };
    char large[1001];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    private_redis_start(&redis, NULL);
    probe_open_with(&probe, redis.address, &small);
    redis_link_start(probe.link);
    cr_assert(wait_until(probe.base, is_ready, &probe, 3000));
    cr_assert_not(send_words(&probe, 2, "ECHO", large));
    unsigned sent = 0;
    while (send_words(&probe, 2, "ECHO", "0123456789"))
        sent++;
    cr_assert_eq(sent, 1000 / strlen("*2\r\n$4\r\nECHO\r\n$10\r\n0123456789\r\n"));
    wait_ms(probe.base, 100);
    cr_assert_eq(probe.replies, sent);
    cr_assert(send_words(&probe, 2, "ECHO", "again"));
    probe_close(&probe);
    private_redis_stop(&redis);
}

static bool has_all_bytes(void *context)
{
    return ((struct probe *)context)->replies == 2000;
}

Test(redis_link, reads_in_large_turns_and_loses_nothing_at_their_end)
{
    struct private_redis redis;
    struct probe probe;
    /* All that is sent here may wait: how much of it Redis takes meanwhile depends on the machine. */
    const struct redis_link_options large_turns = { .output_bytes_max = 16 << 20 };
    const struct redis_link_options small_turns = { .output_bytes_max = 16 << 20,
                                                    .read_bytes_per_turn = 1000 };
    char value[3001];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    private_redis_start(&redis, NULL);
    for (int round = 0; round < 2; round++) {
        probe_open_with(&probe, redis.address, round == 0 ? &large_turns : &small_turns);
        redis_link_start(probe.link);
        cr_assert(wait_until(probe.base, is_ready, &probe, 3000));
        for (int i = 0; i < 1000; i++)
            cr_assert(send_words(&probe, 2, "ECHO", value));
        wait_ms(probe.base, 50);
        for (int i = 0; i < 1000; i++)
            cr_assert(send_words(&probe, 2, "ECHO", value));
        cr_assert(wait_until(probe.base, has_all_bytes, &probe, 5000));
        probe_close(&probe);
    }
    private_redis_stop(&redis);
}

/* --- names ---------------------------------------------------------------------------------------------- */

Test(redis_link, finds_localhost_and_addresses_without_a_resolver)
{
    struct private_redis redis;
    char port[8];
    snprintf(port, sizeof(port), "%d", free_port());
    const char *const arguments[] = { "--port", port, "--bind", "127.0.0.1", NULL };
    private_redis_start(&redis, arguments);
    static const char *const hosts[] = { "localhost", "127.0.0.1" };
    for (size_t i = 0; i < 2; i++) {
        struct probe probe;
        char address[64];
        snprintf(address, sizeof(address), "redis://%s:%s", hosts[i], port);
        probe_open(&probe, address);
        cr_assert(wait_until(probe.base, is_ready, &probe, 3000), "%s", hosts[i]);
        probe_close(&probe);
    }
    struct probe probe;
    probe_open(&probe, "redis://redis.example:6379");
    cr_assert(wait_until(probe.base, is_backing_off, &probe, 1000));
    cr_assert(captured_log_has(&probe.log, "use an IP address"));
    probe_close(&probe);
    private_redis_stop(&redis);
}

/* Port 9 of this host: a resolver that never answers. */
Test(redis_link, gives_up_a_look_up_without_leaks)
{
    struct event_base *base = event_base_new();
    struct evdns_base *dns = evdns_base_new(base, 0);
    cr_assert_eq(evdns_base_nameserver_ip_add(dns, "127.0.0.1:9"), 0);
    struct redis_url url;
    const struct redis_link_events events = { 0 };
    struct redis_link_options options = link_options_for("redis://redis.example", &url);
    struct redis_link *link = redis_link_create(base, dns, &options, &events, NULL);
    redis_link_start(link);
    wait_ms(base, 50);
    redis_link_stop(link);
    redis_link_start(link);
    wait_ms(base, 50);
    redis_link_destroy(link);
    wait_ms(base, 10); /* evdns tells of the cancelled look-up */
    evdns_base_free(dns, 1);
    wait_ms(base, 10);
    redis_url_clear(&url);
    event_base_free(base);
}

/* --- servers that misbehave ----------------------------------------------------------------------------- */

/* Points the probe's link at a fake server for a second. */
static void meet(const char *bytes, size_t length, bool closes, struct probe *probe)
{
    struct event_base *base = event_base_new();
    struct fake_server *server = fake_server_create(base, bytes, length, closes);
    probe_open_on(probe, base, fake_server_address(server), NULL);
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    redis_link_start(probe->link);
    wait_ms(base, 1000);
    cr_assert_leq(fake_server_connections(server), 8, "%u connections", fake_server_connections(server));
    cr_assert_geq(fake_server_connections(server), 3);
    cr_assert_lt(mallinfo2().uordblks + mallinfo2().hblkhd, before + 8 * 1024 * 1024);
    redis_link_stop(probe->link);
    fake_server_destroy(server);
}

Test(redis_link, leaves_a_server_that_talks_nonsense)
{
    struct probe probe;
    static const char http[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    meet(http, sizeof(http) - 1, false, &probe);
    cr_assert(captured_log_has(&probe.log, "Protocol error"));
    cr_assert(captured_log_has(&probe.log, "check host and port in redis_url"));
    cr_assert_eq(probe.ups, 0);
    probe_close(&probe);
}

Test(redis_link, leaves_a_server_that_announces_a_giant)
{
    struct probe probe;
    static const char giant[] = "$629145600\r\nxxxxxxxx";
    meet(giant, sizeof(giant) - 1, false, &probe);
    cr_assert(captured_log_has(&probe.log, "redis_reply_bytes_max"));
    cr_assert_eq(probe.ups, 0);
    probe_close(&probe);
}

Test(redis_link, does_not_run_hot_on_a_server_that_closes_at_once)
{
    struct probe probe;
    meet("", 0, true, &probe);
    cr_assert_eq(probe.ups, 0);
    probe_close(&probe);
}

Test(redis_link, does_not_run_hot_on_a_server_that_drops_a_ready_link)
{
    struct probe probe;
    /* The three replies of a handshake, then the end. */
    static const char greeting[] = "+OK\r\n:7\r\n+PONG\r\n";
    meet(greeting, sizeof(greeting) - 1, true, &probe);
    cr_assert_geq(probe.ups, 2);
    cr_assert_geq(probe.metrics->redis_reconnects, 1);
    probe_close(&probe);
}

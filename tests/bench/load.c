/*
 * The load generator: opens clients, publishes, checks every message at every client, and says in one JSON
 * object what came, how late, and what the server used.
 *
 *     load --server 127.0.0.1:8000 --redis unix:/tmp/redis.sock --server-pid 4711 --clients 1000 --messages
 * 200 --rate 20
 *
 * [publish what will be missed ─▶] connect [─▶ catch up] ─▶ settle ─▶ warm up ─▶ measure ─▶ leave; the
 * server's CPU and memory are taken between them. Publish time and receive time are read from the same clock
 * in the same process, or from that of another on the same machine. A process has up to some 19,000 clients
 * where the limit for descriptors is 20,000; --processes spreads them over several.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "clients.h"
#include "load_options.h"
#include "process_usage.h"
#include "publisher.h"
#include "team.h"
#include "watch.h"

#define TURN_MS 20
#define TURN_OF_WATCHING_MS 1 /* when other processes have the clients */

struct snapshot {
    uint64_t at_us;
    struct cpu_usage cpu;
    struct memory_usage memory;
    uint64_t slab_bytes;
};

struct load {
    struct load_options options;
    struct header_lines *headers; /* NULL: none */
    int loop;
    struct payload_form *form;
    struct team *team;
    struct publisher *publisher;
    struct snapshot start, joined, caught_up, idle, warm, delivered, left;
    struct client_counts counts_at_warm;
};

static uint64_t now_us(void)
{
    return clock_now_ns() / 1000;
}

static struct snapshot take_snapshot(const struct load *load)
{
    struct snapshot snapshot = { .at_us = now_us(), .slab_bytes = machine_slab_bytes() };
    for (const pid_t *process = load->options.server_processes; *process; process++) {
        process_add_cpu(*process, &snapshot.cpu);
        process_add_memory(*process, &snapshot.memory);
    }
    return snapshot;
}

static void turn(struct load *load)
{
    watch_turn(load->loop, load->options.processes > 1 ? TURN_OF_WATCHING_MS : TURN_MS);
    team_turn(load->team);
}

/* --- the phases
 * ---------------------------------------------------------------------------------------------------- */

static bool connect_all(struct load *load)
{
    uint64_t deadline_us = now_us() + load->options.join_timeout_ms * 1000;
    uint64_t wanted = 0;
    for (unsigned kind = 0; kind < CLIENT_KINDS; kind++)
        wanted += load->options.clients.count[kind];
    team_connect(load->team);
    while (now_us() < deadline_us) {
        turn(load);
        if (team_joined(load->team) == wanted)
            return true;
    }
    return false;
}

static void rest(struct load *load, uint64_t duration_ms)
{
    uint64_t end_us = now_us() + duration_ms * 1000;
    while (now_us() < end_us)
        turn(load);
}

/* Waits until each healthy client has all of `published` messages, or nothing moves any more. */
static void wait_for(struct load *load, uint64_t published)
{
    uint64_t expected = clients_expected(&load->options.clients, CLIENT_HEALTHY, published);
    uint64_t moved_us = now_us(), progress = team_received(load->team);
    while (team_received(load->team) < expected || !publisher_idle(load->publisher)) {
        turn(load);
        uint64_t progress_now = team_received(load->team) + publisher_counts(load->publisher)->answered;
        if (progress_now != progress)
            moved_us = now_us();
        progress = progress_now;
        if (now_us() > moved_us + load->options.patience_ms * 1000)
            return;
    }
}

static void publish_and_wait(struct load *load, uint64_t count, double rate)
{
    if (count == 0)
        return;
    uint64_t published = publisher_counts(load->publisher)->published + count;
    publisher_start(load->publisher, count, rate);
    wait_for(load, published);
}

static void publish_what_is_missed(struct load *load)
{
    if (load->options.missed == 0)
        return;
    publisher_start(load->publisher, load->options.missed, 0);
    while (!publisher_idle(load->publisher))
        turn(load);
}

/* --- the report
 * ---------------------------------------------------------------------------------------------------- */

static void print_memory(const char *name, const struct snapshot *snapshot)
{
    printf("    \"%s\": {\"anonymous\": %llu, \"privateDirty\": %llu, \"resident\": %llu}", name,
           (unsigned long long)snapshot->memory.anonymous_bytes,
           (unsigned long long)snapshot->memory.private_dirty_bytes,
           (unsigned long long)snapshot->memory.resident_bytes);
}

static void print_cpu(const char *name, const struct snapshot *from, const struct snapshot *to)
{
    printf("    \"%s\": {\"total\": %.6f, \"user\": %.2f, \"system\": %.2f}", name,
           (double)(to->cpu.total_us - from->cpu.total_us) / 1e6,
           (double)(to->cpu.user_us - from->cpu.user_us) / 1e6,
           (double)(to->cpu.system_us - from->cpu.system_us) / 1e6);
}

static void print_clients(const struct load *load, const char *name, enum client_kind kind)
{
    const struct client_counts counts = team_counts(load->team, kind);
    uint64_t published = publisher_counts(load->publisher)->published;
    printf("  \"%s\": {\"clients\": %zu, \"joined\": %llu, \"expected\": %llu, \"received\": %llu, \"lost\": "
           "%llu, "
           "\"duplicate\": %llu, \"outOfOrder\": %llu, \"corrupt\": %llu, \"otherEvents\": %llu, "
           "\"disconnected\": %llu, "
           "\"connectFailures\": %llu, \"bytes\": %llu},\n",
           name, load->options.clients.count[kind], (unsigned long long)counts.joined,
           (unsigned long long)clients_expected(&load->options.clients, kind, published),
           (unsigned long long)counts.received, (unsigned long long)team_lost(load->team, kind),
           (unsigned long long)counts.duplicate, (unsigned long long)counts.out_of_order,
           (unsigned long long)counts.corrupt, (unsigned long long)counts.other_events,
           (unsigned long long)counts.disconnected, (unsigned long long)counts.connect_failures,
           (unsigned long long)counts.bytes);
}

static void print_latency(const struct load *load)
{
    struct latency *latency = calloc(1, sizeof *latency);
    if (!latency)
        abort();
    team_add_latency(load->team, latency);
    printf("  \"latencyMs\": {\"count\": %llu, \"mean\": %.3f, \"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, "
           "\"p999\": %.3f, "
           "\"max\": %.3f},\n",
           (unsigned long long)latency->count,
           latency->count ? (double)latency->sum_us / (double)latency->count / 1e3 : 0.0,
           (double)latency_percentile_us(latency, 0.5) / 1e3,
           (double)latency_percentile_us(latency, 0.9) / 1e3,
           (double)latency_percentile_us(latency, 0.99) / 1e3,
           (double)latency_percentile_us(latency, 0.999) / 1e3, (double)latency->max_us / 1e3);
    free(latency);
}

static void print_report(const struct load *load)
{
    const struct publisher_counts *published = publisher_counts(load->publisher);
    struct client_counts counts = team_counts(load->team, CLIENT_HEALTHY);
    uint64_t deliveries = counts.received - load->counts_at_warm.received;
    double measured_seconds = (double)(load->delivered.at_us - load->warm.at_us) / 1e6;
    printf("{\n");
    print_clients(load, "healthy", CLIENT_HEALTHY);
    print_clients(load, "slow", CLIENT_SLOW);
    print_clients(load, "stalled", CLIENT_STALLED);
    printf("  \"publisher\": {\"published\": %llu, \"answered\": %llu, \"withoutReceiver\": %llu, "
           "\"errors\": %llu, "
           "\"lateMsMax\": %.3f},\n",
           (unsigned long long)published->published, (unsigned long long)published->answered,
           (unsigned long long)published->without_receiver, (unsigned long long)published->errors,
           (double)published->late_us_max / 1e3);
    print_latency(load);
    printf("  \"deliveries\": %llu,\n  \"seconds\": {\"connect\": %.3f, \"catchUp\": %.3f, \"measured\": "
           "%.3f},\n",
           (unsigned long long)deliveries, (double)(load->joined.at_us - load->start.at_us) / 1e6,
           (double)(load->caught_up.at_us - load->start.at_us) / 1e6, measured_seconds);
    printf("  \"deliveredBytes\": %llu,\n", (unsigned long long)(counts.bytes - load->counts_at_warm.bytes));
    printf("  \"deliveriesPerSecond\": %.0f,\n",
           measured_seconds > 0 ? (double)deliveries / measured_seconds : 0.0);
    printf("  \"serverCpuSeconds\": {\n");
    print_cpu("connect", &load->start, &load->joined);
    printf(",\n");
    print_cpu("catchUp", &load->start, &load->caught_up);
    printf(",\n");
    print_cpu("settle", &load->caught_up, &load->idle);
    printf(",\n");
    print_cpu("measured", &load->warm, &load->delivered);
    printf("\n  },\n  \"serverMemoryBytes\": {\n");
    print_memory("before", &load->start);
    printf(",\n");
    print_memory("idle", &load->idle);
    printf(",\n");
    print_memory("after", &load->delivered);
    printf(",\n");
    print_memory("left", &load->left);
    printf("\n  },\n  \"machineSlabBytes\": {\"before\": %llu, \"idle\": %llu}\n}\n",
           (unsigned long long)load->start.slab_bytes, (unsigned long long)load->idle.slab_bytes);
}

/* --- start
 * ---------------------------------------------------------------------------------------------------------
 */

static void prepare_process(const struct load_options *options)
{
    struct rlimit descriptors;
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
        descriptors.rlim_cur = descriptors.rlim_max;
        setrlimit(RLIMIT_NOFILE, &descriptors);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a benchmark that was killed leaves nothing behind */
    alarm((unsigned)options->time_limit_s);
}

static int run(struct load *load)
{
    publish_what_is_missed(load);
    load->start = take_snapshot(load);
    if (!connect_all(load)) {
        fprintf(stderr, "load: only %llu clients joined within %llu ms\n",
                (unsigned long long)team_joined(load->team),
                (unsigned long long)load->options.join_timeout_ms);
        return 1;
    }
    load->joined = take_snapshot(load);
    if (load->options.missed > 0)
        wait_for(load, load->options.missed);
    load->caught_up = take_snapshot(load);
    rest(load, load->options.settle_ms);
    load->idle = take_snapshot(load);
    publish_and_wait(load, load->options.warmup, load->options.rate);
    team_reset_latency(load->team);
    load->counts_at_warm = team_counts(load->team, CLIENT_HEALTHY);
    load->warm = take_snapshot(load);
    publish_and_wait(load, load->options.messages, load->options.rate);
    load->delivered = take_snapshot(load);
    team_leave(load->team, publisher_counts(load->publisher)->published);
    rest(load, load->options.leave_ms);
    load->left = take_snapshot(load);
    print_report(load);
    return 0;
}

/* False with a line on stderr. */
static bool read_headers(struct load *load)
{
    const char *path = load->options.headers_file;
    if (!path)
        return true;
    errno = 0;
    load->headers = header_lines_read(path);
    load->options.clients.headers = load->headers;
    if (!load->headers)
        fprintf(stderr, "load: --headers %s: %s\n", path, strerror(errno));
    return load->headers != NULL;
}

int main(int argument_count, char **arguments)
{
    struct load load = { 0 };
    if (!load_options_read(argument_count, arguments, &load.options))
        return 2;
    if (!read_headers(&load))
        return 2;
    prepare_process(&load.options);
    load.loop = watch_loop_create();
    load.form = payload_form_create(load.options.payload_bytes, load.options.filler);
    load.team =
        load.form ? team_create(load.loop, &load.options.clients, load.form, load.options.processes) : NULL;
    load.publisher = load.team ? publisher_create(load.loop, &load.options.publisher, load.form) : NULL;
    int status = 1;
    if (load.publisher)
        status = run(&load);
    else
        fprintf(stderr, "load: cannot start: %s\n", strerror(errno));
    publisher_destroy(load.publisher);
    team_destroy(load.team);
    payload_form_destroy(load.form);
    header_lines_destroy(load.headers);
    close(load.loop);
    return status;
}

#include "team.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "watch.h"

#define TEAM_TURN_MS 5

/* In memory that all processes share. */
struct shared {
    atomic_bool is_connecting;
    atomic_bool is_over;
    uint64_t published; /* when it is over */
    struct clients_figures figures[];
};

struct team {
    const struct payload_form *form;
    size_t processes;
    struct clients_options *shares; /* what each process has */
    pid_t *children;
    struct clients *clients; /* of this process; NULL when children have them */
    struct shared *shared;
    size_t shared_bytes;
};

/* A process's share of the clients that read; those that do not read well are all the first one's. */
static struct clients_options share_of(const struct clients_options *all, size_t process, size_t processes)
{
    struct clients_options share = *all;
    size_t total = all->count[CLIENT_HEALTHY];
    size_t begin = total * process / processes, end = total * (process + 1) / processes;
    share.first = all->first + begin;
    share.count[CLIENT_HEALTHY] = end - begin;
    share.connecting_max = all->connecting_max / processes + 1;
    if (process > 0)
        share.count[CLIENT_SLOW] = share.count[CLIENT_STALLED] = 0;
    return share;
}

_Noreturn static void run_child(const struct team *team, size_t process)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int loop = watch_loop_create();
    struct shared *shared = team->shared;
    struct clients *clients =
        clients_create(loop, &team->shares[process], team->form, &shared->figures[process]);
    if (loop < 0 || !clients)
        _exit(1);
    while (!atomic_load(&shared->is_over)) {
        if (atomic_load(&shared->is_connecting))
            clients_connect_more(clients);
        watch_turn(loop, TEAM_TURN_MS);
        clients_read_slowly(clients, clock_now_ns() / 1000);
    }
    clients_leave(clients, shared->published);
    _exit(0);
}

static bool start(struct team *team, int loop)
{
    if (team->processes == 1) {
        team->clients = clients_create(loop, &team->shares[0], team->form, &team->shared->figures[0]);
        return team->clients != NULL;
    }
    for (size_t i = 0; i < team->processes; i++) {
        team->children[i] = fork();
        if (team->children[i] < 0)
            return false;
        if (team->children[i] == 0)
            run_child(team, i);
    }
    return true;
}

struct team *team_create(int loop, const struct clients_options *options, const struct payload_form *form,
                         size_t processes)
{
    struct team *team = calloc(1, sizeof *team);
    if (!team)
        return NULL;
    team->form = form;
    team->processes = processes;
    team->shared_bytes = sizeof *team->shared + processes * sizeof team->shared->figures[0];
    team->shares = calloc(processes, sizeof *team->shares);
    team->children = calloc(processes, sizeof *team->children);
    void *shared = mmap(NULL, team->shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared != MAP_FAILED)
        team->shared = shared;
    if (!team->shares || !team->children || !team->shared) {
        team_destroy(team);
        return NULL;
    }
    for (size_t i = 0; i < processes; i++)
        team->shares[i] = share_of(options, i, processes);
    if (start(team, loop))
        return team;
    team_destroy(team);
    return NULL;
}

void team_connect(struct team *team)
{
    atomic_store(&team->shared->is_connecting, true);
}

void team_turn(struct team *team)
{
    if (!team->clients)
        return;
    if (atomic_load(&team->shared->is_connecting))
        clients_connect_more(team->clients);
    clients_read_slowly(team->clients, clock_now_ns() / 1000);
}

struct client_counts team_counts(const struct team *team, enum client_kind kind)
{
    struct client_counts sum = { 0 };
    for (size_t i = 0; i < team->processes; i++) {
        const struct client_counts *counts = &team->shared->figures[i].counts[kind];
        sum.joined += counts->joined;
        sum.received += counts->received;
        sum.duplicate += counts->duplicate;
        sum.out_of_order += counts->out_of_order;
        sum.corrupt += counts->corrupt;
        sum.other_events += counts->other_events;
        sum.disconnected += counts->disconnected;
        sum.connect_failures += counts->connect_failures;
        sum.bytes += counts->bytes;
    }
    return sum;
}

uint64_t team_received(const struct team *team)
{
    return team_counts(team, CLIENT_HEALTHY).received;
}

uint64_t team_joined(const struct team *team)
{
    uint64_t joined = 0;
    for (unsigned kind = 0; kind < CLIENT_KINDS; kind++)
        joined += team_counts(team, kind).joined;
    return joined;
}

uint64_t team_lost(const struct team *team, enum client_kind kind)
{
    uint64_t lost = 0;
    for (size_t i = 0; i < team->processes; i++)
        lost += team->shared->figures[i].lost[kind];
    return lost;
}

void team_add_latency(const struct team *team, struct latency *latency)
{
    for (size_t i = 0; i < team->processes; i++)
        latency_add_all(latency, &team->shared->figures[i].latency);
}

void team_reset_latency(struct team *team)
{
    for (size_t i = 0; i < team->processes; i++)
        memset(&team->shared->figures[i].latency, 0, sizeof team->shared->figures[i].latency);
}

static void wait_for_children(struct team *team)
{
    for (size_t i = 0; i < team->processes; i++)
        if (team->children[i] > 0)
            waitpid(team->children[i], NULL, 0);
    memset(team->children, 0, team->processes * sizeof *team->children);
}

void team_leave(struct team *team, uint64_t published)
{
    team->shared->published = published;
    atomic_store(&team->shared->is_over, true);
    if (team->clients)
        clients_leave(team->clients, published);
    wait_for_children(team);
}

void team_destroy(struct team *team)
{
    if (!team)
        return;
    if (team->shared && team->children) {
        atomic_store(&team->shared->is_over, true);
        wait_for_children(team);
    }
    clients_destroy(team->clients);
    if (team->shared)
        munmap(team->shared, team->shared_bytes);
    free(team->children);
    free(team->shares);
    free(team);
}

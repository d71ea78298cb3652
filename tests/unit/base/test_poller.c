#include "base/poller.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A socket pair whose near end the poller watches; the far end plays the client. */
struct peer {
    int near;
    int far;
    uint32_t events; /* all seen so far */
    int calls;
};

struct fixture {
    struct event_base *base;
    struct poller *poller;
    int batches;
    unsigned serving_us; /* how long one takes */
    struct peer *remove_when_ready;
};

static void on_ready(void *context, void *owner, uint32_t events)
{
    struct fixture *fixture = context;
    struct peer *peer = owner;
    peer->events |= events;
    peer->calls++;
    if (fixture->serving_us > 0)
        usleep(fixture->serving_us);
    if (peer == fixture->remove_when_ready)
        poller_remove(fixture->poller, peer->near);
}

static void on_batch_end(void *context)
{
    ((struct fixture *)context)->batches++;
}

static void peer_open(struct peer *peer)
{
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    *peer = (struct peer){ .near = ends[0], .far = ends[1] };
}

static void peer_close(struct peer *peer)
{
    close(peer->near);
    close(peer->far);
}

static void turn(struct fixture *fixture)
{
    event_base_loop(fixture->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static struct fixture *setup(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->base = event_base_new();
    fixture->poller = poller_create(fixture->base, on_ready, on_batch_end, fixture);
    cr_assert_not_null(fixture->poller);
    return fixture;
}

static void teardown(struct fixture *fixture)
{
    poller_destroy(fixture->poller);
    event_base_free(fixture->base);
    free(fixture);
}

Test(poller, reports_level_triggered)
{
    struct fixture *fixture = setup();
    struct peer peer;
    peer_open(&peer);
    cr_assert(poller_add(fixture->poller, peer.near, EPOLLIN, &peer));
    turn(fixture);
    cr_assert_eq(peer.calls, 0);
    cr_assert_eq(fixture->batches, 0);

    cr_assert_eq(write(peer.far, "x", 1), 1);
    turn(fixture);
    turn(fixture);
    cr_assert_eq(peer.calls, 2);
    cr_assert_eq(peer.events, EPOLLIN);
    cr_assert_eq(fixture->batches, 2);

    char byte;
    cr_assert_eq(read(peer.near, &byte, 1), 1);
    turn(fixture);
    cr_assert_eq(peer.calls, 2);
    peer_close(&peer);
    teardown(fixture);
}

Test(poller, modify_and_remove)
{
    struct fixture *fixture = setup();
    struct peer peer;
    peer_open(&peer);
    cr_assert(poller_add(fixture->poller, peer.near, 0, &peer));
    turn(fixture);
    cr_assert_eq(peer.calls, 0);
    cr_assert(poller_modify(fixture->poller, peer.near, EPOLLOUT, &peer));
    turn(fixture);
    cr_assert_eq(peer.events, EPOLLOUT);
    poller_remove(fixture->poller, peer.near);
    turn(fixture);
    cr_assert_eq(peer.calls, 1);
    peer_close(&peer);
    teardown(fixture);
}

Test(poller, hang_up_is_always_reported)
{
    struct fixture *fixture = setup();
    struct peer peer;
    peer_open(&peer);
    cr_assert(poller_add(fixture->poller, peer.near, 0, &peer));
    close(peer.far);
    turn(fixture);
    cr_assert(peer.events & EPOLLHUP);
    close(peer.near);
    teardown(fixture);
}

Test(poller, many_ready_are_served_in_batches)
{
    enum { PEERS = 300 };
    struct fixture *fixture = setup();
    struct peer peers[PEERS];
    for (int i = 0; i < PEERS; i++) {
        peer_open(&peers[i]);
        cr_assert(poller_add(fixture->poller, peers[i].near, EPOLLOUT, &peers[i]));
    }
    turn(fixture);
    turn(fixture);
    cr_assert_eq(fixture->batches, 2);
    for (int i = 0; i < PEERS; i++) {
        cr_assert_geq(peers[i].calls, 1);
        peer_close(&peers[i]);
    }
    teardown(fixture);
}

Test(poller, a_batch_ends_in_time_and_nobody_is_left_out)
{
    enum { PEERS = 128 };
    struct fixture *fixture = setup();
    struct peer peers[PEERS];
    fixture->serving_us = 500;
    for (int i = 0; i < PEERS; i++) {
        peer_open(&peers[i]);
        cr_assert(poller_add(fixture->poller, peers[i].near, EPOLLOUT, &peers[i]));
    }
    turn(fixture);
    int served = 0;
    for (int i = 0; i < PEERS; i++)
        served += peers[i].calls;
    cr_assert_lt(served, PEERS / 2);
    for (int i = 0; i < 8; i++)
        turn(fixture);
    for (int i = 0; i < PEERS; i++) {
        cr_assert_geq(peers[i].calls, 1);
        peer_close(&peers[i]);
    }
    teardown(fixture);
}

Test(poller, removing_in_the_callback)
{
    struct fixture *fixture = setup();
    struct peer first, second;
    peer_open(&first);
    peer_open(&second);
    fixture->remove_when_ready = &first;
    cr_assert(poller_add(fixture->poller, first.near, EPOLLOUT, &first));
    cr_assert(poller_add(fixture->poller, second.near, EPOLLOUT, &second));
    turn(fixture);
    turn(fixture);
    cr_assert_eq(first.calls, 1);
    cr_assert_eq(second.calls, 2);
    peer_close(&first);
    peer_close(&second);
    teardown(fixture);
}

Test(poller, refusals_tell_why)
{
    struct fixture *fixture = setup();
    struct peer peer;
    peer_open(&peer);
    cr_assert(poller_add(fixture->poller, peer.near, EPOLLIN, &peer));
    cr_assert_not(poller_add(fixture->poller, peer.near, EPOLLIN, &peer));
    cr_assert_eq(errno, EEXIST);
    cr_assert_not(poller_modify(fixture->poller, peer.far, EPOLLIN, &peer));
    cr_assert_eq(errno, ENOENT);
    cr_assert_not(poller_add(fixture->poller, -1, EPOLLIN, &peer));
    cr_assert_eq(errno, EBADF);
    peer_close(&peer);
    teardown(fixture);
    poller_destroy(NULL);
}

/*
 * How much one address and one person may have of the gateway: open streams, new streams and publishes a
 * second.
 *
 *     quota_take_stream() ──▶ a place, kept with the client ──▶ quota_release(), when it is gone
 *     quota_take_publish() ─▶ (rates only: nothing to give back)
 *
 * There is one for the process. Any thread may call, under its mutex; it is touched when a stream opens or
 * ends and when something is published, never for an event on its way to a client.
 *
 * What is known of an address or a person is forgotten when it has no stream and its rates are full again; of
 * those that have no stream at most QUOTA_IDLE_MAX are remembered. So memory is bounded by the open streams.
 * Addresses come from strangers: the table is hashed with a secret seed (base/map.h), and an IPv6 address
 * counts by its network, of which everybody has one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip_address.h"
#include "metrics/metrics.h"

#define QUOTA_IDLE_MAX 65536
#define QUOTA_SUBJECT_BYTES_MAX 256 /* a longer one counts by what it begins with */

/* A limit that counts for each address. */
struct quota_address_limit {
    uint64_t most;        /* 0: no limit */
    bool spares_loopback; /* this machine itself has none */
};

/* Everywhere 0 is no limit. A rate allows as much at once as in one second. */
struct quota_limits {
    uint64_t streams_per_subject;
    struct quota_address_limit streams_per_address;
    uint64_t stream_rate; /* new streams a second */
    struct quota_address_limit stream_rate_per_address;
    uint64_t publish_rate_per_subject;                   /* events a second */
    struct quota_address_limit publish_rate_per_address; /* of callers whose name is not known */
    unsigned ip6_prefix;                                 /* bits of an IPv6 address that count */
};

struct quota_caller {
    struct ip_address address;
    const char *subject; /* NULL: not known */
    size_t subject_length;
};

enum quota_verdict { QUOTA_TAKEN, QUOTA_LIMITED, QUOTA_NO_MEMORY };

/* Which limit, and when it is worth another try; 0: when somebody else has gone. */
struct quota_excess {
    enum limit limit;
    uint64_t retry_ms;
};

struct quota_entry;

/* What an open stream counts for. All zeros: nothing, so that it need not be kept. */
struct quota_place {
    struct quota_entry *address;
    struct quota_entry *subject;
    bool is_taken;
};

struct quota;

struct quota *quota_create(const struct quota_limits *limits);
/* All places are released before. */
void quota_destroy(struct quota *quota);

/* On reload. Streams that are open stay. */
void quota_set_limits(struct quota *quota, const struct quota_limits *limits);

/* `now_ns` is clock_now_ns(). */
enum quota_verdict quota_take_stream(struct quota *quota, const struct quota_caller *caller, uint64_t now_ns,
                                     struct quota_place *ret_place, struct quota_excess *ret_excess);

/* Gives the place back and empties it, so that a second call does nothing. */
void quota_release(struct quota *quota, struct quota_place *place, uint64_t now_ns);

/* Events published at a time count each. More than the rate allows at once passes when nothing was published
 * before, and is waited for afterwards. */
enum quota_verdict quota_take_publish(struct quota *quota, const struct quota_caller *caller, uint64_t events,
                                      uint64_t now_ns, struct quota_excess *ret_excess);

/* Streams that count for somebody, and addresses and persons remembered. */
uint64_t quota_streams(struct quota *quota);
size_t quota_entries(struct quota *quota);

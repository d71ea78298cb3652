#include "access/quota.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define SECOND CLOCK_NS_PER_SECOND
#define NOW (1000 * SECOND)

static struct quota_caller caller_at(const char *address, const char *subject)
{
    struct quota_caller caller = { .subject = subject, .subject_length = subject ? strlen(subject) : 0 };
    cr_assert(ip_address_parse(address, strlen(address), &caller.address));
    return caller;
}

static enum quota_verdict open_stream(struct quota *quota, const char *address, const char *subject,
                                      uint64_t now_ns, struct quota_place *ret_place,
                                      struct quota_excess *ret_excess)
{
    struct quota_caller caller = caller_at(address, subject);
    return quota_take_stream(quota, &caller, now_ns, ret_place, ret_excess);
}

#define OPENS(address, subject, now, place)                                                                  \
    cr_assert_eq(open_stream(quota, address, subject, now, place, &excess), QUOTA_TAKEN)
#define LIMITED(address, subject, now, which)                                                                \
    do {                                                                                                     \
        struct quota_place none;                                                                             \
        cr_assert_eq(open_stream(quota, address, subject, now, &none, &excess), QUOTA_LIMITED);              \
        cr_assert_eq(excess.limit, which);                                                                   \
        cr_assert(!none.is_taken);                                                                           \
    } while (0)

static struct quota *make(struct quota_limits limits)
{
    if (limits.ip6_prefix == 0)
        limits.ip6_prefix = 64;
    struct quota *quota = quota_create(&limits);
    cr_assert_not_null(quota);
    return quota;
}

Test(quota, nothing_is_limited_and_nothing_kept_by_default)
{
    struct quota *quota = make((struct quota_limits){ 0 });
    struct quota_excess excess;
    struct quota_place places[100];
    struct quota_caller caller = caller_at("192.0.2.1", "ann");
    for (int i = 0; i < 100; i++) {
        OPENS("192.0.2.1", "ann", NOW, &places[i]);
        cr_assert_eq(quota_take_publish(quota, &caller, 1000, NOW, &excess), QUOTA_TAKEN);
    }
    cr_assert_eq(quota_entries(quota), 0);
    cr_assert_eq(quota_streams(quota), 0);
    cr_assert(!places[0].is_taken);
    for (int i = 0; i < 100; i++)
        quota_release(quota, &places[i], NOW);
    cr_assert_eq(quota_streams(quota), 0);
    quota_destroy(quota);
}

Test(quota, a_place_is_given_back_once)
{
    struct quota *quota = make((struct quota_limits){ .streams_per_address = { 1, false } });
    struct quota_excess excess;
    struct quota_place first, second;
    OPENS("192.0.2.1", NULL, NOW, &first);
    LIMITED("192.0.2.1", NULL, NOW, LIMIT_STREAMS_PER_ADDRESS);
    cr_assert_eq(excess.retry_ms, 0);
    quota_release(quota, &first, NOW);
    quota_release(quota, &first, NOW);
    cr_assert_eq(quota_streams(quota), 0);
    OPENS("192.0.2.1", NULL, NOW, &second);
    quota_release(quota, &first, NOW);
    LIMITED("192.0.2.1", NULL, NOW, LIMIT_STREAMS_PER_ADDRESS);
    quota_release(quota, &second, NOW);
    quota_destroy(quota);
}

Test(quota, streams_per_address)
{
    struct quota *quota = make((struct quota_limits){ .streams_per_address = { 2, false } });
    struct quota_excess excess;
    struct quota_place places[3];
    OPENS("192.0.2.1", NULL, NOW, &places[0]);
    OPENS("::ffff:192.0.2.1", NULL, NOW, &places[1]);
    LIMITED("192.0.2.1", NULL, NOW, LIMIT_STREAMS_PER_ADDRESS);
    OPENS("192.0.2.2", NULL, NOW, &places[2]);
    for (int i = 0; i < 3; i++)
        quota_release(quota, &places[i], NOW);
    OPENS("192.0.2.1", NULL, NOW, &places[0]);
    quota_release(quota, &places[0], NOW);
    quota_destroy(quota);
}

Test(quota, an_ip6_network_is_one_address)
{
    struct quota *quota = make((struct quota_limits){ .streams_per_address = { 3, false } });
    struct quota_excess excess;
    struct quota_place places[4];
    OPENS("2001:db8:1:2::1", NULL, NOW, &places[0]);
    OPENS("2001:db8:1:2:ffff:ffff:ffff:ffff", NULL, NOW, &places[1]);
    OPENS("2001:db8:1:2:8000::", NULL, NOW, &places[2]);
    LIMITED("2001:db8:1:2:abcd::99", NULL, NOW, LIMIT_STREAMS_PER_ADDRESS);
    OPENS("2001:db8:1:3::1", NULL, NOW, &places[3]);
    cr_assert_eq(quota_entries(quota), 2);
    for (int i = 0; i < 4; i++)
        quota_release(quota, &places[i], NOW);
    quota_destroy(quota);

    quota = make((struct quota_limits){ .streams_per_address = { 1, false }, .ip6_prefix = 48 });
    OPENS("2001:db8:1:2::1", NULL, NOW, &places[0]);
    LIMITED("2001:db8:1:3::1", NULL, NOW, LIMIT_STREAMS_PER_ADDRESS);
    quota_release(quota, &places[0], NOW);
    quota_destroy(quota);
}

Test(quota, streams_per_subject_wherever_he_is)
{
    struct quota *quota = make((struct quota_limits){ .streams_per_subject = 1 });
    struct quota_excess excess;
    struct quota_place ann, bob, nobody, other;
    OPENS("192.0.2.1", "ann", NOW, &ann);
    LIMITED("192.0.2.2", "ann", NOW, LIMIT_STREAMS_PER_SUBJECT);
    OPENS("192.0.2.1", "bob", NOW, &bob);
    OPENS("192.0.2.1", NULL, NOW, &nobody);
    OPENS("192.0.2.1", NULL, NOW, &other);
    quota_release(quota, &ann, NOW);
    OPENS("192.0.2.2", "ann", NOW, &ann);
    quota_release(quota, &ann, NOW);
    quota_release(quota, &bob, NOW);
    quota_release(quota, &nobody, NOW);
    quota_release(quota, &other, NOW);
    quota_destroy(quota);
}

/* A refused stream must not have taken a place anywhere: the last limit refuses, the others stay free. */
Test(quota, a_refusal_takes_nothing)
{
    struct quota *quota = make((struct quota_limits){
        .streams_per_address = { 2, false }, .streams_per_subject = 1, .stream_rate = 3 });
    struct quota_excess excess;
    struct quota_place first, second;
    OPENS("192.0.2.1", "ann", NOW, &first);
    for (int i = 0; i < 10; i++)
        LIMITED("192.0.2.1", "ann", NOW, LIMIT_STREAMS_PER_SUBJECT);
    cr_assert_eq(quota_streams(quota), 1);
    OPENS("192.0.2.1", "bob", NOW, &second);
    quota_release(quota, &first, NOW);
    quota_release(quota, &second, NOW);
    quota_destroy(quota);
}

Test(quota, new_streams_a_second)
{
    struct quota *quota =
        make((struct quota_limits){ .stream_rate = 4, .stream_rate_per_address = { 2, false } });
    struct quota_excess excess;
    struct quota_place place;
    for (int i = 0; i < 2; i++) {
        OPENS("192.0.2.1", NULL, NOW, &place);
        quota_release(quota, &place, NOW);
    }
    LIMITED("192.0.2.1", NULL, NOW, LIMIT_STREAM_RATE_PER_ADDRESS);
    cr_assert_eq(excess.retry_ms, 500);
    OPENS("192.0.2.2", NULL, NOW, &place);
    quota_release(quota, &place, NOW);
    OPENS("192.0.2.3", NULL, NOW, &place);
    quota_release(quota, &place, NOW);
    LIMITED("192.0.2.4", NULL, NOW, LIMIT_STREAM_RATE);
    cr_assert_eq(excess.retry_ms, 250);
    LIMITED("192.0.2.1", NULL, NOW + SECOND / 2 - 1, LIMIT_STREAM_RATE_PER_ADDRESS);
    OPENS("192.0.2.1", NULL, NOW + SECOND / 2, &place);
    quota_release(quota, &place, NOW + SECOND / 2);
    /* A long rest saves up no more than a second's worth. */
    for (int i = 0; i < 2; i++) {
        OPENS("192.0.2.1", NULL, NOW + 60 * SECOND, &place);
        quota_release(quota, &place, NOW + 60 * SECOND);
    }
    LIMITED("192.0.2.1", NULL, NOW + 60 * SECOND, LIMIT_STREAM_RATE_PER_ADDRESS);
    quota_destroy(quota);
}

Test(quota, publishes_of_a_name_and_of_an_address)
{
    struct quota *quota = make(
        (struct quota_limits){ .publish_rate_per_subject = 10, .publish_rate_per_address = { 5, false } });
    struct quota_excess excess;
    struct quota_caller key = caller_at("192.0.2.1", "key:n8n"), same = caller_at("192.0.2.9", "key:n8n"),
                        nobody = caller_at("192.0.2.1", NULL);
    cr_assert_eq(quota_take_publish(quota, &key, 6, NOW, &excess), QUOTA_TAKEN);
    cr_assert_eq(quota_take_publish(quota, &same, 6, NOW, &excess), QUOTA_LIMITED);
    cr_assert_eq(excess.limit, LIMIT_PUBLISH_RATE_PER_SUBJECT);
    cr_assert_eq(excess.retry_ms, 200);
    cr_assert_eq(quota_take_publish(quota, &same, 4, NOW, &excess), QUOTA_TAKEN);
    cr_assert_eq(quota_take_publish(quota, &key, 1, NOW, &excess), QUOTA_LIMITED);
    cr_assert_eq(quota_take_publish(quota, &nobody, 5, NOW, &excess), QUOTA_TAKEN);
    cr_assert_eq(quota_take_publish(quota, &nobody, 1, NOW, &excess), QUOTA_LIMITED);
    cr_assert_eq(excess.limit, LIMIT_PUBLISH_RATE_PER_ADDRESS);
    quota_destroy(quota);
}

Test(quota, many_events_at_once_are_paid_for_afterwards)
{
    struct quota *quota = make((struct quota_limits){ .publish_rate_per_subject = 10 });
    struct quota_excess excess;
    struct quota_caller key = caller_at("192.0.2.1", "key:n8n");
    cr_assert_eq(quota_take_publish(quota, &key, 100, NOW, &excess), QUOTA_TAKEN);
    cr_assert_eq(quota_take_publish(quota, &key, 1, NOW, &excess), QUOTA_LIMITED);
    cr_assert_eq(excess.retry_ms, 9100);
    cr_assert_eq(quota_take_publish(quota, &key, 1, NOW + 9 * SECOND, &excess), QUOTA_LIMITED);
    cr_assert_eq(quota_take_publish(quota, &key, 1, NOW + 9 * SECOND + SECOND / 10, &excess), QUOTA_TAKEN);
    quota_destroy(quota);
}

Test(quota, this_machine_may_be_spared)
{
    struct quota *quota = make(
        (struct quota_limits){ .streams_per_address = { 1, true }, .publish_rate_per_address = { 1, true } });
    struct quota_excess excess;
    struct quota_place first, second, third, other;
    struct quota_caller local = caller_at("127.0.0.1", NULL), unix_socket = { 0 };
    OPENS("127.0.0.1", NULL, NOW, &first);
    OPENS("127.0.0.1", NULL, NOW, &second);
    cr_assert_eq(quota_take_stream(quota, &unix_socket, NOW, &third, &excess), QUOTA_TAKEN);
    cr_assert_eq(quota_take_publish(quota, &local, 100, NOW, &excess), QUOTA_TAKEN);
    cr_assert_eq(quota_take_publish(quota, &local, 100, NOW, &excess), QUOTA_TAKEN);
    OPENS("192.0.2.1", NULL, NOW, &other);
    LIMITED("192.0.2.1", NULL, NOW, LIMIT_STREAMS_PER_ADDRESS);
    quota_release(quota, &first, NOW);
    quota_release(quota, &second, NOW);
    quota_release(quota, &third, NOW);
    quota_release(quota, &other, NOW);
    quota_destroy(quota);
}

/* A flood of addresses, each seen once. */
Test(quota, memory_is_bounded)
{
    struct quota *quota = make((struct quota_limits){ .stream_rate_per_address = { 1, false } });
    struct quota_excess excess;
    struct quota_place place;
    char address[IP_ADDRESS_TEXT_MAX];
    for (unsigned i = 0; i < QUOTA_IDLE_MAX + 5000; i++) {
        snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        OPENS(address, NULL, NOW, &place);
        quota_release(quota, &place, NOW);
        cr_assert_leq(quota_entries(quota), QUOTA_IDLE_MAX + 2);
    }
    /* A rest later their rates are full, and they are forgotten, a few at a time. */
    for (unsigned i = 0; i < QUOTA_IDLE_MAX; i++) {
        OPENS("192.0.2.1", NULL, NOW + (2 + i) * SECOND, &place);
        quota_release(quota, &place, NOW + (2 + i) * SECOND);
    }
    cr_assert_leq(quota_entries(quota), 1);
    quota_destroy(quota);
}

Test(quota, limits_change_while_streams_are_open)
{
    struct quota *quota = make((struct quota_limits){ 0 });
    struct quota_excess excess;
    struct quota_place before, after, last;
    OPENS("192.0.2.1", "ann", NOW, &before);
    quota_set_limits(quota, &(struct quota_limits){ .streams_per_address = { 1, false }, .ip6_prefix = 64 });
    OPENS("192.0.2.1", "ann", NOW, &after); /* the first is not known by its address */
    LIMITED("192.0.2.1", "ann", NOW, LIMIT_STREAMS_PER_ADDRESS);
    quota_set_limits(quota, &(struct quota_limits){ 0 });
    OPENS("192.0.2.1", "ann", NOW, &last);
    quota_release(quota, &before, NOW);
    quota_release(quota, &after, NOW);
    quota_release(quota, &last, NOW);
    cr_assert_eq(quota_streams(quota), 0);
    quota_destroy(quota);
}

struct job {
    struct quota *quota;
    unsigned taken;
};

static void *take_many(void *context)
{
    struct job *job = context;
    struct quota_excess excess;
    struct quota_place places[400];
    struct quota_caller caller = { .subject = "ann", .subject_length = 3 };
    for (int i = 0; i < 400; i++)
        job->taken += quota_take_stream(job->quota, &caller, NOW, &places[i], &excess) == QUOTA_TAKEN;
    return NULL;
}

Test(quota, is_exact_over_threads)
{
    struct quota *quota = make((struct quota_limits){ .streams_per_subject = 1000 });
    pthread_t threads[4];
    struct job jobs[4] = { 0 };
    unsigned taken = 0;
    for (int i = 0; i < 4; i++) {
        jobs[i].quota = quota;
        cr_assert_eq(pthread_create(&threads[i], NULL, take_many, &jobs[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        taken += jobs[i].taken;
    }
    cr_assert_eq(taken, 1000);
    cr_assert_eq(quota_streams(quota), 1000);
    quota_destroy(quota);
}

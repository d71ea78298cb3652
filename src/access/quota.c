#include "access/quota.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"

enum entry_kind { ENTRY_ADDRESS = 'a', ENTRY_SUBJECT = 's' };

/*
 * A bucket of tokens as one number, the time at which it is full again (the generic cell rate algorithm,
 * ITU-T I.371): what is taken moves it into the future, and it may not be further away than a full bucket
 * takes.
 */
struct bucket {
    uint64_t full_ns;
};

struct quota_entry {
    struct list idle; /* linked while it has no stream; the longest idle first */
    struct bucket streams_rate;
    struct bucket publish_rate;
    uint32_t streams;
    uint32_t key_length;
    char key[]; /* its kind, then the address or the subject */
};

struct quota {
    pthread_mutex_t mutex;
    struct quota_limits limits;
    struct map *entries;
    struct list idle;
    size_t idle_count;
    uint64_t streams;
    struct bucket streams_rate;
};

/* --- rates --- */

/* How long until `count` tokens are there; 0: now. */
static uint64_t bucket_wait_ns(const struct bucket *bucket, uint64_t rate, uint64_t count, uint64_t now_ns)
{
    if (rate == 0 || bucket->full_ns <= now_ns)
        return 0;
    uint64_t wanted = count < rate ? count : rate;
    uint64_t owed_ns = bucket->full_ns - now_ns + wanted * CLOCK_NS_PER_SECOND / rate;
    return owed_ns > CLOCK_NS_PER_SECOND ? owed_ns - CLOCK_NS_PER_SECOND : 0;
}

static void bucket_take(struct bucket *bucket, uint64_t rate, uint64_t count, uint64_t now_ns)
{
    if (rate == 0)
        return;
    uint64_t from_ns = bucket->full_ns > now_ns ? bucket->full_ns : now_ns;
    bucket->full_ns = from_ns + count * CLOCK_NS_PER_SECOND / rate;
}

/* --- entries --- */

static bool is_forgettable(const struct quota_entry *entry, uint64_t now_ns)
{
    return entry->streams_rate.full_ns <= now_ns && entry->publish_rate.full_ns <= now_ns;
}

static void set_idle(struct quota *quota, struct quota_entry *entry)
{
    list_append(&quota->idle, &entry->idle);
    quota->idle_count++;
}

static void unset_idle(struct quota *quota, struct quota_entry *entry)
{
    if (!list_linked(&entry->idle))
        return;
    list_remove(&entry->idle);
    quota->idle_count--;
}

static void forget(struct quota *quota, struct quota_entry *entry)
{
    unset_idle(quota, entry);
    map_remove(quota->entries, entry->key, entry->key_length);
    free(entry);
}

/* A few of those that have been idle longest, at each touch, so that nobody ever waits for many. */
static void forget_some(struct quota *quota, uint64_t now_ns)
{
    for (int i = 0; i < 2; i++) {
        struct list *first = list_first(&quota->idle);
        struct quota_entry *entry = first ? LIST_OWNER(first, struct quota_entry, idle) : NULL;
        if (entry && (is_forgettable(entry, now_ns) || quota->idle_count > QUOTA_IDLE_MAX))
            forget(quota, entry);
    }
}

/* The entry, made if there is none; moved to the end of the idle ones unless it has streams. NULL when memory
 * is short. */
static struct quota_entry *want(struct quota *quota, enum entry_kind kind, const void *name, size_t length)
{
    char key[1 + QUOTA_SUBJECT_BYTES_MAX];
    if (length > QUOTA_SUBJECT_BYTES_MAX)
        length = QUOTA_SUBJECT_BYTES_MAX;
    key[0] = (char)kind;
    memcpy(key + 1, name, length);
    struct quota_entry *entry = map_get(quota->entries, key, length + 1);
    if (!entry) {
        entry = calloc(1, sizeof(*entry) + length + 1);
        if (!entry)
            return NULL;
        entry->key_length = (uint32_t)length + 1;
        memcpy(entry->key, key, length + 1);
        if (!map_put(quota->entries, entry->key, entry->key_length, entry)) {
            free(entry);
            return NULL;
        }
    }
    unset_idle(quota, entry);
    if (entry->streams == 0)
        set_idle(quota, entry);
    return entry;
}

static bool applies(const struct quota_address_limit *limit, const struct quota_caller *caller)
{
    return limit->most > 0 && !(limit->spares_loopback && ip_address_is_loopback(&caller->address));
}

static struct quota_entry *want_address(struct quota *quota, const struct quota_caller *caller)
{
    struct ip_address network = caller->address;
    if (!ip_address_is_ip4(&network))
        ip_address_mask(&network, quota->limits.ip6_prefix);
    return want(quota, ENTRY_ADDRESS, network.bytes, sizeof(network.bytes));
}

static void add_stream(struct quota *quota, struct quota_entry *entry)
{
    if (!entry)
        return;
    entry->streams++;
    unset_idle(quota, entry);
}

static void remove_stream(struct quota *quota, struct quota_entry *entry)
{
    if (entry && --entry->streams == 0)
        set_idle(quota, entry);
}

/* --- streams --- */

static bool excess(struct quota_excess *ret_excess, enum limit limit, uint64_t wait_ns)
{
    *ret_excess = (struct quota_excess){ limit, (wait_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS };
    return true;
}

/* Limits of an entry are looked at before the rates, so that a refused stream takes nothing of them. */
static bool stream_is_over(const struct quota *quota, const struct quota_place *place, bool has_count,
                           uint64_t address_rate, uint64_t now_ns, struct quota_excess *ret_excess)
{
    const struct quota_limits *limits = &quota->limits;
    uint64_t wait_ns;
    if (has_count && place->address->streams >= limits->streams_per_address.most)
        return excess(ret_excess, LIMIT_STREAMS_PER_ADDRESS, 0);
    if (place->subject && place->subject->streams >= limits->streams_per_subject)
        return excess(ret_excess, LIMIT_STREAMS_PER_SUBJECT, 0);
    if (address_rate > 0 &&
        (wait_ns = bucket_wait_ns(&place->address->streams_rate, address_rate, 1, now_ns)) > 0)
        return excess(ret_excess, LIMIT_STREAM_RATE_PER_ADDRESS, wait_ns);
    if ((wait_ns = bucket_wait_ns(&quota->streams_rate, limits->stream_rate, 1, now_ns)) > 0)
        return excess(ret_excess, LIMIT_STREAM_RATE, wait_ns);
    return false;
}

static enum quota_verdict take_stream(struct quota *quota, const struct quota_caller *caller, uint64_t now_ns,
                                      struct quota_place *place, struct quota_excess *ret_excess)
{
    const struct quota_limits *limits = &quota->limits;
    bool has_count = applies(&limits->streams_per_address, caller);
    bool has_rate = applies(&limits->stream_rate_per_address, caller);
    uint64_t address_rate = has_rate ? limits->stream_rate_per_address.most : 0;
    if ((has_count || has_rate) && !(place->address = want_address(quota, caller)))
        return QUOTA_NO_MEMORY;
    if (limits->streams_per_subject > 0 && caller->subject &&
        !(place->subject = want(quota, ENTRY_SUBJECT, caller->subject, caller->subject_length)))
        return QUOTA_NO_MEMORY;
    if (stream_is_over(quota, place, has_count, address_rate, now_ns, ret_excess))
        return QUOTA_LIMITED;
    bucket_take(&quota->streams_rate, limits->stream_rate, 1, now_ns);
    if (place->address)
        bucket_take(&place->address->streams_rate, address_rate, 1, now_ns);
    add_stream(quota, place->address);
    add_stream(quota, place->subject);
    /* Where nothing is counted there is nothing to keep. */
    place->is_taken = place->address || place->subject;
    quota->streams += place->is_taken;
    return QUOTA_TAKEN;
}

enum quota_verdict quota_take_stream(struct quota *quota, const struct quota_caller *caller, uint64_t now_ns,
                                     struct quota_place *ret_place, struct quota_excess *ret_excess)
{
    struct quota_place place = { 0 };
    pthread_mutex_lock(&quota->mutex);
    forget_some(quota, now_ns);
    enum quota_verdict verdict = take_stream(quota, caller, now_ns, &place, ret_excess);
    pthread_mutex_unlock(&quota->mutex);
    *ret_place = verdict == QUOTA_TAKEN ? place : (struct quota_place){ 0 };
    return verdict;
}

void quota_release(struct quota *quota, struct quota_place *place, uint64_t now_ns)
{
    if (!place->is_taken)
        return;
    pthread_mutex_lock(&quota->mutex);
    quota->streams--;
    remove_stream(quota, place->address);
    remove_stream(quota, place->subject);
    forget_some(quota, now_ns);
    pthread_mutex_unlock(&quota->mutex);
    *place = (struct quota_place){ 0 };
}

/* --- publishing --- */

static enum quota_verdict take_publish(struct quota *quota, const struct quota_caller *caller,
                                       uint64_t events, uint64_t now_ns, struct quota_excess *ret_excess)
{
    const struct quota_limits *limits = &quota->limits;
    bool has_name = caller->subject != NULL;
    uint64_t rate = has_name ? limits->publish_rate_per_subject
                    : applies(&limits->publish_rate_per_address, caller)
                        ? limits->publish_rate_per_address.most
                        : 0;
    if (rate == 0)
        return QUOTA_TAKEN;
    struct quota_entry *entry = has_name ? want(quota, ENTRY_SUBJECT, caller->subject, caller->subject_length)
                                         : want_address(quota, caller);
    if (!entry)
        return QUOTA_NO_MEMORY;
    uint64_t wait_ns = bucket_wait_ns(&entry->publish_rate, rate, events, now_ns);
    if (wait_ns > 0) {
        excess(ret_excess, has_name ? LIMIT_PUBLISH_RATE_PER_SUBJECT : LIMIT_PUBLISH_RATE_PER_ADDRESS,
               wait_ns);
        return QUOTA_LIMITED;
    }
    bucket_take(&entry->publish_rate, rate, events, now_ns);
    return QUOTA_TAKEN;
}

enum quota_verdict quota_take_publish(struct quota *quota, const struct quota_caller *caller, uint64_t events,
                                      uint64_t now_ns, struct quota_excess *ret_excess)
{
    pthread_mutex_lock(&quota->mutex);
    forget_some(quota, now_ns);
    enum quota_verdict verdict = take_publish(quota, caller, events, now_ns, ret_excess);
    pthread_mutex_unlock(&quota->mutex);
    return verdict;
}

/* --- life --- */

struct quota *quota_create(const struct quota_limits *limits)
{
    struct quota *quota = calloc(1, sizeof(*quota));
    if (!quota)
        return NULL;
    quota->entries = map_create();
    if (!quota->entries || pthread_mutex_init(&quota->mutex, NULL) != 0) {
        map_destroy(quota->entries);
        free(quota);
        return NULL;
    }
    list_init(&quota->idle);
    quota->limits = *limits;
    return quota;
}

void quota_destroy(struct quota *quota)
{
    if (!quota)
        return;
    size_t cursor = 0;
    struct quota_entry *entry;
    while ((entry = map_next(quota->entries, &cursor)) != NULL)
        free(entry);
    map_destroy(quota->entries);
    pthread_mutex_destroy(&quota->mutex);
    free(quota);
}

void quota_set_limits(struct quota *quota, const struct quota_limits *limits)
{
    pthread_mutex_lock(&quota->mutex);
    quota->limits = *limits;
    pthread_mutex_unlock(&quota->mutex);
}

uint64_t quota_streams(struct quota *quota)
{
    pthread_mutex_lock(&quota->mutex);
    uint64_t streams = quota->streams;
    pthread_mutex_unlock(&quota->mutex);
    return streams;
}

size_t quota_entries(struct quota *quota)
{
    pthread_mutex_lock(&quota->mutex);
    size_t entries = map_count(quota->entries);
    pthread_mutex_unlock(&quota->mutex);
    return entries;
}

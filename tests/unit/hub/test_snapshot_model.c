/*
 * The snapshot cache against a model of Redis: a worker stores and publishes, readers and viewers come, and
 * what Redis says arrives by the feed and by the commands' link, each in order but late by any amount. Fixed
 * seeds, so a failure can be repeated.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/snapshot_cache.h"

#define QUEUE_MAX 4096
#define NOTHING 0 /* versions count from 1 */

enum worker_habit {
    SET_THEN_PUBLISH,
    PUBLISH_THEN_SET,
    PUBLISH_AND_SET_SOMETIMES,
    PUBLISH_ONLY,
    WORKER_HABITS,
};

enum feed_kind { FEED_MESSAGE, FEED_FENCE, FEED_INVALIDATION };

struct event {
    enum feed_kind kind;
    uint64_t token;
    unsigned version;
};

struct load {
    uint64_t token;
    unsigned set_version; /* NOTHING: no SET */
    bool only_if_absent;
    bool notify;
    bool executed;
    bool fenced;
    bool tracked;
    unsigned found;
};

struct model {
    uint64_t random;
    struct snapshot_cache *cache;
    struct metrics *metrics;
    uint64_t now_ms;
    /* Redis */
    unsigned key;
    bool key_is_tracked;
    bool skips_own_changes; /* CLIENT TRACKING … NOLOOP */
    bool is_subscribed;     /* to batch:b: somebody views it */
    unsigned last_change;   /* what the header calls the snapshot */
    /* the links, oldest first */
    struct event feed[QUEUE_MAX];
    size_t feed_head, feed_tail;
    bool feed_is_up;
    struct load loads[QUEUE_MAX];
    size_t replied, executed, sent;
    /* the worker */
    enum worker_habit habit;
    unsigned version;
    unsigned step;
    /* what has been seen */
    uint64_t sequence;
    unsigned newest_message;
    unsigned newest_returned;
    bool checks_order;
    size_t open_reads;
    uint64_t seed;
};

static unsigned choose(struct model *model, unsigned count)
{
    model->random = model->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((model->random >> 33) % count);
}

static size_t write_payload(char text[static 32], unsigned version)
{
    return (size_t)snprintf(text, 32, "{\"v\":%u}", version);
}

static unsigned parse_payload(const char *bytes, size_t length)
{
    char text[32] = { 0 };
    cr_assert_lt(length, sizeof(text));
    memcpy(text, bytes, length);
    return (unsigned)strtoul(text + strlen("{\"v\":"), NULL, 10);
}

/* --- Redis --- */

static void feed_put(struct model *model, struct event event)
{
    if (!model->feed_is_up)
        return;
    cr_assert_lt(model->feed_tail, (size_t)QUEUE_MAX);
    model->feed[model->feed_tail++] = event;
}

static void redis_publish(struct model *model, unsigned version)
{
    model->last_change = version;
    if (model->is_subscribed)
        feed_put(model, (struct event){ .kind = FEED_MESSAGE, .version = version });
}

/* True when we are to be told. */
static bool redis_set(struct model *model, unsigned version)
{
    bool was_tracked = model->key_is_tracked;
    model->key = version;
    model->last_change = version;
    model->key_is_tracked = false;
    return was_tracked;
}

static void redis_execute(struct model *model, struct load *load)
{
    bool tells_ourselves = false;
    if (load->set_version != NOTHING && !(load->only_if_absent && model->key != NOTHING))
        tells_ourselves = redis_set(model, load->set_version) && !model->skips_own_changes;
    if (load->notify)
        redis_publish(model, load->set_version);
    load->found = model->key;
    load->tracked = model->feed_is_up;
    model->key_is_tracked = model->feed_is_up;
    load->fenced = model->feed_is_up;
    feed_put(model, (struct event){ .kind = FEED_FENCE, .token = load->token });
    /* What a connection changes itself it is told after its transaction. */
    if (tells_ourselves)
        feed_put(model, (struct event){ .kind = FEED_INVALIDATION });
    load->executed = true;
}

static void worker_set(struct model *model)
{
    if (redis_set(model, model->version))
        feed_put(model, (struct event){ .kind = FEED_INVALIDATION });
}

static void worker_step(struct model *model)
{
    bool begins = model->step++ % 2 == 0;
    if (begins)
        model->version++;
    switch (model->habit) {
    case SET_THEN_PUBLISH:
        if (begins)
            worker_set(model);
        else
            redis_publish(model, model->version);
        break;
    case PUBLISH_AND_SET_SOMETIMES:
    case PUBLISH_THEN_SET:
        if (begins)
            redis_publish(model, model->version);
        else if (model->habit == PUBLISH_THEN_SET || model->version % 4 == 0)
            worker_set(model);
        break;
    case PUBLISH_ONLY:
    case WORKER_HABITS:
        if (begins)
            redis_publish(model, model->version);
        break;
    }
}

/* --- the gateway --- */

static bool model_load(void *context, const char *id, size_t id_length, uint64_t token, const char *value,
                       size_t value_length, uint64_t redis_ttl_ms, bool only_if_absent, bool notify)
{
    struct model *model = context;
    (void)id;
    (void)id_length;
    (void)redis_ttl_ms;
    cr_assert_lt(model->sent, (size_t)QUEUE_MAX, "loads without end, seed %lu", (unsigned long)model->seed);
    model->loads[model->sent++] =
        (struct load){ .token = token,
                       .set_version = value ? parse_payload(value, value_length) : NOTHING,
                       .only_if_absent = only_if_absent,
                       .notify = notify };
    return true;
}

static bool model_fetch(void *context, const char *id, size_t id_length, uint64_t token)
{
    (void)context;
    (void)id;
    (void)id_length;
    (void)token;
    return false;
}

static void deliver_feed(struct model *model)
{
    struct event event = model->feed[model->feed_head++];
    char text[32];
    switch (event.kind) {
    case FEED_MESSAGE:
        model->sequence++;
        if (event.version > model->newest_message)
            model->newest_message = event.version;
        snapshot_cache_live(model->cache, "b", 1, text, write_payload(text, event.version), PAYLOAD_OBJECT,
                            model->sequence, model->now_ms);
        break;
    case FEED_FENCE:
        snapshot_cache_fenced(model->cache, event.token, model->sequence, model->now_ms);
        break;
    case FEED_INVALIDATION:
        snapshot_cache_invalidated(model->cache, "b", 1, model->sequence);
        break;
    }
}

static void deliver_reply(struct model *model)
{
    struct load *load = &model->loads[model->replied++];
    char text[32];
    size_t length = write_payload(text, load->found);
    snapshot_cache_loaded(model->cache, load->token,
                          load->found == NOTHING ? SNAPSHOT_ABSENT : SNAPSHOT_FOUND, text,
                          load->found == NOTHING ? 0 : length, load->tracked, load->fenced, model->now_ms);
}

static void check_answer(struct model *model, enum snapshot_status status, const struct snapshot *snapshot,
                         bool is_viewer)
{
    cr_assert_gt(model->open_reads, 0);
    model->open_reads--;
    if (!model->checks_order)
        return;
    cr_assert_neq(status, SNAPSHOT_UNAVAILABLE, "seed %lu", (unsigned long)model->seed);
    unsigned version = snapshot ? parse_payload(snapshot->bytes, snapshot->length) : NOTHING;
    cr_assert_geq(version, model->newest_returned, "%u after %u, seed %lu", version, model->newest_returned,
                  (unsigned long)model->seed);
    /* What was published before is not repeated to a viewer that joins, so it has to be in the snapshot. */
    if (is_viewer)
        cr_assert_geq(version, model->newest_message, "a viewer joins at %u behind message %u, seed %lu",
                      version, model->newest_message, (unsigned long)model->seed);
    model->newest_returned = version;
}

static void on_read(void *context, enum snapshot_status status, const struct snapshot *snapshot)
{
    check_answer(context, status, snapshot, false);
}

static void on_joined(void *context, enum snapshot_status status, const struct snapshot *snapshot)
{
    check_answer(context, status, snapshot, true);
}

static void read_snapshot(struct model *model, bool is_viewer)
{
    model->open_reads++;
    cr_assert(snapshot_cache_read(model->cache, "b", 1, is_viewer ? model->sequence : 0, true, model->now_ms,
                                  is_viewer ? on_joined : on_read, model));
}

static void put_snapshot(struct model *model)
{
    char text[32];
    size_t length = write_payload(text, ++model->version);
    model->open_reads++;
    cr_assert(snapshot_cache_store(model->cache, "b", 1, text, length, model->now_ms, on_read, model));
}

static void lose_feed(struct model *model)
{
    model->feed_is_up = false;
    model->feed_head = model->feed_tail;
    model->key_is_tracked = false;
    for (size_t i = model->replied; i < model->executed; i++)
        model->loads[i].fenced = model->loads[i].tracked = false;
    snapshot_cache_feed_down(model->cache, model->now_ms);
}

static void return_feed(struct model *model)
{
    model->feed_is_up = true;
    model->sequence++;
    snapshot_cache_feed_up(model->cache);
}

/* One thing happens: what is picked may not be possible, then nothing does. */
static void advance(struct model *model, unsigned what)
{
    if (what < 3) {
        worker_step(model);
    } else if (what < 6) {
        if (model->executed < model->sent)
            redis_execute(model, &model->loads[model->executed++]);
    } else if (what < 9) {
        if (model->feed_head < model->feed_tail)
            deliver_feed(model);
    } else if (what < 11) {
        if (model->replied < model->executed)
            deliver_reply(model);
    } else {
        read_snapshot(model, model->is_subscribed && what % 2);
    }
}

static void settle(struct model *model)
{
    while (model->executed < model->sent || model->feed_head < model->feed_tail ||
           model->replied < model->executed)
        advance(model, 3 + choose(model, 8));
}

struct final_read {
    unsigned version;
    bool is_read;
};

static void on_final(void *context, enum snapshot_status status, const struct snapshot *snapshot)
{
    struct final_read *final = context;
    cr_assert_neq(status, SNAPSHOT_UNAVAILABLE);
    final->version = snapshot ? parse_payload(snapshot->bytes, snapshot->length) : NOTHING;
    final->is_read = true;
}

static void check_final(struct model *model)
{
    settle(model);
    cr_assert_eq(model->open_reads, 0, "somebody waits for ever, seed %lu", (unsigned long)model->seed);
    for (uint64_t since = 0; since <= 1; since++) {
        struct final_read final = { 0 };
        cr_assert(snapshot_cache_read(model->cache, "b", 1, since ? model->sequence + 1 : 0, true,
                                      model->now_ms, on_final, &final));
        settle(model);
        cr_assert(final.is_read);
        cr_assert_eq(final.version, model->last_change, "%u instead of %u, habit %d, seed %lu", final.version,
                     model->last_change, (int)model->habit, (unsigned long)model->seed);
        model->sequence++;
    }
}

static struct model *model_create(uint64_t seed)
{
    struct snapshot_cache_options options = {
        .ttl_ms = 10000, .ttl_moving_ms = 2000, .ttl_idle_ms = 60000, .entries_max = 10, .bytes_max = 1 << 20
    };
    struct model *model = calloc(1, sizeof(*model));
    cr_assert_not_null(model);
    struct snapshot_source source = { .load = model_load, .fetch_origin = model_fetch, .context = model };
    model->metrics = calloc(1, sizeof(*model->metrics));
    cr_assert_not_null(model->metrics);
    model->cache = snapshot_cache_create(&options, &source, model->metrics);
    cr_assert_not_null(model->cache);
    model->seed = seed;
    model->random = seed * UINT64_C(0x9E3779B97F4A7C15);
    model->now_ms = 1000000;
    model->sequence = 1;
    model->habit = (enum worker_habit)(seed % WORKER_HABITS);
    model->skips_own_changes = seed / WORKER_HABITS % 2;
    model->checks_order = true;
    model->is_subscribed = true;
    return_feed(model);
    return model;
}

static void model_destroy(struct model *model)
{
    snapshot_cache_destroy(model->cache);
    free(model->metrics);
    free(model);
}

/* How often each thing happens varies with the seed, so that either link may lag far behind. */
static unsigned choose_next(struct model *model)
{
    unsigned favourite = (unsigned)(model->seed / 8 % 5) * 3;
    return choose(model, 4) == 0 ? (favourite + choose(model, 3)) % 15 : choose(model, 15);
}

Test(snapshot_model, no_reader_sees_a_step_back)
{
    for (uint64_t seed = 0; seed < 4000; seed++) {
        struct model *model = model_create(seed);
        model->is_subscribed = seed / 3 % 2;
        for (int i = 0; i < 300; i++) {
            advance(model, choose_next(model));
            model->is_subscribed |= choose(model, 30) == 0;
        }
        do {
            worker_step(model);
        } while (model->step % 2 != 0);
        check_final(model);
        model_destroy(model);
    }
}

Test(snapshot_model, put_and_worker_together)
{
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct model *model = model_create(seed);
        model->checks_order = false; /* two writers have no common order of versions */
        for (int i = 0; i < 200; i++) {
            if (choose(model, 20) == 0)
                put_snapshot(model);
            else
                advance(model, choose_next(model));
        }
        settle(model);
        model->step += model->step % 2;
        model->version++;
        put_snapshot(model);
        check_final(model);
        model_destroy(model);
    }
}

Test(snapshot_model, the_feed_comes_and_goes)
{
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct model *model = model_create(seed);
        model->checks_order = false; /* what is published meanwhile is lost */
        if (model->habit == PUBLISH_ONLY || model->habit == PUBLISH_AND_SET_SOMETIMES)
            model->habit = SET_THEN_PUBLISH;
        for (int i = 0; i < 300; i++) {
            if (choose(model, 25) > 0)
                advance(model, choose_next(model));
            else if (model->feed_is_up)
                lose_feed(model);
            else
                return_feed(model);
        }
        while (model->step % 2 != 0)
            worker_step(model);
        if (!model->feed_is_up)
            return_feed(model);
        check_final(model);
        model_destroy(model);
    }
}

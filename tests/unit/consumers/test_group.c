/* Groups against a Redis that says what the test wants: what is asked for when, and what its answers mean. */
#include "consumers/group.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "consumers/group_script.h"
#include "fake_redis.h"

#define TAKEN_MAX 64

/* A consumer's owner. */
struct worker {
    struct group_consumer *consumer;
    bool is_ready, has_ended;
    enum consumer_end end;
    char taken[TAKEN_MAX][32]; /* "id deliveries json" */
    size_t taken_count;
    char gap[32];
    size_t pause_after; /* pauses when it has taken so many */
    bool leaves;        /* inside on_entry */
};

static struct event_base *base;
static struct commands redis;
static struct groups *groups;
static struct metrics *metrics;
static int watches;

static bool watch(void *context, const char *stream, size_t length)
{
    (void)context;
    cr_assert_eq(length, 1);
    cr_assert_eq(*stream, 's');
    watches++;
    return true;
}

static void unwatch(void *context, const char *stream, size_t length)
{
    (void)context;
    (void)stream;
    (void)length;
    watches--;
}

static void setup(void)
{
    const struct groups_source source = { .watch = watch, .unwatch = unwatch };
    base = event_base_new();
    metrics = metrics_create();
    groups = groups_create(base, &redis, &source, metrics, NULL);
    cr_assert_not_null(groups);
}

static void teardown(void)
{
    groups_stop(groups);
    while (fake_waiting(&redis))
        fake_answer(&redis, COMMANDS_UNSENT, FAKE_NIL);
    groups_destroy(groups);
    metrics_destroy(metrics);
    fake_clear(&redis);
    event_base_free(base);
}

TestSuite(group, .init = setup, .fini = teardown);

static void on_ready(void *context)
{
    struct worker *worker = context;
    cr_assert(!worker->is_ready);
    worker->is_ready = true;
}

static void on_entry(void *context, const struct group_entry *entry)
{
    struct worker *worker = context;
    cr_assert_lt(worker->taken_count, TAKEN_MAX);
    snprintf(worker->taken[worker->taken_count], sizeof(worker->taken[0]), "%llu-%llu %llu %.*s",
             (unsigned long long)entry->id.ms, (unsigned long long)entry->id.sequence,
             (unsigned long long)entry->deliveries, (int)entry->json_length, entry->json);
    worker->taken_count++;
    if (worker->taken_count == worker->pause_after)
        group_consumer_pause(worker->consumer);
    if (worker->leaves)
        group_consumer_leave(worker->consumer);
}

static void on_gap(void *context, const char *reason, uint64_t missing)
{
    struct worker *worker = context;
    snprintf(worker->gap, sizeof(worker->gap), "%s %llu", reason, (unsigned long long)missing);
}

static void on_ended(void *context, enum consumer_end end, const char *problem)
{
    struct worker *worker = context;
    cr_assert_not_null(problem);
    cr_assert(!worker->has_ended);
    worker->has_ended = true;
    worker->end = end;
}

static void consume(struct worker *worker, const char *name, size_t prefetch)
{
    const struct consumer_request request = {
        .stream = "s",
        .stream_length = 1,
        .group = "g",
        .group_length = 1,
        .consumer = name,
        .consumer_length = strlen(name),
        .start = GROUP_START_NEW,
        .prefetch = prefetch,
        .idle_ms = 60000,
        .max_deliveries = 5,
    };
    const struct consumer_events events = {
        .on_ready = on_ready, .on_entry = on_entry, .on_gap = on_gap, .on_ended = on_ended, .context = worker
    };
    worker->consumer = groups_consume(groups, &request, &events);
    cr_assert_not_null(worker->consumer);
}

/* The words of the oldest request: those of a script without its text. */
static void check_asked(const char *words)
{
    const struct fake_request *request = fake_request(&redis);
    struct buffer text = { 0 };
    for (int i = 0; i < request->count; i++)
        buffer_printf(&text, "%s%s", i ? " " : "", request->arguments[i]);
    cr_assert_eq(text.size, strlen(words), "asked: %.*s", (int)text.size, text.data);
    cr_assert_eq(memcmp(text.data, words, text.size), 0, "asked: %.*s", (int)text.size, text.data);
    buffer_free(&text);
}

static void answer_created(int64_t made, const char *position)
{
    fake_answer(&redis, COMMANDS_OK, FAKE_ARRAY(fake_integer(made), fake_text(position)));
}

static void answer_nothing_claimed(void)
{
    fake_answer(&redis, COMMANDS_OK,
                FAKE_ARRAY(FAKE_EMPTY, FAKE_EMPTY, fake_integer(0), fake_integer(0), fake_integer(0),
                           fake_integer(0), fake_text(""), fake_text("")));
}

static struct reply fields_reply(void)
{
    static struct reply parts[2];
    parts[0] = fake_text("n");
    parts[1] = fake_text("v");
    return fake_array(parts, 2);
}

/* XREADGROUP's reply with the entries first-0, first+1-0, … */
static void answer_read(unsigned first, size_t count)
{
    static char texts[TAKEN_MAX][24];
    static struct reply pairs[TAKEN_MAX][2], entries[TAKEN_MAX];
    for (size_t i = 0; i < count; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%zu-0", first + i);
        pairs[i][0] = fake_text(texts[i]);
        pairs[i][1] = fields_reply();
        entries[i] = fake_array(pairs[i], 2);
    }
    struct reply stream = FAKE_ARRAY(fake_text("s"), fake_array(entries, count));
    fake_answer(&redis, COMMANDS_OK, FAKE_ARRAY(stream));
}

/* A consumer with nothing pending, about to read. */
static void bring_up(struct worker *worker, const char *name, size_t prefetch)
{
    consume(worker, name, prefetch);
    answer_created(1, "0-0");
    cr_assert(worker->is_ready);
    group_consumer_start(worker->consumer);
    answer_nothing_claimed(); /* its own */
    answer_nothing_claimed(); /* others' */
}

static void leave(struct worker *worker)
{
    group_consumer_leave(worker->consumer);
}

/* --- the way up --- */

Test(group, made_then_own_then_others_then_new)
{
    struct worker worker = { 0 };
    consume(&worker, "w", 10);
    cr_assert_eq(watches, 1);
    check_asked("s g $");
    answer_created(1, "7-0");
    cr_assert(worker.is_ready);
    cr_assert_eq(fake_waiting(&redis), 0, "nothing is read before the start");
    group_consumer_start(worker.consumer);
    check_asked("s s:dead g w  (0-0 10 5");
    answer_nothing_claimed();
    check_asked("s s:dead g w 60000 (0-0 10 5");
    answer_nothing_claimed();
    check_asked("XREADGROUP GROUP g w COUNT 10 STREAMS s >");
    answer_read(8, 2);
    cr_assert_eq(worker.taken_count, 2);
    cr_assert_str_eq(worker.taken[0], "8-0 1 {\"n\":\"v\"}");
    cr_assert_eq(fake_waiting(&redis), 0, "that was all");
    cr_assert_eq(metrics->group_deliveries, 2);
    cr_assert_eq(metrics->group_consumers, 1);
    leave(&worker);
    cr_assert_eq(metrics->group_consumers, 0);
    cr_assert_eq(watches, 0);
}

Test(group, redis_away_ready_all_the_same)
{
    struct worker worker = { 0 };
    consume(&worker, "w", 10);
    fake_answer(&redis, COMMANDS_UNSENT, FAKE_NIL);
    cr_assert(worker.is_ready);
    cr_assert(!worker.has_ended);
    group_consumer_start(worker.consumer);
    cr_assert_eq(fake_waiting(&redis), 0, "it waits before it asks again");
    leave(&worker);
}

Test(group, no_stream_ends_it)
{
    struct worker worker = { 0 };
    consume(&worker, "w", 10);
    fake_answer(&redis, COMMANDS_ERROR,
                fake_error("WRONGTYPE Operation against a key holding the wrong kind of value"));
    cr_assert(worker.has_ended);
    cr_assert_eq(worker.end, CONSUMER_END_WRONG_TYPE);
    cr_assert(!worker.is_ready);
    cr_assert_eq(watches, 0);
    cr_assert_eq(metrics->group_consumers, 0);
}

Test(group, not_permitted_ends_it)
{
    struct worker worker = { 0 };
    consume(&worker, "w", 10);
    fake_answer(&redis, COMMANDS_ERROR, fake_error("NOPERM this user has no permissions"));
    cr_assert_eq(worker.end, CONSUMER_END_REFUSED);
}

Test(group, not_permitted_inside_of_a_script_ends_it)
{
    struct worker worker = { 0 };
    consume(&worker, "w", 10);
    fake_answer(&redis, COMMANDS_ERROR,
                fake_error("ERR The user executing the script can't run this command or subcommand script: "
                           "783fb6bc4eb11fe29ac3bb74a668287073688f0d, on @user_script:1."));
    cr_assert(worker.has_ended);
    cr_assert_eq(worker.end, CONSUMER_END_REFUSED);
}

/* --- room --- */

Test(group, no_more_than_prefetch)
{
    struct worker worker = { 0 };
    bring_up(&worker, "w", 3);
    check_asked("XREADGROUP GROUP g w COUNT 3 STREAMS s >");
    answer_read(1, 3);
    cr_assert_eq(fake_waiting(&redis), 0, "there is no room");

    const struct entry_id done[] = { { .ms = 1 }, { .ms = 3 } };
    cr_assert(group_consumer_ack(worker.consumer, done, 2, NULL, NULL));
    check_asked("s g 1-0 3-0  ");
    fake_answer(&redis, COMMANDS_OK, FAKE_ARRAY(fake_integer(1), fake_integer(1)));
    cr_assert_eq(metrics->group_acks, 2);
    check_asked("XREADGROUP GROUP g w COUNT 2 STREAMS s >");
    answer_read(4, 1);
    cr_assert_eq(fake_waiting(&redis), 0);
    leave(&worker);
}

Test(group, a_fair_share_and_whoever_was_asked_longest_ago)
{
    struct worker one = { 0 }, two = { 0 };
    bring_up(&one, "1", 10);
    fake_answer(&redis, COMMANDS_OK, FAKE_NIL);
    consume(&two, "2", 10);
    group_consumer_start(two.consumer);
    answer_created(0, "0-0");
    answer_nothing_claimed();
    answer_nothing_claimed();
    check_asked("XREADGROUP GROUP g 1 COUNT 5 STREAMS s >");
    answer_read(1, 5);
    check_asked("XREADGROUP GROUP g 2 COUNT 5 STREAMS s >");
    answer_read(6, 2);
    cr_assert_eq(one.taken_count, 5);
    cr_assert_eq(two.taken_count, 2);
    leave(&one);
    leave(&two);
}

Test(group, news_while_reading_is_not_missed)
{
    struct worker worker = { 0 };
    bring_up(&worker, "w", 10);
    groups_stream_changed(groups, "s", 1);
    groups_stream_changed(groups, "other", 5);
    answer_read(1, 1);
    cr_assert_eq(fake_waiting(&redis), 1, "something may have come behind the reply");
    fake_answer(&redis, COMMANDS_OK, FAKE_NIL);
    cr_assert_eq(fake_waiting(&redis), 0);
    groups_stream_changed(groups, "s", 1);
    check_asked("XREADGROUP GROUP g w COUNT 9 STREAMS s >");
    leave(&worker);
}

Test(group, what_a_paused_consumer_cannot_take_goes_to_others)
{
    struct worker worker = { .pause_after = 2 };
    bring_up(&worker, "w", 10);
    answer_read(1, 4);
    cr_assert_eq(worker.taken_count, 2);
    check_asked("s g 3-0 4-0  w");
    leave(&worker);
}

Test(group, leaving_inside_its_own_callback)
{
    struct worker worker = { .leaves = true };
    bring_up(&worker, "w", 10);
    answer_read(1, 3);
    cr_assert_eq(worker.taken_count, 1);
    check_asked("s g w");
    cr_assert_eq(redis.requests[redis.count - 1].arguments[2][0], '2', "the others are given back");
    cr_assert_eq(watches, 0);
}

Test(group, leaving_while_a_read_is_under_way)
{
    struct worker worker = { 0 };
    bring_up(&worker, "w", 10);
    struct fake_request read = *fake_request(&redis);
    leave(&worker);
    cr_assert_eq(watches, 1, "the group stays for its answer");
    cr_assert_eq(fake_waiting(&redis), 2);
    cr_assert_str_eq(read.arguments[0], "XREADGROUP");
    answer_read(1, 2);
    cr_assert_eq(worker.taken_count, 0);
    cr_assert_eq(watches, 0);
    cr_assert_str_eq(redis.requests[redis.count - 1].arguments[2], "1-0 2-0 ");
}

/* --- losses --- */

Test(group, a_lost_read_is_recovered_behind_what_was_seen)
{
    struct worker worker = { 0 };
    bring_up(&worker, "w", 10);
    answer_read(1, 10);
    const struct entry_id done = { .ms = 4 };
    cr_assert(group_consumer_ack(worker.consumer, &done, 1, NULL, NULL));
    fake_answer(&redis, COMMANDS_OK, FAKE_ARRAY(fake_integer(1)));
    fake_answer(&redis, COMMANDS_UNCERTAIN, FAKE_NIL);
    cr_assert_eq(fake_waiting(&redis), 0, "it waits before it asks again");
    event_base_loop(base, EVLOOP_ONCE);
    check_asked("s s:dead g w  (10-0 1 5");
    leave(&worker);
}

Test(group, a_vanished_group_is_made_again_before_what_was_in_flight)
{
    struct worker worker = { 0 };
    bring_up(&worker, "w", 3);
    answer_read(5, 3);
    const struct entry_id done = { .ms = 5 };
    cr_assert(group_consumer_ack(worker.consumer, &done, 1, NULL, NULL));
    fake_answer(&redis, COMMANDS_OK, FAKE_ARRAY(fake_integer(1)));
    fake_answer(&redis, COMMANDS_ERROR, fake_error("NOGROUP No such key 's' or consumer group 'g'"));
    check_asked("s g 5-18446744073709551615");
    answer_created(1, "5-18446744073709551615");
    cr_assert_str_eq(worker.gap, "group-reset 0");
    check_asked("XREADGROUP GROUP g w COUNT 3 STREAMS s >");
    answer_read(6, 2);
    cr_assert_eq(worker.taken_count, 5);
    leave(&worker);
}

Test(group, the_newer_of_two_under_one_name_replaces_the_older)
{
    struct worker older = { 0 }, newer = { 0 };
    bring_up(&older, "w", 3);
    answer_read(1, 2);
    consume(&newer, "w", 3);
    cr_assert(older.has_ended);
    cr_assert_eq(older.end, CONSUMER_END_REPLACED);
    cr_assert_eq(metrics->group_consumers, 1);
    answer_created(0, "2-0");
    cr_assert(newer.is_ready);
    cr_assert_str_eq(older.gap, "");
    group_consumer_start(newer.consumer);
    check_asked("s s:dead g w  (0-0 3 5");
    leave(&newer);
}

/* --- claims --- */

Test(group, claimed_entries_come_with_their_deliveries)
{
    struct worker worker = { 0 };
    consume(&worker, "w", 2);
    answer_created(0, "9-0");
    group_consumer_start(worker.consumer);
    struct reply first = FAKE_ARRAY(fake_text("3-1"), fake_integer(2), fields_reply());
    struct reply entries = FAKE_ARRAY(first);
    struct reply ended = FAKE_ARRAY(fake_text("2-0"));
    fake_answer(&redis, COMMANDS_OK,
                FAKE_ARRAY(entries, ended, fake_integer(1), fake_integer(0), fake_integer(0), fake_integer(2),
                           fake_text("3-1"), fake_text("")));
    cr_assert_eq(worker.taken_count, 1);
    cr_assert_str_eq(worker.taken[0], "3-1 2 {\"n\":\"v\"}");
    cr_assert_eq(metrics->group_dead_letters, 1);
    cr_assert_eq(metrics->group_claims, 0);
    check_asked("s s:dead g w  (3-1 1 5");
    leave(&worker);
}

Test(group, what_was_deleted_is_told)
{
    struct worker worker = { 0 };
    consume(&worker, "w", 2);
    answer_created(0, "9-0");
    group_consumer_start(worker.consumer);
    struct reply ended = FAKE_ARRAY(fake_text("2-0"), fake_text("3-0"));
    fake_answer(&redis, COMMANDS_OK,
                FAKE_ARRAY(FAKE_EMPTY, ended, fake_integer(0), fake_integer(2), fake_integer(0),
                           fake_integer(2), fake_text("3-0"), fake_text("")));
    cr_assert_str_eq(worker.gap, "trimmed 2");
    leave(&worker);
}

Test(group, a_nack_makes_others_look_at_once)
{
    struct worker one = { 0 }, two = { 0 };
    bring_up(&one, "1", 1);
    answer_read(1, 1);
    consume(&two, "2", 1);
    group_consumer_start(two.consumer);
    answer_created(0, "1-0");
    answer_nothing_claimed();
    answer_nothing_claimed();
    fake_answer(&redis, COMMANDS_OK, FAKE_NIL);
    cr_assert_eq(fake_waiting(&redis), 0);

    const struct entry_id id = { .ms = 1 };
    cr_assert(group_consumer_nack(one.consumer, &id, 1, NULL, NULL));
    check_asked("s g 1-0  1");
    fake_answer(&redis, COMMANDS_OK, FAKE_ARRAY(fake_integer(1)));
    cr_assert_eq(metrics->group_nacks, 1);
    cr_assert_eq(fake_request(&redis)->count, 8, "a claim");
    leave(&one);
    leave(&two);
}

/* --- acknowledging --- */

struct outcome {
    unsigned calls;
    enum group_ids_status status;
    bool done[2];
};

static void on_outcome(void *context, enum group_ids_status status, const bool *done, size_t count,
                       const char *problem)
{
    struct outcome *outcome = context;
    cr_assert_not_null(problem);
    cr_assert_eq(count, 2);
    outcome->calls++;
    outcome->status = status;
    cr_assert_eq(done != NULL, status == GROUP_IDS_DONE);
    if (done)
        memcpy(outcome->done, done, sizeof(outcome->done));
}

static struct outcome ack(enum commands_status status, struct reply reply)
{
    static const struct entry_id ids[] = { { .ms = 1 }, { .ms = 2 } };
    const struct group_ids request = {
        .stream = "s", .stream_length = 1, .group = "g", .group_length = 1, .ids = ids, .count = 2
    };
    struct outcome outcome = { 0 };
    cr_assert(groups_ack(groups, &request, on_outcome, &outcome));
    cr_assert_eq(outcome.calls, 0);
    fake_answer(&redis, status, reply);
    cr_assert_eq(outcome.calls, 1);
    return outcome;
}

Test(group, outcomes_of_an_ack)
{
    struct outcome some = ack(COMMANDS_OK, FAKE_ARRAY(fake_integer(0), fake_integer(1)));
    cr_assert_eq(some.status, GROUP_IDS_DONE);
    cr_assert(!some.done[0]);
    cr_assert(some.done[1]);
    cr_assert_eq(ack(COMMANDS_ERROR, fake_error("NOGROUP No such key")).status, GROUP_IDS_NO_GROUP);
    cr_assert_eq(ack(COMMANDS_ERROR, fake_error("ERR Error running script: NOGROUP No such")).status,
                 GROUP_IDS_NO_GROUP);
    cr_assert_eq(ack(COMMANDS_ERROR, fake_error("WRONGTYPE Operation")).status, GROUP_IDS_WRONG_TYPE);
    cr_assert_eq(ack(COMMANDS_ERROR, fake_error("NOPERM no")).status, GROUP_IDS_REFUSED);
    cr_assert_eq(ack(COMMANDS_ERROR, fake_error("LOADING data")).status, GROUP_IDS_UNAVAILABLE);
    cr_assert_eq(ack(COMMANDS_UNCERTAIN, FAKE_NIL).status, GROUP_IDS_UNAVAILABLE);
    cr_assert_eq(ack(COMMANDS_UNSENT, FAKE_NIL).status, GROUP_IDS_UNAVAILABLE);
}

Test(group, memory_is_short)
{
    static const struct entry_id id = { .ms = 1 };
    const struct group_ids request = {
        .stream = "s", .stream_length = 1, .group = "g", .group_length = 1, .ids = &id, .count = 1
    };
    redis.refuses = true;
    cr_assert(!groups_ack(groups, &request, on_outcome, NULL));
    cr_assert(!groups_nack(groups, &request, on_outcome, NULL));
    struct worker worker = { 0 };
    consume(&worker, "w", 3);
    group_consumer_start(worker.consumer);
    redis.refuses = false;
    event_base_loop(base, EVLOOP_ONCE);
    check_asked("s g $");
    leave(&worker);
}

/* --- replies --- */

Test(group, replies_that_are_none)
{
    struct group_claimed claimed;
    struct entry_id position;
    bool made;
    struct reply nil = FAKE_NIL, empty = FAKE_EMPTY, text = fake_text("OK");
    cr_assert(!group_script_read_claim(&nil, &claimed));
    cr_assert(!group_script_read_claim(&empty, &claimed));
    cr_assert(!group_script_read_create(&text, &made, &position));
    struct reply short_one = FAKE_ARRAY(fake_integer(1));
    cr_assert(!group_script_read_create(&short_one, &made, &position));
    struct reply no_id = FAKE_ARRAY(fake_integer(1), fake_text("x"));
    cr_assert(!group_script_read_create(&no_id, &made, &position));
    struct reply no_last = FAKE_ARRAY(FAKE_EMPTY, FAKE_EMPTY, fake_integer(0), fake_integer(0),
                                      fake_integer(0), fake_integer(1), fake_text("x"), fake_text(""));
    cr_assert(!group_script_read_claim(&no_last, &claimed));
}

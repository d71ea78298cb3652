#include "hub/dispatcher.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/snapshot_cache.h"

/* Two ports that write down what they are told, and a feed that writes down what it is asked. */

#define HUBS 2
#define TOLD_MAX 4096

struct hub_stub {
    struct dispatcher_port *port;
    char told[TOLD_MAX];
    uint64_t sequence, generation;
};

static struct event_base *base;
static struct metrics *metrics;
static struct dispatcher *dispatcher;
static struct hub_stub hubs[HUBS];
static char asked[TOLD_MAX];
static bool is_refusing;
static bool is_memory_short; /* or the port's thread is behind */

static bool ask(void *context, enum topic_kind kind, const char *name, size_t length)
{
    (void)context;
    snprintf(asked + strlen(asked), sizeof(asked) - strlen(asked), "+%s%.*s ",
             kind == TOPIC_PATTERN ? "p:" : "", (int)length, name);
    return !is_refusing;
}

static void end(void *context, enum topic_kind kind, const char *name, size_t length)
{
    (void)context, (void)kind;
    snprintf(asked + strlen(asked), sizeof(asked) - strlen(asked), "-%.*s ", (int)length, name);
}

static void write_down(struct hub_stub *hub, const struct hub_event *event)
{
    static const char *const names[] = {
        [HUB_FEED_UP] = "up",          [HUB_FEED_DOWN] = "down",
        [HUB_CONFIRMED] = "confirmed", [HUB_REFUSED] = "refused",
        [HUB_PUT_OFF] = "put-off",     [HUB_MESSAGE] = "",
        [HUB_LIVE] = "live",           [HUB_WATCHED] = "watched",
        [HUB_ENTRY] = "entry",         [HUB_STREAM_BROKEN] = "broken",
        [HUB_FENCE] = "fence",         [HUB_INVALIDATED] = "invalidated",
        [HUB_CAUGHT_UP] = "caught-up", [HUB_LOST] = "lost",
    };
    char *to = hub->told + strlen(hub->told);
    size_t room = TOLD_MAX - strlen(hub->told);
    cr_expect_geq(event->sequence, hub->sequence, "never back");
    hub->sequence = event->sequence;
    hub->generation = event->generation;
    to += snprintf(to, room, "%s", names[event->kind]);
    for (size_t i = 0; i < event->kept_count; i++)
        to += snprintf(to, 64, "<%.*s", (int)event->kept[i]->payload_length, message_payload(event->kept[i]));
    if (event->message)
        to += snprintf(to, 64, "%.*s", (int)event->message->payload_length, message_payload(event->message));
    snprintf(to, 64, "@%llu ", (unsigned long long)event->sequence);
}

static bool deliver(void *context, struct hub_events *events)
{
    if (is_memory_short)
        return false;
    size_t cursor = 0;
    struct hub_event event;
    while (hub_events_next(events, &cursor, &event))
        write_down(context, &event);
    hub_events_clear(events);
    return true;
}

static void turn(void)
{
    dispatcher_turn_end(dispatcher);
    event_base_loop(base, EVLOOP_NONBLOCK);
}

static void open_dispatcher(void)
{
    const struct dispatcher_options options = { .replay_messages = 2, .replay_bytes = 1 << 20 };
    const struct dispatcher_source source = { .subscribe = ask, .unsubscribe = end };
    base = event_base_new();
    metrics = metrics_create();
    dispatcher = dispatcher_create(base, &options, &source, metrics);
    cr_assert_not_null(dispatcher);
    for (size_t i = 0; i < HUBS; i++)
        hubs[i].port = dispatcher_add_port(dispatcher, deliver, &hubs[i]);
    dispatcher_feed_up(dispatcher, 7);
    turn();
}

static void close_dispatcher(void)
{
    dispatcher_destroy(dispatcher);
    metrics_destroy(metrics);
    event_base_free(base);
}

TestSuite(dispatcher, .init = open_dispatcher, .fini = close_dispatcher);

static struct dispatcher_wish wish(const struct hub_stub *hub, const char *name)
{
    return (struct dispatcher_wish){ .kind = TOPIC_CHANNEL,
                                     .interest = INTEREST_HUB,
                                     .name = name,
                                     .length = strlen(name),
                                     .generation = hub->generation };
}

static bool want(struct hub_stub *hub, const char *name)
{
    const struct dispatcher_wish wanted = wish(hub, name);
    return dispatcher_want(dispatcher, hub->port, &wanted);
}

static void leave(struct hub_stub *hub, const char *name)
{
    const struct dispatcher_wish wanted = wish(hub, name);
    dispatcher_leave(dispatcher, hub->port, &wanted);
}

static void confirm(const char *name)
{
    dispatcher_confirmed(dispatcher, TOPIC_CHANNEL, name, strlen(name));
}

static void say(const char *channel, const char *payload)
{
    dispatcher_message(dispatcher, TOPIC_CHANNEL, channel, strlen(channel), channel, strlen(channel), payload,
                       strlen(payload));
}

static void forget(void)
{
    for (size_t i = 0; i < HUBS; i++)
        hubs[i].told[0] = '\0';
    asked[0] = '\0';
}

Test(dispatcher, one_subscription_however_many_want_it)
{
    cr_expect(want(&hubs[0], "a"));
    cr_expect(want(&hubs[1], "a"));
    cr_expect_str_eq(asked, "+a ");
    cr_expect_eq(metrics->redis_subscriptions, 1u);
    confirm("a");
    say("a", "x");
    turn();
    for (size_t i = 0; i < HUBS; i++)
        cr_expect_str_eq(hubs[i].told, "up@1 confirmed@2 x@3 ");
    leave(&hubs[0], "a");
    cr_expect_str_eq(asked, "+a ");
    say("a", "y");
    leave(&hubs[1], "a");
    cr_expect_str_eq(asked, "+a -a ");
    cr_expect_eq(metrics->redis_subscriptions, 0u);
    turn();
    cr_expect_str_eq(hubs[0].told, "up@1 confirmed@2 x@3 ", "it had left");
    cr_expect_str_eq(hubs[1].told, "up@1 confirmed@2 x@3 y@4 ");
}

Test(dispatcher, who_comes_later_is_given_what_is_kept)
{
    want(&hubs[0], "a");
    confirm("a");
    say("a", "1");
    say("a", "2");
    say("a", "3");
    turn();
    forget();
    want(&hubs[1], "a");
    turn();
    cr_expect_str_eq(asked, "", "it is subscribed");
    cr_expect_str_eq(hubs[1].told, "confirmed<2<3@5 ");
    cr_expect_str_eq(hubs[0].told, "");
    say("a", "4");
    turn();
    cr_expect_str_eq(hubs[1].told, "confirmed<2<3@5 4@6 ");
}

Test(dispatcher, answers_come_by_themselves_when_the_feed_is_quiet)
{
    want(&hubs[0], "a");
    confirm("a");
    turn();
    forget();
    want(&hubs[1], "a");
    cr_expect_str_eq(hubs[1].told, "", "never inside the call");
    event_base_loop(base, EVLOOP_NONBLOCK);
    cr_expect_str_eq(hubs[1].told, "confirmed@2 ");
}

Test(dispatcher, what_could_not_be_delivered_comes_by_itself)
{
    want(&hubs[0], "a");
    confirm("a");
    turn();
    forget();
    is_memory_short = true;
    say("a", "1");
    turn();
    cr_expect_str_eq(hubs[0].told, "");
    is_memory_short = false;
    event_base_loop(base, EVLOOP_ONCE);
    cr_expect_str_eq(hubs[0].told, "1@3 ");
}

Test(dispatcher, who_falls_too_far_behind_is_told_of_the_loss)
{
    static char large[1 << 20];
    want(&hubs[0], "a");
    confirm("a");
    turn();
    *hubs[0].told = '\0';
    is_memory_short = true;
    for (size_t sent = 0; sent < DISPATCHER_PORT_BYTES_MAX; sent += sizeof(large)) {
        dispatcher_message(dispatcher, TOPIC_CHANNEL, "a", 1, "a", 1, large, sizeof(large));
        dispatcher_turn_end(dispatcher);
    }
    cr_expect_eq(metrics->worker_losses, 0u, "not before there is too much");
    say("a", "1");
    cr_expect_eq(metrics->worker_losses, 1u);
    say("a", "2");
    dispatcher_turn_end(dispatcher);
    say("a", "3");
    is_memory_short = false;
    turn();
    cr_expect_str_eq(hubs[0].told, "lost@68 3@69 ", "%s", hubs[0].told);
    cr_expect_eq(metrics->worker_losses, 1u);
}

Test(dispatcher, left_before_it_was_confirmed_it_is_unsubscribed_then)
{
    want(&hubs[0], "a");
    leave(&hubs[0], "a");
    cr_expect_str_eq(asked, "+a ");
    confirm("a");
    cr_expect_str_eq(asked, "+a -a ");
    say("a", "x");
    turn();
    cr_expect_str_eq(hubs[0].told, "up@1 ");
}

Test(dispatcher, wishes_from_before_a_loss_are_out_of_date)
{
    want(&hubs[0], "a");
    confirm("a");
    turn();
    const struct dispatcher_wish old = wish(&hubs[1], "b");
    dispatcher_feed_down(dispatcher);
    dispatcher_feed_up(dispatcher, 8);
    forget();
    cr_expect(dispatcher_want(dispatcher, hubs[1].port, &old), "it will ask again");
    cr_expect_str_eq(asked, "");
    turn();
    cr_expect_str_eq(hubs[0].told, "down@2 up@3 ");
    cr_expect_str_eq(hubs[1].told, "down@2 up@3 ");
    want(&hubs[0], "a");
    want(&hubs[1], "b");
    cr_expect_str_eq(asked, "+a +b ");
}

Test(dispatcher, a_feed_that_is_down_takes_no_wishes)
{
    dispatcher_feed_down(dispatcher);
    turn();
    cr_expect_not(want(&hubs[0], "a"));
    cr_expect_str_eq(asked, "");
    dispatcher_feed_up(dispatcher, 9);
    turn();
    is_refusing = true;
    cr_expect_not(want(&hubs[0], "a"));
    cr_expect_eq(metrics->redis_subscriptions, 0u);
}

Test(dispatcher, one_publish_by_several_topics_has_one_sequence)
{
    const struct dispatcher_wish pattern = { .kind = TOPIC_PATTERN,
                                             .interest = INTEREST_HUB,
                                             .name = "a*",
                                             .length = 2,
                                             .generation = hubs[1].generation };
    want(&hubs[0], "ab");
    confirm("ab");
    cr_expect(dispatcher_want(dispatcher, hubs[1].port, &pattern));
    dispatcher_confirmed(dispatcher, TOPIC_PATTERN, "a*", 2);
    turn();
    forget();
    for (int i = 0; i < 2; i++) {
        say("ab", "x");
        dispatcher_message(dispatcher, TOPIC_PATTERN, "a*", 2, "ab", 2, "x", 1);
    }
    turn();
    cr_expect_str_eq(hubs[0].told, "x@4 x@5 ");
    cr_expect_str_eq(hubs[1].told, "x@4 x@5 ");
}

static void want_pattern(struct hub_stub *hub, const char *name)
{
    struct dispatcher_wish pattern = wish(hub, name);
    pattern.kind = TOPIC_PATTERN;
    cr_expect(dispatcher_want(dispatcher, hub->port, &pattern));
    dispatcher_confirmed(dispatcher, TOPIC_PATTERN, name, strlen(name));
}

static void say_pattern(const char *pattern, const char *channel, const char *payload)
{
    dispatcher_message(dispatcher, TOPIC_PATTERN, pattern, strlen(pattern), channel, strlen(channel), payload,
                       strlen(payload));
}

Test(dispatcher, a_turn_that_ends_within_a_publish_does_not_divide_it)
{
    struct dispatcher_wish orders = {
        .kind = TOPIC_STREAM, .interest = INTEREST_HUB, .name = "s", .length = 1
    };
    want(&hubs[0], "ab");
    confirm("ab");
    want_pattern(&hubs[0], "a*");
    want_pattern(&hubs[0], "other*");
    dispatcher_want(dispatcher, hubs[0].port, &orders);
    dispatcher_watched(dispatcher, "s", 1, (struct entry_id){ .ms = 5 });
    turn();
    forget();
    say("ab", "x");
    turn();
    cr_expect_str_eq(hubs[0].told, "", "more of it is to come");
    dispatcher_entry(dispatcher, "s", 1, (struct entry_id){ .ms = 6 }, "{}", 2);
    turn();
    cr_expect_str_eq(hubs[0].told, "entry{}@5 ", "nobody waits for it");
    say_pattern("a*", "ab", "x");
    say_pattern("a*", "ab", "x");
    turn();
    cr_expect_str_eq(hubs[0].told, "entry{}@5 x@6 x@6 x@7 ", "%s", hubs[0].told);
}

/* What the pattern is to bring of it is not here yet. */
static void begin_publish(void)
{
    want(&hubs[0], "ab");
    confirm("ab");
    want_pattern(&hubs[0], "a*");
    turn();
    forget();
    say("ab", "x");
    turn();
}

Test(dispatcher, who_leaves_within_a_publish_and_who_comes)
{
    begin_publish();
    leave(&hubs[0], "ab");
    want(&hubs[1], "ab");
    confirm("ab");
    turn();
    cr_expect_str_eq(hubs[1].told, "confirmed@5 ", "%s", hubs[1].told);
    cr_expect_str_eq(hubs[0].told, "", "nobody is there by which it came");
}

Test(dispatcher, a_publish_that_stays_in_part_is_told)
{
    begin_publish();
    cr_expect_str_eq(hubs[0].told, "");
    dispatcher_feed_down(dispatcher);
    turn();
    cr_expect_str_eq(hubs[0].told, "x@4 down@4 ");
}

Test(dispatcher, a_fence_is_told_to_whom_it_belongs)
{
    dispatcher_fence(dispatcher, dispatcher_port_number(hubs[1].port), 5);
    dispatcher_fence(dispatcher, 77, 5);
    turn();
    cr_expect_str_eq(hubs[0].told, "up@1 ");
    cr_expect_str_eq(hubs[1].told, "up@1 fence@1 ");
}

Test(dispatcher, the_cache_that_answers_for_a_batch_learns_of_its_messages)
{
    unsigned owner = snapshot_cache_owner("42", 2, HUBS);
    want(&hubs[1 - owner], "batch:42");
    confirm("batch:42");
    turn();
    forget();
    say("batch:42", "{}");
    turn();
    cr_expect_str_eq(hubs[owner].told, "live{}@3 ");
    cr_expect_str_eq(hubs[1 - owner].told, "{}@3 ");
    want(&hubs[owner], "batch:42");
    turn();
    forget();
    say("batch:42", "[]");
    turn();
    cr_expect_str_eq(hubs[owner].told, "[]@4 ", "once");
}

Test(dispatcher, streams_are_told_where_they_stand)
{
    struct dispatcher_wish orders = {
        .kind = TOPIC_STREAM, .interest = INTEREST_HUB, .name = "s", .length = 1
    };
    dispatcher_want(dispatcher, hubs[0].port, &orders);
    dispatcher_watched(dispatcher, "s", 1, (struct entry_id){ .ms = 5 });
    dispatcher_entry(dispatcher, "s", 1, (struct entry_id){ .ms = 6 }, "{}", 2);
    dispatcher_entry(dispatcher, "s", 1, (struct entry_id){ .ms = 7 }, NULL, 0);
    turn();
    cr_expect_str_eq(hubs[0].told, "up@1 watched@1 entry{}@2 entry@3 ");
    orders.interest = INTEREST_GROUPS;
    dispatcher_want(dispatcher, hubs[1].port, &orders);
    turn();
    cr_expect_str_eq(hubs[1].told, "up@1 watched@3 ");
    dispatcher_refused(dispatcher, TOPIC_STREAM, "s", 1, "WRONGTYPE");
    turn();
    cr_expect_str_eq(hubs[1].told, "up@1 watched@3 refused@3 ");
    cr_expect_eq(metrics->streams_watched, 0u);
}

Test(dispatcher, a_stream_has_two_who_want_it_in_one_port)
{
    struct dispatcher_wish orders = {
        .kind = TOPIC_STREAM, .interest = INTEREST_HUB, .name = "s", .length = 1
    };
    dispatcher_want(dispatcher, hubs[0].port, &orders);
    dispatcher_watched(dispatcher, "s", 1, (struct entry_id){ .ms = 5 });
    orders.interest = INTEREST_GROUPS;
    dispatcher_want(dispatcher, hubs[0].port, &orders);
    dispatcher_leave(dispatcher, hubs[0].port, &orders);
    cr_expect_str_eq(asked, "+s ");
    orders.interest = INTEREST_HUB;
    dispatcher_leave(dispatcher, hubs[0].port, &orders);
    cr_expect_str_eq(asked, "+s -s ");
}

Test(dispatcher, what_others_were_told_can_be_asked_for)
{
    want(&hubs[0], "a");
    confirm("a");
    say("a", "x");
    turn();
    cr_expect_eq(dispatcher_newest(dispatcher), 3u);
    forget();
    dispatcher_catch_up(dispatcher, hubs[1].port);
    event_base_loop(base, EVLOOP_NONBLOCK);
    cr_expect_str_eq(hubs[1].told, "caught-up@3 ");
}

#include "front/deadline.h"

#include <criterion/criterion.h>

#include "base/clock.h"

struct watch {
    unsigned missed[DEADLINE_PHASES];
    struct deadline *last;
    struct event_base *base;
};

static void on_missed(void *context, struct deadline *deadline, enum deadline_phase phase)
{
    struct watch *watch = context;
    watch->missed[phase]++;
    watch->last = deadline;
    cr_assert(!list_linked(&deadline->node));
    event_base_loopbreak(watch->base);
}

static struct deadlines *set_up(struct watch *watch)
{
    *watch = (struct watch){ .base = event_base_new() };
    struct deadlines *deadlines = deadlines_create(watch->base, on_missed, watch);
    cr_assert_not_null(deadlines);
    deadlines_set_duration(deadlines, DEADLINE_HEAD, 1000);
    deadlines_set_duration(deadlines, DEADLINE_IDLE, 3600 * 1000);
    return deadlines;
}

static void tear_down(struct watch *watch, struct deadlines *deadlines)
{
    deadlines_destroy(deadlines);
    event_base_free(watch->base);
}

/* Times in the past are over at the timer's first firing, so nothing here waits for a clock. */
Test(deadline, the_one_that_is_over_is_told_once)
{
    struct watch watch;
    struct deadlines *deadlines = set_up(&watch);
    struct deadline late = { 0 }, early = { 0 };
    uint64_t now_ms = clock_now_ms();
    deadline_arm(deadlines, &early, DEADLINE_IDLE, now_ms);
    deadline_arm(deadlines, &late, DEADLINE_HEAD, now_ms - 1000);
    event_base_dispatch(watch.base);
    cr_assert_eq(watch.missed[DEADLINE_HEAD], 1);
    cr_assert_eq(watch.missed[DEADLINE_IDLE], 0);
    cr_assert_eq(watch.last, &late);
    cr_assert(list_linked(&early.node));
    tear_down(&watch, deadlines);
}

Test(deadline, arming_again_moves_it)
{
    struct watch watch;
    struct deadlines *deadlines = set_up(&watch);
    struct deadline moved = { 0 }, late = { 0 };
    uint64_t now_ms = clock_now_ms();
    deadline_arm(deadlines, &moved, DEADLINE_HEAD, now_ms - 1000);
    deadline_arm(deadlines, &moved, DEADLINE_IDLE, now_ms);
    deadline_arm(deadlines, &late, DEADLINE_HEAD, now_ms - 1000);
    event_base_dispatch(watch.base);
    cr_assert_eq(watch.missed[DEADLINE_HEAD], 1);
    cr_assert_eq(watch.last, &late);
    tear_down(&watch, deadlines);
}

Test(deadline, disarmed_is_forgotten)
{
    struct watch watch;
    struct deadlines *deadlines = set_up(&watch);
    struct deadline gone = { 0 }, late = { 0 };
    uint64_t now_ms = clock_now_ms();
    deadline_disarm(&gone);
    deadline_arm(deadlines, &gone, DEADLINE_HEAD, now_ms - 1000);
    deadline_disarm(&gone);
    deadline_arm(deadlines, &late, DEADLINE_HEAD, now_ms - 1000);
    event_base_dispatch(watch.base);
    cr_assert_eq(watch.missed[DEADLINE_HEAD], 1);
    cr_assert_eq(watch.last, &late);
    tear_down(&watch, deadlines);
}

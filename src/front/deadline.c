#include "front/deadline.h"

#include <stdlib.h>

#include "base/clock.h"

/* Deadlines that lie this close together are served by one wakeup. */
#define WAKEUP_MS_MIN UINT64_C(50)

struct deadlines {
    struct list queues[DEADLINE_PHASES];
    uint64_t durations_ms[DEADLINE_PHASES];
    struct event *timer;
    uint64_t wakeup_ms; /* when the timer fires; UINT64_MAX: it does not */
    deadline_missed *missed;
    void *context;
};

static void arm_timer(struct deadlines *deadlines, uint64_t now_ms)
{
    uint64_t next_ms = UINT64_MAX;
    for (int phase = 0; phase < DEADLINE_PHASES; phase++) {
        struct list *first = list_first(&deadlines->queues[phase]);
        if (first && LIST_OWNER(first, struct deadline, node)->due_ms < next_ms)
            next_ms = LIST_OWNER(first, struct deadline, node)->due_ms;
    }
    deadlines->wakeup_ms = next_ms;
    if (next_ms == UINT64_MAX)
        return;
    uint64_t wait_ms = next_ms > now_ms + WAKEUP_MS_MIN ? next_ms - now_ms : WAKEUP_MS_MIN;
    struct timeval wait = { .tv_sec = (time_t)(wait_ms / 1000),
                            .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000) };
    evtimer_add(deadlines->timer, &wait);
}

static void on_timer(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct deadlines *deadlines = context;
    uint64_t now_ms = clock_now_ms();

    for (int phase = 0; phase < DEADLINE_PHASES; phase++) {
        for (struct list *first; (first = list_first(&deadlines->queues[phase]));) {
            struct deadline *deadline = LIST_OWNER(first, struct deadline, node);
            if (deadline->due_ms > now_ms)
                break;
            deadline_disarm(deadline);
            deadlines->missed(deadlines->context, deadline, (enum deadline_phase)phase);
        }
    }
    arm_timer(deadlines, now_ms);
}

struct deadlines *deadlines_create(struct event_base *base, deadline_missed *missed, void *context)
{
    struct deadlines *deadlines = calloc(1, sizeof(*deadlines));
    if (!deadlines)
        return NULL;
    for (int phase = 0; phase < DEADLINE_PHASES; phase++)
        list_init(&deadlines->queues[phase]);
    deadlines->wakeup_ms = UINT64_MAX;
    deadlines->missed = missed;
    deadlines->context = context;
    deadlines->timer = evtimer_new(base, on_timer, deadlines);
    if (!deadlines->timer) {
        free(deadlines);
        return NULL;
    }
    return deadlines;
}

void deadlines_destroy(struct deadlines *deadlines)
{
    if (!deadlines)
        return;
    event_free(deadlines->timer);
    free(deadlines);
}

void deadlines_set_duration(struct deadlines *deadlines, enum deadline_phase phase, uint64_t duration_ms)
{
    deadlines->durations_ms[phase] = duration_ms;
}

void deadline_arm(struct deadlines *deadlines, struct deadline *deadline, enum deadline_phase phase,
                  uint64_t now_ms)
{
    list_remove(&deadline->node);
    deadline->phase = phase;
    deadline->due_ms = now_ms + deadlines->durations_ms[phase];
    list_append(&deadlines->queues[phase], &deadline->node);
    /* A timer that fires earlier arms itself again for what comes later. */
    if (deadline->due_ms < deadlines->wakeup_ms)
        arm_timer(deadlines, now_ms);
}

void deadline_disarm(struct deadline *deadline)
{
    list_remove(&deadline->node);
}

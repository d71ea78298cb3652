#include "base/mailbox.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#define POSTERS 4
#define MAILS 5000

static struct event_base *base;
static struct mailbox *mailbox;
static size_t came[POSTERS];
static size_t dropped;
static size_t total;

struct numbered {
    struct mail mail;
    size_t poster, number;
};

static void run(struct mail *mail)
{
    struct numbered *numbered = LIST_OWNER(mail, struct numbered, mail);
    cr_expect_eq(numbered->number, came[numbered->poster], "each poster's come in order");
    came[numbered->poster]++;
    if (++total == POSTERS * MAILS)
        event_base_loopbreak(base);
    free(numbered);
}

static void drop(struct mail *mail)
{
    dropped++;
    free(LIST_OWNER(mail, struct numbered, mail));
}

static void post(size_t poster, size_t number)
{
    struct numbered *numbered = malloc(sizeof(*numbered));
    cr_assert_not_null(numbered);
    *numbered = (struct numbered){ .mail = { .run = run, .drop = drop }, .poster = poster, .number = number };
    mailbox_post(mailbox, &numbered->mail);
}

static void *post_all(void *context)
{
    for (size_t i = 0; i < MAILS; i++)
        post(*(size_t *)context, i);
    return NULL;
}

static void open_mailbox(void)
{
    base = event_base_new();
    mailbox = mailbox_create(base);
    cr_assert_not_null(mailbox);
}

static void close_mailbox(void)
{
    mailbox_destroy(mailbox);
    event_base_free(base);
}

TestSuite(mailbox, .init = open_mailbox, .fini = close_mailbox);

Test(mailbox, what_many_threads_post_comes_once_and_in_order, .timeout = 60)
{
    pthread_t threads[POSTERS];
    size_t numbers[POSTERS];
    for (size_t i = 0; i < POSTERS; i++) {
        numbers[i] = i;
        cr_assert_eq(pthread_create(&threads[i], NULL, post_all, &numbers[i]), 0);
    }
    event_base_dispatch(base);
    for (size_t i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_eq(came[i], (size_t)MAILS);
    }
}

Test(mailbox, what_is_posted_from_its_own_thread_comes_in_a_later_turn)
{
    post(0, 0);
    cr_expect_eq(total, 0u);
    event_base_loop(base, EVLOOP_NONBLOCK);
    cr_expect_eq(total, 1u);
}

Test(mailbox, what_nobody_waited_for_is_dropped)
{
    post(0, 0);
    post(0, 1);
    mailbox_destroy(mailbox);
    cr_expect_eq(dropped, 2u);
    cr_expect_eq(total, 0u);
    mailbox = mailbox_create(base);
}

#include "base/mailbox.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
    _Atomic(struct mail *) newest; /* each points to the one posted before */
    int wake;                      /* eventfd */
    struct event *readable;
};

/* All that was posted, the oldest first. */
static struct mail *take_all(struct mailbox *mailbox)
{
    struct mail *mail = atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
    struct mail *oldest = NULL;
    while (mail) {
        struct mail *older = mail->next;
        mail->next = oldest;
        oldest = mail;
        mail = older;
    }
    return oldest;
}

static void on_wake(evutil_socket_t descriptor, short events, void *context)
{
    (void)events;
    struct mailbox *mailbox = context;
    uint64_t count;
    /* Before the taking: what is posted behind it wakes again. */
    ssize_t got = read(descriptor, &count, sizeof count);
    (void)got;
    struct mail *mail = take_all(mailbox);
    while (mail) {
        struct mail *next = mail->next;
        mail->run(mail);
        mail = next;
    }
}

struct mailbox *mailbox_create(struct event_base *base)
{
    struct mailbox *mailbox = calloc(1, sizeof *mailbox);
    if (!mailbox)
        return NULL;
    atomic_init(&mailbox->newest, NULL);
    mailbox->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mailbox->wake >= 0)
        mailbox->readable = event_new(base, mailbox->wake, EV_READ | EV_PERSIST, on_wake, mailbox);
    if (mailbox->readable && event_add(mailbox->readable, NULL) == 0)
        return mailbox;
    mailbox_destroy(mailbox);
    return NULL;
}

void mailbox_destroy(struct mailbox *mailbox)
{
    if (!mailbox)
        return;
    struct mail *mail = take_all(mailbox);
    while (mail) {
        struct mail *next = mail->next;
        mail->drop(mail);
        mail = next;
    }
    if (mailbox->readable)
        event_free(mailbox->readable);
    if (mailbox->wake >= 0)
        close(mailbox->wake);
    free(mailbox);
}

void mailbox_post(struct mailbox *mailbox, struct mail *mail)
{
    struct mail *before = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    do {
        mail->next = before;
    } while (!atomic_compare_exchange_weak_explicit(&mailbox->newest, &before, mail, memory_order_release,
                                                    memory_order_relaxed));
    if (before)
        return; /* somebody has woken it, and it has not looked since */
    const uint64_t one = 1;
    ssize_t put = write(mailbox->wake, &one, sizeof one);
    (void)put; /* full means that it is awake */
}

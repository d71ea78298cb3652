/*
 * How one thread has another do something: calls that are posted from any thread and made, in the order of
 * their posting by each, in the thread of the mailbox's event loop. Lock-free: posting is one exchange of a
 * pointer, and wakes the loop only when nothing waited.
 *
 *     struct call { struct mail mail; … };            the poster's, freed by `run`
 *     mailbox_post(mailbox, &call->mail);             any thread
 *     call->mail.run(&call->mail)                     the loop's thread
 *
 * What is posted is bounded by those who post.
 */
#pragma once

#include <event2/event.h>

#include "base/list.h"

struct mailbox;

struct mail {
    struct mail *next;
    void (*run)(struct mail *mail);  /* owns it */
    void (*drop)(struct mail *mail); /* instead, when the mailbox is destroyed first */
};

/* NULL when memory or descriptors are short. */
struct mailbox *mailbox_create(struct event_base *base);

/* In the loop's thread, or when nobody posts any more. */
void mailbox_destroy(struct mailbox *mailbox);

void mailbox_post(struct mailbox *mailbox, struct mail *mail);

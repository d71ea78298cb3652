/*
 * What is asked of the outside about callers, once for the whole gateway and not once for each thread: the
 * application about sessions, and the keys that tokens are signed with. Belongs to the main thread; workers
 * ask by mail (worker_application.c, worker_keys.c).
 */
#pragma once

#include <event2/event.h>

#include "access/authorizer.h"
#include "access/jwks_fetcher.h"
#include "gateway/settings.h"

struct shared_access;

/* NULL when memory is short. */
struct shared_access *shared_access_create(struct event_base *base, const struct settings *settings,
                                           struct metrics *metrics, struct log *log);

/* What is under way ends, and who waits is told: behind the workers' threads, before their mailboxes go. */
void shared_access_destroy(struct shared_access *shared);

struct authorizer *shared_access_authorizer(struct shared_access *shared); /* NULL: no application is asked */
struct jwks_fetcher *shared_access_fetcher(struct shared_access *shared);

/* The subject was revoked: nobody is believed to be it by what was said before. To be called before workers
 * are told to end its streams: what they were told from before is then ahead of that, and ends, too. */
void shared_access_forget(struct shared_access *shared, struct text subject);

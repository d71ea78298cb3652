/*
 * What one caller may do, and until when. Immutable and counted by reference, over all threads: an exchange
 * holds it while a request is answered, a machine key while it is configured, the authorizer while it
 * remembers an answer.
 *
 *     struct grant_draft draft = { .means = GRANT_TOKEN, .subject = …, .expires_wall_ms = … };
 *     draft.lists[ACCESS_SUBSCRIBE] = (struct grant_list){ patterns, count };
 *     struct grant *grant = grant_create(&draft, &problem);   // copies all of it
 *     … grant_covers(grant, ACCESS_SUBSCRIBE, &topic) …
 *     grant_release(grant);
 *
 * A ticket keeps a grant in Redis as JSON, and a token's claims are of the same form; see grant_json.h.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "access/pattern.h"
#include "base/buffer.h"

#define GRANT_PATTERNS_MAX 256 /* in a list */
#define GRANT_SUBJECT_MAX 256

enum access_action {
    ACCESS_SUBSCRIBE, /* read */
    ACCESS_PUBLISH,   /* write */
    ACCESS_CONSUME,   /* take a stream's entries out of a consumer group, acknowledge them, give them back */
    ACCESS_ADMIN,     /* metrics, the page, reports of streams, cutting subscribers off; of no topic */
    ACCESS_ACTIONS,
};
#define ACCESS_LISTS ACCESS_ADMIN /* actions with a list of patterns */

const char *access_action_name(enum access_action action); /* "subscribe", … as in a token's claims */

/* How a caller made himself known. */
enum grant_means { GRANT_TOKEN, GRANT_KEY, GRANT_APPLICATION, GRANT_MEANS };

const char *grant_means_name(enum grant_means means); /* "token", "key", "application" */

struct grant;

struct grant_list {
    const struct text *patterns;
    size_t count;
};

struct grant_draft {
    enum grant_means means;
    struct text subject;      /* who; without bytes if nobody says. A machine key's is key:<name> */
    uint64_t expires_wall_ms; /* Unix time; 0: never */
    uint64_t credential; /* of the machine key it comes from (machine_keys.h), directly or by a ticket; 0:
                            none */
    bool admin;
    struct grant_list lists[ACCESS_LISTS];
};

#define GRANT_PROBLEM_MAX 160

/* One reference. NULL with a sentence in ret_problem: a pattern that is none (which, and why), too much, or
 * memory. A grant with one wrong pattern is refused as a whole: half of it would surprise somebody. */
struct grant *grant_create(const struct grant_draft *draft, char ret_problem[static GRANT_PROBLEM_MAX]);

struct grant *grant_hold(struct grant *grant); /* NULL stays NULL */
void grant_release(struct grant *grant);       /* NULL: nothing */

/* `topic` is NULL for ACCESS_ADMIN. Who may subscribe to a stream and publish to it may consume its groups,
 * too. */
bool grant_covers(const struct grant *grant, enum access_action action, const struct access_topic *topic);

struct text grant_subject(const struct grant *grant);
uint64_t grant_expires_wall_ms(const struct grant *grant);
uint64_t grant_credential(const struct grant *grant);
enum grant_means grant_means(const struct grant *grant);
bool grant_is_admin(const struct grant *grant);

/* Patterns of a list as they were given; `index` is below grant_pattern_count(). */
size_t grant_pattern_count(const struct grant *grant, enum access_action action);
struct text grant_pattern(const struct grant *grant, enum access_action action, size_t index);

/* "u1 may subscribe to a, b; publish to c; administrate", a line: for --check. */
void grant_append_summary(const struct grant *grant, struct buffer *out);

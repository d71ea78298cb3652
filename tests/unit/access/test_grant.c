#include "access/grant.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#include "../front/front_text.h"

static struct grant *grant_of(const char *subscribe, const char *publish, const char *consume)
{
    struct text texts[] = { text_of(subscribe, strlen(subscribe)), text_of(publish, strlen(publish)),
                            text_of(consume, strlen(consume)) };
    struct grant_draft draft = { .means = GRANT_TOKEN, .subject = TEXT("u1") };
    for (int list = 0; list < ACCESS_LISTS; list++)
        draft.lists[list] = (struct grant_list){ .patterns = &texts[list], .count = texts[list].length > 0 };
    char problem[GRANT_PROBLEM_MAX];
    struct grant *grant = grant_create(&draft, problem);
    cr_assert_not_null(grant, "%s", problem);
    return grant;
}

static bool covers(const struct grant *grant, enum access_action action, enum access_topic_kind kind,
                   const char *name)
{
    const struct access_topic topic = { .kind = kind, .name = text_of(name, strlen(name)) };
    return grant_covers(grant, action, &topic);
}

Test(grant, each_action_has_its_list)
{
    struct grant *grant = grant_of("news", "orders.*", "");
    cr_assert(covers(grant, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "news"));
    cr_assert_not(covers(grant, ACCESS_PUBLISH, ACCESS_CHANNEL, "news"));
    cr_assert(covers(grant, ACCESS_PUBLISH, ACCESS_CHANNEL, "orders.1"));
    cr_assert_not(covers(grant, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "orders.1"));
    cr_assert_not(grant_covers(grant, ACCESS_ADMIN, NULL));
    CHECK_TEXT(grant_subject(grant), "u1");
    CHECK_TEXT(grant_pattern(grant, ACCESS_PUBLISH, 0), "orders.*");
    cr_assert_eq(grant_pattern_count(grant, ACCESS_CONSUME), 0);
    grant_release(grant);
}

Test(grant, reading_is_not_consuming)
{
    struct grant *reader = grant_of("*", "", "");
    cr_assert_not(covers(reader, ACCESS_CONSUME, ACCESS_STREAM, "orders"));
    grant_release(reader);
    struct grant *worker = grant_of("", "", "stream:orders");
    cr_assert(covers(worker, ACCESS_CONSUME, ACCESS_STREAM, "orders"));
    cr_assert_not(covers(worker, ACCESS_SUBSCRIBE, ACCESS_STREAM, "orders"));
    grant_release(worker);
    struct grant *both = grant_of("stream:orders", "stream:*", "");
    cr_assert(covers(both, ACCESS_CONSUME, ACCESS_STREAM, "orders"));
    cr_assert_not(covers(both, ACCESS_CONSUME, ACCESS_STREAM, "mails"));
    grant_release(both);
}

Test(grant, is_a_copy_and_counted)
{
    char text[] = "batch:42";
    const struct text pattern = text_of(text, strlen(text));
    struct grant_draft draft = { .means = GRANT_KEY, .admin = true, .expires_wall_ms = 5, .credential = 7 };
    draft.lists[ACCESS_SUBSCRIBE] = (struct grant_list){ .patterns = &pattern, .count = 1 };
    char problem[GRANT_PROBLEM_MAX];
    struct grant *grant = grant_hold(grant_create(&draft, problem));
    memset(text, 'x', strlen(text));
    grant_release(grant);
    cr_assert(covers(grant, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "batch:42"));
    cr_assert(grant_covers(grant, ACCESS_ADMIN, NULL));
    cr_assert_null(grant_subject(grant).bytes);
    cr_assert_eq(grant_expires_wall_ms(grant), 5);
    cr_assert_eq(grant_credential(grant), 7);
    cr_assert_eq(grant_means(grant), GRANT_KEY);
    grant_release(grant);
    grant_release(NULL);
}

#define HOLDS 100000

static void *hold_and_release(void *context)
{
    for (int i = 0; i < HOLDS; i++)
        grant_release(grant_hold(context));
    grant_release(context);
    return NULL;
}

Test(grant, several_threads_may_hold_one)
{
    struct grant *grant = grant_of("news", "", "");
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, hold_and_release, grant_hold(grant)), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_assert(covers(grant, ACCESS_SUBSCRIBE, ACCESS_CHANNEL, "news"), "not freed under our hands");
    grant_release(grant);
}

Test(grant, one_wrong_pattern_refuses_all)
{
    const struct text patterns[] = { TEXT("good"), TEXT("a*b") };
    struct grant_draft draft = { .means = GRANT_TOKEN };
    draft.lists[ACCESS_PUBLISH] = (struct grant_list){ .patterns = patterns, .count = 2 };
    char problem[GRANT_PROBLEM_MAX];
    cr_assert_null(grant_create(&draft, problem));
    cr_assert_str_eq(problem, "Pattern 2 of \"publish\" has a * that is not at its end.");
    static struct text many[GRANT_PATTERNS_MAX + 1];
    for (size_t i = 0; i < GRANT_PATTERNS_MAX + 1; i++)
        many[i] = TEXT("a");
    draft.lists[ACCESS_PUBLISH] = (struct grant_list){ .patterns = many, .count = GRANT_PATTERNS_MAX + 1 };
    cr_assert_null(grant_create(&draft, problem));
}

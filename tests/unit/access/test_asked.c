#include "access/asked.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "../front/front_text.h"

Test(asked, is_a_copy_of_all_that_was_given)
{
    char bytes[] = "Bearer x|a=b|tick|news|orders";
    const struct access_topic topics[] = { { ACCESS_CHANNEL, text_of(bytes + 18, 4) },
                                           { ACCESS_STREAM, text_of(bytes + 23, 6) } };
    const struct access_question question = { ACCESS_CONSUME, topics, 2 };
    const struct access_credentials credentials = { .authorization = text_of(bytes, 8),
                                                    .cookie = text_of(bytes + 9, 3),
                                                    .ticket = text_of(bytes + 13, 4),
                                                    .origin = ACCESS_ORIGIN_FOREIGN };
    struct asked *asked = asked_create(&credentials, &question);
    cr_assert_not_null(asked);
    memset(bytes, 'z', sizeof bytes);
    CHECK_TEXT(asked->credentials.authorization, "Bearer x");
    CHECK_TEXT(asked->credentials.cookie, "a=b");
    CHECK_TEXT(asked->credentials.ticket, "tick");
    cr_expect_eq(asked->credentials.origin, ACCESS_ORIGIN_FOREIGN);
    cr_expect_eq(asked->question.action, ACCESS_CONSUME);
    cr_assert_eq(asked->question.topic_count, 2);
    CHECK_TEXT(asked->question.topics[0].name, "news");
    CHECK_TEXT(asked->question.topics[1].name, "orders");
    cr_expect_eq(asked->question.topics[0].kind, ACCESS_CHANNEL);
    cr_expect_eq(asked->question.topics[1].kind, ACCESS_STREAM);
    asked_destroy(asked);
}

Test(asked, nothing_is_not_the_same_as_empty)
{
    const struct access_credentials credentials = { .cookie = TEXT("") };
    const struct access_question question = { .action = ACCESS_ADMIN };
    struct asked *asked = asked_create(&credentials, &question);
    cr_assert_not_null(asked);
    cr_expect_not_null(asked->credentials.cookie.bytes);
    cr_expect_eq(asked->credentials.cookie.length, 0);
    cr_expect_null(asked->credentials.authorization.bytes);
    cr_expect_null(asked->credentials.ticket.bytes);
    cr_expect_eq(asked->question.topic_count, 0);
    asked_destroy(asked);
}

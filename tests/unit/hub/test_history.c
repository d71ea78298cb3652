#include "hub/history.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READS_MAX 40
#define ANSWERS_MAX 16

struct read {
    uint64_t token;
    struct entry_id after;
    size_t count;
    char stream[16];
};

struct reader {
    size_t answers;
    enum history_status status[ANSWERS_MAX];
    struct history_page *page; /* of the last answer */
    struct entry_id end;
    size_t count;
};

static struct read reads[READS_MAX];
static size_t read_count;
static bool may_read;
static struct history *history;

static bool read_page(void *context, const char *stream, size_t length, struct entry_id after, size_t count,
                      uint64_t token)
{
    (void)context;
    if (!may_read)
        return false;
    cr_assert_lt(read_count, READS_MAX);
    reads[read_count] = (struct read){ .token = token, .after = after, .count = count };
    snprintf(reads[read_count++].stream, sizeof reads[0].stream, "%.*s", (int)length, stream);
    return true;
}

static void open_history(void)
{
    struct history_source source = { .read = read_page };
    read_count = 0;
    may_read = true;
    history = history_create(&source);
    cr_assert_not_null(history);
}

static void close_history(void)
{
    history_destroy(history);
}

TestSuite(history, .init = open_history, .fini = close_history);

static struct entry_id at(uint64_t ms)
{
    return (struct entry_id){ .ms = ms };
}

static void on_ready(void *context, enum history_status status, struct history_page *page)
{
    struct reader *reader = context;
    cr_assert_lt(reader->answers, ANSWERS_MAX);
    reader->status[reader->answers++] = status;
    cr_assert_eq(page != NULL, status == HISTORY_OK);
    reader->page = page;
    reader->end = page ? page->end : at(0);
    reader->count = page ? page->count : 0;
}

static void ask(struct reader *reader, const char *stream, uint64_t after, uint64_t now_ms)
{
    cr_assert(history_read(history, stream, strlen(stream), at(after), now_ms, on_ready, reader));
}

/* Redis answers a read with entries (after, upto]. */
static void answer(size_t read, uint64_t upto, bool is_last, uint64_t now_ms)
{
    for (uint64_t id = reads[read].after.ms + 1; id <= upto; id++)
        history_entry(history, reads[read].token, at(id), "{}", 2);
    struct stream_facts facts = { .exists = true, .first = at(1), .last = at(1000), .length = 1000 };
    history_loaded(history, reads[read].token, HISTORY_OK, &facts, is_last, now_ms);
}

Test(history, a_stream_that_was_begun_again_is_not_read_from_memory)
{
    struct reader first = { 0 }, other = { 0 }, back = { 0 };
    ask(&first, "s", 0, 0);
    answer(0, 10, false, 0);
    ask(&other, "t", 0, 0);
    answer(1, 10, false, 0);
    ask(&first, "s", 10, 0);
    const struct stream_facts begun_again = { .exists = true, .first = at(2), .last = at(3), .length = 2 };
    history_loaded(history, reads[2].token, HISTORY_OK, &begun_again, true, 0);
    cr_expect_eq(first.count, 0u);
    ask(&back, "s", 0, 0);
    cr_assert_eq(read_count, 4u, "what it was is forgotten");
    ask(&other, "t", 0, 0);
    cr_assert_eq(read_count, 4u, "others are not");
    cr_expect_eq(other.count, 10u);
}

Test(history, one_read_for_all_who_want_the_same_page)
{
    struct reader readers[3] = { 0 };
    for (size_t i = 0; i < 3; i++)
        ask(&readers[i], "s", 10, 0);
    cr_expect_eq(read_count, 1u);
    cr_expect_eq(reads[0].after.ms, 10u);
    cr_expect_eq(reads[0].count, (size_t)HISTORY_PAGE_ENTRIES);
    cr_expect_str_eq(reads[0].stream, "s");
    cr_expect_eq(readers[0].answers, 0u, "never inside the call when it must be read");
    answer(0, 110, false, 5);
    for (size_t i = 0; i < 3; i++) {
        cr_expect_eq(readers[i].answers, 1u);
        cr_expect_eq(readers[i].count, 100u);
        cr_expect_eq(readers[i].end.ms, 110u);
        cr_expect_eq(readers[i].page->facts.length, 1000u);
    }
}

Test(history, kept_page_serves_who_stands_inside_it)
{
    struct reader reader = { 0 };
    ask(&reader, "s", 10, 0);
    answer(0, 110, false, 0);
    ask(&reader, "s", 10, 1);
    ask(&reader, "s", 57, 1);
    ask(&reader, "s", 109, 1);
    cr_expect_eq(reader.answers, 4u, "at once");
    cr_expect_eq(read_count, 1u);
    cr_expect_eq(history_page_after(reader.page, at(57)), 47u);
    cr_expect_eq(history_page_after(reader.page, at(9)), 0u);
    cr_expect_eq(history_page_after(reader.page, at(110)), 100u);
    ask(&reader, "s", 110, 1);
    ask(&reader, "s", 9, 1);
    ask(&reader, "t", 57, 1);
    cr_expect_eq(read_count, 4u, "its end, before its begin, and another stream are read");
}

Test(history, end_of_a_stream_is_read_each_time)
{
    struct reader reader = { 0 };
    ask(&reader, "s", 10, 0);
    answer(0, 10, true, 0);
    cr_expect_eq(reader.count, 0u);
    cr_expect_eq(reader.end.ms, 10u);
    ask(&reader, "s", 10, 0);
    cr_expect_eq(read_count, 2u, "more may have come");
}

Test(history, pages_go_after_their_time)
{
    struct reader reader = { 0 };
    ask(&reader, "s", 10, 100);
    answer(0, 110, false, 100);
    history_sweep(history, 100 + HISTORY_KEPT_MS - 1);
    ask(&reader, "s", 20, 100 + HISTORY_KEPT_MS - 1);
    cr_expect_eq(read_count, 1u);
    ask(&reader, "s", 20, 100 + HISTORY_KEPT_MS);
    cr_expect_eq(read_count, 2u);
}

Test(history, pages_are_bounded_in_bytes)
{
    struct reader reader = { 0 };
    size_t large = 1 << 20;
    char *json = calloc(1, large);
    struct stream_facts facts = { .exists = true, .first = at(1), .last = at(1000), .length = 1000 };
    for (size_t i = 0; i < 36; i++) {
        ask(&reader, "s", i, 0);
        cr_assert_eq(read_count, i + 1);
        history_entry(history, reads[i].token, at(i + 1), json, large);
        history_loaded(history, reads[i].token, HISTORY_OK, &facts, false, 0);
        reader.answers = 0;
    }
    size_t kept = 0;
    may_read = false;
    for (size_t i = 0; i < 36; i++) {
        kept += history_read(history, "s", 1, at(i), 0, on_ready, &reader);
        reader.answers = 0;
    }
    cr_expect_leq(kept * large, HISTORY_BYTES_MAX);
    cr_expect_geq(kept, 30u);
    cr_expect(history_read(history, "s", 1, at(35), 0, on_ready, &reader), "the oldest go first");
    free(json);
}

Test(history, who_cancels_is_not_answered)
{
    struct reader stays = { 0 }, goes = { 0 };
    ask(&goes, "s", 10, 0);
    ask(&stays, "s", 10, 0);
    history_cancel(history, &goes);
    answer(0, 20, false, 0);
    cr_expect_eq(goes.answers, 0u);
    cr_expect_eq(stays.answers, 1u);
    history_cancel(history, &stays);
}

Test(history, all_may_cancel_and_the_page_is_kept)
{
    struct reader reader = { 0 };
    ask(&reader, "s", 10, 0);
    history_cancel(history, &reader);
    answer(0, 20, false, 0);
    cr_expect_eq(reader.answers, 0u);
    ask(&reader, "s", 15, 0);
    cr_expect_eq(reader.answers, 1u);
}

Test(history, failures_are_told_and_not_kept)
{
    static const enum history_status failures[] = { HISTORY_UNAVAILABLE, HISTORY_WRONG_TYPE };
    for (size_t i = 0; i < 2; i++) {
        struct reader reader = { 0 };
        ask(&reader, "s", 10, 0);
        history_loaded(history, reads[i].token, failures[i], NULL, true, 0);
        cr_expect_eq(reader.answers, 1u);
        cr_expect_eq(reader.status[0], failures[i]);
    }
    struct reader reader = { 0 };
    ask(&reader, "s", 10, 0);
    cr_expect_eq(read_count, 3u);
}

Test(history, short_of_memory_is_unavailable)
{
    struct reader reader = { 0 };
    ask(&reader, "s", 10, 0);
    history_entry(history, reads[0].token, at(11), "{}", 2);
    history_entry(history, reads[0].token, at(12), NULL, 0);
    history_entry(history, reads[0].token, at(13), "{}", 2);
    struct stream_facts facts = { .exists = true };
    history_loaded(history, reads[0].token, HISTORY_OK, &facts, false, 0);
    cr_expect_eq(reader.status[0], HISTORY_UNAVAILABLE, "a page with a hole is none");

    may_read = false;
    cr_expect(!history_read(history, "s", 1, at(10), 0, on_ready, &reader));
    cr_expect_eq(reader.answers, 1u);
}

Test(history, answers_to_nothing_are_ignored)
{
    struct stream_facts facts = { .exists = true };
    history_entry(history, 99, at(1), "{}", 2);
    history_loaded(history, 99, HISTORY_OK, &facts, true, 0);
    struct reader reader = { 0 };
    ask(&reader, "s", 0, 0);
    answer(0, 5, false, 0);
    answer(0, 9, false, 0);
    cr_expect_eq(reader.answers, 1u);
    cr_expect_eq(reader.count, 5u);
}

/* Reads on from the callback, as a client that takes everything does. */
static void on_ready_read_on(void *context, enum history_status status, struct history_page *page)
{
    struct reader *reader = context;
    on_ready(reader, status, page);
    if (!page->is_last)
        cr_assert(history_read(history, "s", 1, page->end, 0, on_ready_read_on, reader));
}

Test(history, reading_on_from_the_answer)
{
    struct reader readers[2] = { 0 };
    for (size_t i = 0; i < 2; i++)
        cr_assert(history_read(history, "s", 1, at(0), 0, on_ready_read_on, &readers[i]));
    answer(0, 500, false, 0);
    answer(1, 700, true, 0);
    cr_expect_eq(read_count, 2u);
    for (size_t i = 0; i < 2; i++) {
        cr_expect_eq(readers[i].answers, 2u);
        cr_expect_eq(readers[i].end.ms, 700u);
    }
}

Test(history, ends_with_readers_waiting)
{
    struct reader reader = { 0 };
    ask(&reader, "s", 10, 0);
    ask(&reader, "t", 10, 0);
    history_entry(history, reads[0].token, at(11), "{}", 2);
    /* close_history(): nothing is answered, nothing leaks. */
}

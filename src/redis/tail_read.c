/* What is sent over the tail's link, and its replies: checks (XINFO STREAM) and reads (XREAD), one batch at a
 * time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "redis/reply_reader.h"
#include "redis/tail_state.h"

/* What a field or an id takes as a parsed reply, besides its bytes. */
#define REPLY_ELEMENT_BYTES 80

#define FIELDS_KEPT 1024

/* XREAD COUNT n BLOCK ms STREAMS */
#define READ_WORDS_MAX 6

static void tell_broken(struct tail *tail, struct watch *watch, enum tail_break reason, struct entry_id last)
{
    if (tail->events.on_broken)
        tail->events.on_broken(tail->events.context, watch->name, watch->length, reason, last);
}

/* --- checks --------------------------------------------------------------------------------------------- */

void tail_check_all(struct tail *tail, bool was_away)
{
    for (struct list *node = tail->set.next; node != &tail->set; node = node->next) {
        struct watch *watch = LIST_OWNER(node, struct watch, in_set);
        watch->must_check = true;
        watch->was_away |= was_away;
    }
}

static bool is_check_due(const struct tail *tail, const struct watch *watch, uint64_t now_ms)
{
    /* A little less than the time for which a read blocks, so that an idle stream is checked after each. */
    uint64_t check_after_ms = tail->block_ms_max / 8 * 7;
    return watch->must_check || (!tail->has_checked && now_ms - watch->checked_ms >= check_after_ms);
}

static bool send_check(struct tail *tail, struct watch *watch)
{
    const char *const arguments[] = { "XINFO", "STREAM", watch->name };
    const size_t lengths[] = { 5, 6, watch->length };
    if (!redis_link_send(tail->link, 3, arguments, lengths))
        return false;
    tail->checking[tail->checking_count++] = watch_hold(watch);
    return true;
}

/* True when there are checks under way, or the link is lost. */
static bool begin_checks(struct tail *tail)
{
    uint64_t now_ms = clock_now_ms();
    for (struct list *node = tail->checks.next;
         node != &tail->checks && tail->checking_count < TAIL_CHECKS_MAX; node = node->next) {
        struct watch *watch = LIST_OWNER(node, struct watch, in_checks);
        if (!is_check_due(tail, watch, now_ms))
            break;
        tail->phase = TAIL_CHECKING;
        if (!send_check(tail, watch)) {
            redis_link_reset(tail->link, "no room for a question about a stream");
            break;
        }
    }
    tail->has_checked |= tail->phase == TAIL_CHECKING;
    return tail->phase == TAIL_CHECKING;
}

static void judge(struct tail *tail, struct watch *watch, const struct reply *reply)
{
    static const char strange[] = "Redis gave an answer to XINFO STREAM that is none";
    struct stream_info info;
    if (!stream_info_parse(reply, &info)) {
        if (reply_error_is_transient(reply))
            redis_link_reset(tail->link, reply->text);
        else if (reply->kind == REPLY_ERROR)
            watch_refuse(tail, watch, reply->text, reply->text_length);
        else
            watch_refuse(tail, watch, strange, strlen(strange));
        return;
    }
    enum stream_verdict verdict = stream_progress_check(&watch->progress, &info, watch->was_away);
    watch->must_check = false;
    watch->was_away = false;
    watch->checked_ms = clock_now_ms();
    list_remove(&watch->in_checks);
    list_append(&tail->checks, &watch->in_checks);
    if (verdict != STREAM_INTACT)
        tell_broken(tail, watch, verdict == STREAM_TRIMMED ? TAIL_BREAK_TRIMMED : TAIL_BREAK_RESET,
                    watch->progress.position);
}

static void end_checks(struct tail *tail)
{
    while (tail->checking_answered < tail->checking_count)
        watch_release(tail->checking[tail->checking_answered++]);
    tail->checking_answered = 0;
    tail->checking_count = 0;
    tail->phase = TAIL_IDLE;
}

static void take_check(struct tail *tail, const struct reply *reply)
{
    struct watch *watch = tail->checking[tail->checking_answered++];
    if (watch->state == WATCH_WATCHED)
        judge(tail, watch, reply);
    watch_release(watch);
    if (tail->checking_answered == tail->checking_count)
        end_checks(tail);
}

/* --- sending a read ------------------------------------------------------------------------------------- */

static bool reserve_arguments(struct tail *tail, size_t count)
{
    if (count <= tail->argument_capacity)
        return true;
    size_t capacity = count * 2;
    const char **arguments = realloc(tail->arguments, capacity * sizeof(*arguments));
    if (arguments)
        tail->arguments = arguments;
    size_t *lengths = realloc(tail->lengths, capacity * sizeof(*lengths));
    if (lengths)
        tail->lengths = lengths;
    if (!arguments || !lengths)
        return false;
    tail->argument_capacity = capacity;
    return true;
}

static void write_position(struct watch *watch)
{
    if (watch->position_length > 0 &&
        entry_id_compare(watch->position_as_text, watch->progress.position) == 0)
        return;
    watch->position_as_text = watch->progress.position;
    watch->position_length = entry_id_format(watch->progress.position, watch->position);
}

static void add_argument(struct tail *tail, size_t *count, const char *bytes, size_t length)
{
    tail->arguments[*count] = bytes;
    tail->lengths[*count] = length;
    ++*count;
}

/* The first `window` streams of the set, and their positions. Returns how many arguments it all is. */
static size_t add_streams(struct tail *tail, size_t count, size_t window)
{
    size_t added = 0;
    size_t names = count;
    for (struct list *node = tail->set.next; added < window; node = node->next, added++) {
        struct watch *watch = LIST_OWNER(node, struct watch, in_set);
        watch->read_number = tail->read_number;
        write_position(watch);
        add_argument(tail, &names, watch->name, watch->length);
        size_t position = count + window + added;
        add_argument(tail, &position, watch->position, watch->position_length);
    }
    return count + 2 * window;
}

static bool send_read(struct tail *tail, size_t window)
{
    char entries[24];
    char block_ms[24];
    size_t count = 0;
    if (!reserve_arguments(tail, READ_WORDS_MAX + 2 * window))
        return false;
    int entries_length = snprintf(entries, sizeof(entries), "%zu", tail->size.count);
    int block_length = snprintf(block_ms, sizeof(block_ms), "%" PRIu64, tail_block_ms(tail));
    add_argument(tail, &count, "XREAD", 5);
    add_argument(tail, &count, "COUNT", 5);
    add_argument(tail, &count, entries, (size_t)entries_length);
    if (tail->is_blocking) {
        add_argument(tail, &count, "BLOCK", 5);
        add_argument(tail, &count, block_ms, (size_t)block_length);
    }
    add_argument(tail, &count, "STREAMS", 7);
    count = add_streams(tail, count, window);
    return redis_link_send(tail->link, (int)count, tail->arguments, tail->lengths);
}

static void begin_read(struct tail *tail)
{
    if (tail->set_count == 0)
        return;
    uint64_t now_ms = clock_now_ms();
    uint64_t not_before_ms = tail->read_ms + tail_spacing_ms(tail);
    if (now_ms < not_before_ms) {
        tail_step_in(tail, not_before_ms - now_ms);
        return;
    }
    size_t window = tail->size.window < tail->set_count ? tail->size.window : tail->set_count;
    tail->phase = TAIL_READING;
    tail->is_blocking = window == tail->set_count;
    tail->read_number++;
    tail->read_ms = now_ms;
    tail->has_checked = false;
    if (!send_read(tail, window))
        redis_link_reset(tail->link, "no room for reading streams");
    else if (tail->is_blocking)
        tail_expect_wake(tail);
}

void tail_step(struct tail *tail)
{
    tail_answer_owed(tail);
    if (tail->phase == TAIL_READING)
        tail_wake(tail);
    if (tail->phase != TAIL_IDLE || redis_link_state(tail->link) != REDIS_LINK_READY)
        return;
    if (!begin_checks(tail))
        begin_read(tail);
}

/* --- what was read -------------------------------------------------------------------------------------- */

struct tally {
    size_t streams;
    size_t entries;
    size_t bytes;
};

static bool reserve_fields(struct tail *tail, size_t count)
{
    if (count <= tail->field_capacity)
        return true;
    struct entry_field *fields = realloc(tail->fields, count * sizeof(*fields));
    if (!fields)
        return false;
    tail->fields = fields;
    tail->field_capacity = count;
    return true;
}

/* One entry of very many fields is no reason to keep that much. */
static void shrink_fields(struct tail *tail)
{
    if (tail->field_capacity <= FIELDS_KEPT)
        return;
    free(tail->fields);
    tail->fields = NULL;
    tail->field_capacity = 0;
}

static bool collect_fields(struct tail *tail, const struct reply *list, struct tally *tally)
{
    if (!reserve_fields(tail, list->count / 2))
        return false;
    for (size_t i = 0; i < list->count / 2; i++) {
        struct reply name = reply_element(list, 2 * i);
        struct reply value = reply_element(list, 2 * i + 1);
        tail->fields[i] = (struct entry_field){
            .name = name.text,
            .name_length = name.text_length,
            .value = value.text,
            .value_length = value.text_length,
        };
        tally->bytes += name.text_length + value.text_length + (size_t)2 * REPLY_ELEMENT_BYTES;
    }
    tally->bytes += (size_t)3 * REPLY_ELEMENT_BYTES;
    tally->entries++;
    return true;
}

/* False when reading cannot go on; the link has been reset then, and the entry is read again. */
static bool take_entry(struct tail *tail, struct watch *watch, const struct reply *entry, struct tally *tally)
{
    struct entry_id id;
    struct reply id_text = reply_element(entry, 0);
    struct reply fields = reply_element(entry, 1);
    if (id_text.kind != REPLY_TEXT || !entry_id_parse(id_text.text, id_text.text_length, &id)) {
        redis_link_reset(tail->link, "a stream entry without an id");
        return false;
    }
    if (!collect_fields(tail, &fields, tally)) {
        redis_link_reset(tail->link, "memory is short");
        return false;
    }
    struct entry_id before = watch->progress.position;
    bool is_lossy = false;
    if (!stream_progress_take(&watch->progress, id, &is_lossy))
        return true;
    if (is_lossy)
        tell_broken(tail, watch, TAIL_BREAK_TRIMMED, before);
    if (watch->state == WATCH_WATCHED && tail->events.on_entry)
        tail->events.on_entry(tail->events.context, watch->name, watch->length, id, tail->fields,
                              fields.count / 2);
    return true;
}

static bool take_stream(struct tail *tail, const struct reply *stream, struct tally *tally)
{
    struct reply name = reply_element(stream, 0);
    struct reply entries = reply_element(stream, 1);
    struct watch *watch =
        name.kind == REPLY_TEXT ? map_get(tail->watches, name.text, name.text_length) : NULL;
    /* It may have been watched anew since the read was sent, from another position. */
    if (!watch || watch->state != WATCH_WATCHED || watch->read_number != tail->read_number)
        return true;
    watch_hold(watch);
    tally->streams++;
    bool goes_on = true;
    for (size_t i = 0; goes_on && i < entries.count && watch->state == WATCH_WATCHED; i++) {
        struct reply entry = reply_element(&entries, i);
        goes_on = take_entry(tail, watch, &entry, tally);
    }
    watch_release(watch);
    return goes_on;
}

/* In a read of a part of the set, the others come next. */
static void rotate_set(struct tail *tail)
{
    for (size_t i = 0; i < tail->set_count; i++) {
        struct watch *watch = LIST_OWNER(list_first(&tail->set), struct watch, in_set);
        if (watch->read_number != tail->read_number)
            return;
        list_remove(&watch->in_set);
        list_append(&tail->set, &watch->in_set);
    }
}

static void take_streams(struct tail *tail, const struct reply *streams)
{
    struct tally tally = { 0 };
    bool goes_on = true;
    for (size_t i = 0; goes_on && i < streams->count; i++) {
        struct reply stream = reply_element(streams, i);
        goes_on = take_stream(tail, &stream, &tally);
    }
    shrink_fields(tail);
    read_size_took(&tail->size, tally.streams, tally.entries, tally.bytes);
    if (!tail->is_blocking)
        rotate_set(tail);
}

static void refuse_all(struct tail *tail, const struct reply *error)
{
    struct list *node;
    while ((node = list_first(&tail->set)))
        watch_refuse(tail, LIST_OWNER(node, struct watch, in_set), error->text, error->text_length);
}

/* One key of the wrong type, or one that is not permitted, fails the read of all: XINFO STREAM finds which.
 */
static void take_read_error(struct tail *tail, const struct reply *error)
{
    bool is_one_key = reply_has_prefix(error, "WRONGTYPE") || reply_has_prefix(error, "NOPERM");
    tail->read_errors++;
    if (is_one_key && tail->read_errors == 1)
        tail_check_all(tail, false);
    else if (reply_has_prefix(error, "NOPERM"))
        refuse_all(tail, error); /* XREAD itself */
    else
        redis_link_reset(tail->link, error->text);
}

static void take_read(struct tail *tail, const struct reply *reply)
{
    tail->phase = TAIL_IDLE;
    if (reply->kind == REPLY_ERROR) {
        take_read_error(tail, reply);
        return;
    }
    tail->read_errors = 0;
    if (reply->kind == REPLY_ARRAY || reply->kind == REPLY_NIL)
        take_streams(tail, reply);
    else
        redis_link_reset(tail->link, "a reply that XREAD does not have");
}

void tail_take_reply(struct tail *tail, const struct reply *reply)
{
    switch (tail->phase) {
    case TAIL_CHECKING:
        take_check(tail, reply);
        break;
    case TAIL_READING:
        take_read(tail, reply);
        break;
    case TAIL_IDLE:
        redis_link_reset(tail->link, "a reply that was not asked for");
        break;
    }
}

/* --- losing the link ------------------------------------------------------------------------------------ */

/* The stream whose entry fits into no reply, if that is what took the link down. NULL: try again, with less.
 */
static struct watch *find_oversized(struct tail *tail)
{
    if (tail->phase == TAIL_CHECKING)
        return tail->checking_answered < tail->checking_count ? tail->checking[tail->checking_answered]
                                                              : NULL;
    if (tail->phase != TAIL_READING || read_size_too_large(&tail->size, tail->set_count))
        return NULL;
    struct list *first = list_first(&tail->set);
    struct watch *watch = first ? LIST_OWNER(first, struct watch, in_set) : NULL;
    return watch && watch->read_number == tail->read_number ? watch : NULL;
}

void tail_lose_link(struct tail *tail, const char *reason)
{
    static const char oversized[] = "an entry is larger than redis_reply_bytes_max";
    bool is_too_large = strcmp(reason, REPLY_READER_TOO_LARGE) == 0;
    struct watch *watch = is_too_large ? find_oversized(tail) : NULL;
    if (watch && watch->state == WATCH_WATCHED)
        watch_refuse(tail, watch, oversized, strlen(oversized));
    end_checks(tail);
    tail->read_errors = 0;
}

/*
 * Streams, before a subscriber is live: what it misses is read back page by page until the ring has the rest.
 *
 *   hub_streams_ready ── behind the ring ──▶ queued ──▶ page read ──▶ page sent ──▶ taken by the client ──┐
 *        ▲    └── all rings reach back far enough: join                                                   │
 *        └────────────────────────────────────────────────────────────────────────────────────────────────┘
 *
 * Pages are asked for a few at a time, sent for half a millisecond in each turn, and each client has one at
 * most, so that neither live delivery nor memory feels a thousand clients that come back at once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hub/hub_state.h"

/* They are answered together when they wait for the same page, so this is also how long a turn may get. */
#define REPLAYS_ACTIVE_MAX 4
#define REPLAY_TURN_NS (500 * 1000)
#define REPLAY_AGAIN_MS 1000
#define TAIL_LAG_MS 20 /* another gateway may be ahead of our tail by this much */

static const struct timeval next_turn = { 0, 0 };

static bool covered(const struct membership *membership)
{
    const struct topic *topic = membership->topic;
    return entry_id_compare(membership->position, topic->ring.floor_entry) >= 0 &&
           entry_id_compare(membership->position, topic->last_entry) <= 0;
}

/* The first stream whose ring does not reach back to the subscriber's position; topic_count if there is none.
 */
static size_t find_behind(struct subscriber *subscriber)
{
    for (size_t i = 0; i < subscriber->topic_count; i++) {
        struct membership *membership = subscriber_membership(subscriber, i);
        if (membership->topic->kind != TOPIC_STREAM)
            continue;
        if (!membership->placed) {
            membership->placed = true;
            membership->proved = true;
            membership->position = membership->topic->last_entry;
        }
        if (!covered(membership))
            return i;
    }
    return subscriber->topic_count;
}

static void wake(struct hub *hub)
{
    if (!list_empty(&hub->replays) && hub->replays_active < REPLAYS_ACTIVE_MAX)
        event_add(hub->replay_timer, &next_turn);
}

bool hub_streams_ready(struct hub *hub, struct subscriber *subscriber)
{
    if (subscriber->awaits_page || subscriber->replay_waits || list_linked(&subscriber->replay))
        return false;
    if (find_behind(subscriber) == subscriber->topic_count)
        return true;
    list_append(&hub->replays, &subscriber->replay);
    wake(hub);
    return false;
}

void hub_cancel_page(struct hub *hub, struct subscriber *subscriber)
{
    list_remove(&subscriber->replay);
    subscriber->replay_waits = false;
    if (!subscriber->awaits_page)
        return;
    subscriber->awaits_page = false;
    hub->replays_active--;
    history_cancel(hub->history, subscriber);
    wake(hub);
}

void hub_replay_taken(struct hub *hub, struct subscriber *subscriber)
{
    subscriber->replay_waits = false;
    hub_try_join(hub, subscriber);
}

/* --- is anything lost? --- */

/*
 * Compares where a client wants to go on with what the stream has. Says `gap` when what was between is gone,
 * or when the stream is not the one the client knew: then it gets all there is.
 */
static void prove(struct hub *hub, struct subscriber *subscriber, struct membership *membership,
                  const struct stream_facts *facts, struct buffer *out)
{
    const struct topic *topic = membership->topic;
    struct stream_gap gap = { .stream = topic->name, .length = topic->name_length, .first = facts->first };
    bool nowhere = membership->position.ms == 0 && membership->position.sequence == 0;
    if (entry_id_compare(membership->position, facts->last) > 0) {
        membership->position = (struct entry_id){ 0 };
        hub_append_gap(hub, subscriber, subscriber->sequence, GAP_UNKNOWN_ID, &gap, out);
    } else if (entry_id_compare(membership->position, facts->first) < 0 ||
               (facts->length == 0 && entry_id_compare(membership->position, facts->last) < 0)) {
        if (nowhere && facts->entries_added > facts->length)
            gap.missing = facts->entries_added - facts->length;
        if (!nowhere || facts->entries_added != facts->length)
            hub_append_gap(hub, subscriber, subscriber->sequence, GAP_TRIMMED, &gap, out);
    }
    membership->proved = true;
}

/*
 * From the first page on, ids say where the subscriber stands among its channels, too. What it missed there
 * is told before, and what comes there during the replay is given to it from the rings.
 */
static void settle_channels(struct hub *hub, struct subscriber *subscriber, struct buffer *out)
{
    enum gap_reason reason;
    if (!subscriber->has_channels || subscriber->join == JOIN_REPLAY)
        return;
    if (subscriber->join == JOIN_AFTER_GAP) {
        if (hub_rings_cover(subscriber, &reason))
            subscriber->join = JOIN_REPLAY;
        return;
    }
    subscriber->sequence = hub->sequence;
    if (hub_find_gap(subscriber, &reason))
        hub_append_gap(hub, subscriber, subscriber->sequence, reason, NULL, out);
    subscriber->join = JOIN_REPLAY;
}

/* --- sending a page --- */

/* The page's frames, made by whoever needs them first. NULL when memory is short. */
static struct chunk *page_chunk(struct hub *hub, struct history_page *page, unsigned format)
{
    _Static_assert(STREAM_FORMATS <= HISTORY_FORMATS, "a page has room for the frames of each format");
    if (page->chunks[format])
        return page->chunks[format];
    struct chunk *chunk = chunk_create();
    uint32_t *offsets = calloc(page->count + 1, sizeof(*offsets));
    if (chunk && offsets) {
        for (size_t i = 0; i < page->count; i++) {
            frames_append_message(&chunk->bytes, format, hub->epoch, page->entries[i]);
            offsets[i + 1] = (uint32_t)chunk->bytes.size;
        }
    }
    if (!chunk || !offsets || chunk->bytes.failed) {
        chunk_release(chunk);
        free(offsets);
        return NULL;
    }
    page->chunks[format] = chunk;
    page->offsets[format] = offsets;
    return chunk;
}

static enum delivery_result send_shared(struct hub *hub, struct subscriber *subscriber,
                                        struct history_page *page, size_t from, size_t to)
{
    struct chunk *chunk = page_chunk(hub, page, subscriber->format);
    if (!chunk)
        return DELIVERY_GONE;
    const uint32_t *offsets = page->offsets[subscriber->format];
    return subscriber_send(subscriber, &hub->delivery, chunk, offsets[from], offsets[to]);
}

static enum delivery_result send_own(struct hub *hub, struct subscriber *subscriber,
                                     struct membership *membership, const struct history_page *page,
                                     size_t from, size_t to)
{
    struct buffer out = { 0 };
    for (size_t i = from; i < to; i++) {
        membership->position = page->entries[i]->entry;
        hub_append_id_line(hub, subscriber, subscriber->sequence, &out);
        frames_append_message(&out, FRAME_BARE(subscriber->format), hub->epoch, page->entries[i]);
    }
    enum delivery_result result =
        out.failed ? DELIVERY_GONE : subscriber_send_bytes(subscriber, &hub->delivery, out.data, out.size);
    buffer_free(&out);
    return result;
}

/* Sends what of the page the tail has brought, too: what is newer comes by the tail. False when the
 * subscriber is gone. */
static bool send_page(struct hub *hub, struct subscriber *subscriber, struct membership *membership,
                      struct history_page *page)
{
    struct topic *topic = membership->topic;
    size_t from = history_page_after(page, membership->position);
    size_t to = history_page_after(page, topic->last_entry);
    if (to > from) {
        enum delivery_result result = subscriber->composite
                                          ? send_own(hub, subscriber, membership, page, from, to)
                                          : send_shared(hub, subscriber, page, from, to);
        if (result != DELIVERY_DONE) {
            hub_failed(hub, subscriber, result);
            return false;
        }
        membership->position = page->entries[to - 1]->entry;
        membership->proved = false; /* what follows may be trimmed before it is read */
        hub->metrics->stream_replayed += to - from;
        hub->metrics->sse_events += to - from;
    }
    /* When it was read there was nothing more up to the stream's last id, so nothing is skipped by going
     * there. */
    struct entry_id last = page->facts.last;
    if (entry_id_compare(last, topic->last_entry) > 0)
        last = topic->last_entry;
    if (page->is_last && to == page->count && entry_id_compare(last, membership->position) > 0)
        membership->position = last;
    return true;
}

static void on_page(void *context, enum history_status status, struct history_page *page)
{
    struct subscriber *subscriber = context;
    struct membership *membership = subscriber_membership(subscriber, subscriber->replay_index);
    struct hub *hub = membership->topic->hub;
    subscriber->awaits_page = false;
    hub->replays_active--;
    wake(hub);
    if (status == HISTORY_WRONG_TYPE) {
        hub_dismiss(hub, subscriber, "this key is no stream");
        return;
    }
    if (status == HISTORY_UNAVAILABLE) {
        hub_join_waiting_in(hub, REPLAY_AGAIN_MS);
        return;
    }
    hub->delivery.now_ms = clock_now_ms();
    struct buffer out = { 0 };
    hub_append_greeting(hub, subscriber, &out);
    settle_channels(hub, subscriber, &out);
    bool ahead = entry_id_compare(membership->position, membership->topic->last_entry) > 0;
    bool tail_lags = ahead && entry_id_compare(membership->position, page->facts.last) <= 0;
    if (!membership->proved)
        prove(hub, subscriber, membership, &page->facts, &out);
    else if (ahead && !tail_lags)
        membership->position = membership->topic->last_entry; /* wants the future: that begins now */
    if (!hub_send_built(hub, subscriber, &out))
        return;
    if (tail_lags) {
        hub_join_waiting_in(hub, TAIL_LAG_MS);
        return;
    }
    bool same_place = entry_id_compare(page->after, membership->position) <= 0;
    if (same_place && !send_page(hub, subscriber, membership, page))
        return;
    subscriber->replay_waits = subscriber_has_backlog(subscriber);
    if (!subscriber->replay_waits)
        hub_try_join(hub, subscriber);
}

/* --- one after the other --- */

static void ask_page(struct hub *hub, struct subscriber *subscriber)
{
    size_t index = find_behind(subscriber);
    if (index == subscriber->topic_count) {
        hub_try_join(hub, subscriber);
        return;
    }
    struct membership *membership = subscriber_membership(subscriber, index);
    struct topic *topic = membership->topic;
    subscriber->replay_index = (uint16_t)index;
    subscriber->awaits_page = true;
    hub->replays_active++;
    if (!history_read(hub->history, topic->name, topic->name_length, membership->position, clock_now_ms(),
                      on_page, subscriber)) {
        subscriber->awaits_page = false;
        hub->replays_active--;
        hub_let_go(hub, subscriber);
    }
}

static void on_next_turn(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct hub *hub = context;
    uint64_t end_ns = clock_now_ns() + REPLAY_TURN_NS;
    struct list *node;
    while (hub->replays_active < REPLAYS_ACTIVE_MAX && (node = list_first(&hub->replays)) != NULL) {
        list_remove(node);
        ask_page(hub, LIST_OWNER(node, struct subscriber, replay));
        if (clock_now_ns() >= end_ns)
            break;
    }
    wake(hub);
    hub_visit_listed(hub);
}

bool hub_start_replays(struct hub *hub)
{
    list_init(&hub->replays);
    hub->replay_timer = evtimer_new(hub->base, on_next_turn, hub);
    return hub->replay_timer != NULL;
}

void hub_stop_replays(struct hub *hub)
{
    if (hub->replay_timer)
        event_free(hub->replay_timer);
    hub->replay_timer = NULL;
}

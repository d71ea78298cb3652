#include "hub/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"

struct waiter {
    struct list node;
    history_ready *ready;
    void *context;
};

/* A page that is kept, or on its way while somebody waits for it. */
struct entry {
    struct list node; /* in the history's list of loading or of kept pages */
    struct history_page page;
    bool is_loading;
    bool failed; /* memory was short while it came */
    uint64_t token;
    uint64_t loaded_ms;
    size_t capacity;
    struct list waiters;
    size_t stream_length;
    char stream[];
};

struct history {
    struct history_source source;
    struct list loading; /* few: each entry that comes is looked for here */
    struct list kept;    /* oldest first */
    size_t bytes;
    uint64_t next_token;
};

struct history *history_create(const struct history_source *source)
{
    struct history *history = calloc(1, sizeof(*history));
    if (!history)
        return NULL;
    history->source = *source;
    list_init(&history->loading);
    list_init(&history->kept);
    return history;
}

static void entry_destroy(struct history *history, struct entry *entry)
{
    struct list *node;
    while ((node = list_first(&entry->waiters)) != NULL) {
        list_remove(node);
        free(LIST_OWNER(node, struct waiter, node));
    }
    for (size_t i = 0; i < entry->page.count; i++)
        message_release(entry->page.entries[i]);
    for (size_t i = 0; i < HISTORY_FORMATS; i++) {
        chunk_release(entry->page.chunks[i]);
        free(entry->page.offsets[i]);
    }
    history->bytes -= entry->page.bytes;
    list_remove(&entry->node);
    free(entry->page.entries);
    free(entry);
}

void history_destroy(struct history *history)
{
    if (!history)
        return;
    struct list *node;
    while ((node = list_first(&history->loading)) != NULL || (node = list_first(&history->kept)) != NULL)
        entry_destroy(history, LIST_OWNER(node, struct entry, node));
    free(history);
}

size_t history_page_after(const struct history_page *page, struct entry_id id)
{
    size_t low = 0;
    size_t high = page->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (entry_id_compare(page->entries[middle]->entry, id) > 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* True when the page says what follows `after`. The end of a stream is never kept: more may have come behind
 * it. */
static bool page_serves(const struct entry *entry, const char *stream, size_t length, struct entry_id after)
{
    if (entry->stream_length != length || memcmp(entry->stream, stream, length) != 0)
        return false;
    if (entry->is_loading)
        return entry_id_compare(entry->page.after, after) == 0;
    return entry_id_compare(entry->page.after, after) <= 0 && entry_id_compare(after, entry->page.end) < 0;
}

static struct entry *find_page(const struct list *list, const char *stream, size_t length,
                               struct entry_id after)
{
    for (struct list *node = list->next; node != list; node = node->next) {
        struct entry *entry = LIST_OWNER(node, struct entry, node);
        if (page_serves(entry, stream, length, after))
            return entry;
    }
    return NULL;
}

static struct entry *start_load(struct history *history, const char *stream, size_t length,
                                struct entry_id after)
{
    struct entry *entry = calloc(1, sizeof(*entry) + length);
    if (!entry)
        return NULL;
    entry->page.after = after;
    entry->page.end = after;
    entry->is_loading = true;
    entry->token = ++history->next_token;
    entry->stream_length = length;
    memcpy(entry->stream, stream, length);
    list_init(&entry->waiters);
    list_append(&history->loading, &entry->node);
    if (!history->source.read(history->source.context, stream, length, after, HISTORY_PAGE_ENTRIES,
                              entry->token)) {
        entry_destroy(history, entry);
        return NULL;
    }
    return entry;
}

bool history_read(struct history *history, const char *stream, size_t length, struct entry_id after,
                  uint64_t now_ms, history_ready *ready, void *context)
{
    history_sweep(history, now_ms);
    struct entry *entry = find_page(&history->kept, stream, length, after);
    if (entry) {
        ready(context, HISTORY_OK, &entry->page);
        return true;
    }
    entry = find_page(&history->loading, stream, length, after);
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    if (waiter && !entry)
        entry = start_load(history, stream, length, after);
    if (!waiter || !entry) {
        free(waiter);
        return false;
    }
    waiter->ready = ready;
    waiter->context = context;
    list_append(&entry->waiters, &waiter->node);
    return true;
}

void history_cancel(struct history *history, void *context)
{
    for (struct list *at = history->loading.next; at != &history->loading; at = at->next) {
        struct entry *entry = LIST_OWNER(at, struct entry, node);
        struct list *node = entry->waiters.next;
        while (node != &entry->waiters) {
            struct waiter *waiter = LIST_OWNER(node, struct waiter, node);
            node = node->next;
            if (waiter->context != context)
                continue;
            list_remove(&waiter->node);
            free(waiter);
        }
    }
}

static struct entry *find_load(struct history *history, uint64_t token)
{
    for (struct list *node = history->loading.next; node != &history->loading; node = node->next) {
        struct entry *entry = LIST_OWNER(node, struct entry, node);
        if (entry->token == token)
            return entry;
    }
    return NULL;
}

static bool grow(struct entry *entry)
{
    size_t capacity = entry->capacity ? entry->capacity * 2 : 64;
    struct message **entries = realloc(entry->page.entries, capacity * sizeof(struct message *));
    if (!entries)
        return false;
    entry->page.entries = entries;
    entry->capacity = capacity;
    return true;
}

void history_entry(struct history *history, uint64_t token, struct entry_id id, const char *json,
                   size_t length)
{
    struct entry *entry = find_load(history, token);
    if (!entry || entry->failed)
        return;
    struct message *message = json ? message_create(entry->stream, entry->stream_length, json, length) : NULL;
    if (!message || (entry->page.count == entry->capacity && !grow(entry))) {
        message_release(message);
        entry->failed = true;
        return;
    }
    message->entry = id;
    entry->page.entries[entry->page.count++] = message;
    entry->page.end = id;
    size_t cost = sizeof(*message) + entry->stream_length + length;
    entry->page.bytes += cost;
    history->bytes += cost;
}

/* Answers all who wait; they may ask for the next page meanwhile. */
static void answer(struct entry *entry, enum history_status status)
{
    struct list *node;
    while ((node = list_first(&entry->waiters)) != NULL) {
        struct waiter waiter = *LIST_OWNER(node, struct waiter, node);
        list_remove(node);
        free(LIST_OWNER(node, struct waiter, node));
        waiter.ready(waiter.context, status, status == HISTORY_OK ? &entry->page : NULL);
    }
}

/* The stream was deleted and begun again, or is gone: pages of what it was would be read over and over by who
 * is sent back to its beginning. */
static void forget_former(struct history *history, const struct entry *loaded)
{
    struct list *node = history->kept.next;
    while (node != &history->kept) {
        struct entry *kept = LIST_OWNER(node, struct entry, node);
        node = node->next;
        if (kept->stream_length == loaded->stream_length &&
            memcmp(kept->stream, loaded->stream, kept->stream_length) == 0 &&
            entry_id_compare(kept->page.end, loaded->page.facts.last) > 0)
            entry_destroy(history, kept);
    }
}

void history_loaded(struct history *history, uint64_t token, enum history_status status,
                    const struct stream_facts *facts, bool is_last, uint64_t now_ms)
{
    struct entry *entry = find_load(history, token);
    if (!entry)
        return;
    if (entry->failed)
        status = HISTORY_UNAVAILABLE;
    if (facts) {
        entry->page.facts = *facts;
        forget_former(history, entry);
    }
    entry->page.is_last = is_last;
    entry->loaded_ms = now_ms;
    /* Out of the list: whoever is answered may sweep, and must not find this one. */
    list_remove(&entry->node);
    entry->is_loading = false;
    answer(entry, status);
    list_append(&history->kept, &entry->node);
    if (status != HISTORY_OK || entry->page.count == 0)
        entry_destroy(history, entry);
}

void history_sweep(struct history *history, uint64_t now_ms)
{
    struct list *node = history->kept.next;
    while (node != &history->kept) {
        struct entry *entry = LIST_OWNER(node, struct entry, node);
        node = node->next;
        if (now_ms - entry->loaded_ms >= HISTORY_KEPT_MS || history->bytes > HISTORY_BYTES_MAX)
            entry_destroy(history, entry);
    }
}

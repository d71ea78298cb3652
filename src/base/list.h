/* An intrusive doubly linked list: the node lives in the listed object, so linking never allocates. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *previous;
};

/* The object that holds `node` as its `member`. */
#define LIST_OWNER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *head)
{
    head->next = head;
    head->previous = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

/* A zeroed or removed node is not linked. */
static inline bool list_linked(const struct list *node)
{
    return node->next != NULL;
}

/* The analyzer cannot know that a removed node, freed or not, is in no list. NOLINTBEGIN(clang-analyzer-*) */

static inline void list_append(struct list *head, struct list *node)
{
    node->next = head;
    node->previous = head->previous;
    head->previous->next = node;
    head->previous = node;
}

/* A no-op for a node that is not linked. */
static inline void list_remove(struct list *node)
{
    if (!node->next)
        return;
    node->next->previous = node->previous;
    node->previous->next = node->next;
    node->next = NULL;
    node->previous = NULL;
}

static inline struct list *list_first(const struct list *head)
{
    return list_empty(head) ? NULL : head->next;
}

/* NOLINTEND(clang-analyzer-*) */

#include "base/list.h"

#include <criterion/criterion.h>

struct item {
    int number;
    struct list node;
};

Test(list, keeps_order_and_finds_owners)
{
    struct list head;
    struct item items[3] = { { .number = 1 }, { .number = 2 }, { .number = 3 } };
    list_init(&head);
    cr_assert(list_empty(&head));
    cr_assert_null(list_first(&head));
    for (int i = 0; i < 3; i++)
        list_append(&head, &items[i].node);
    int expected = 1;
    for (struct list *node = head.next; node != &head; node = node->next)
        cr_assert_eq(LIST_OWNER(node, struct item, node)->number, expected++);
    cr_assert_eq(expected, 4);
}

Test(list, removing_twice_is_harmless)
{
    struct list head;
    struct item items[2] = { { .number = 1 }, { .number = 2 } };
    list_init(&head);
    list_remove(&items[0].node);
    list_append(&head, &items[0].node);
    list_append(&head, &items[1].node);
    cr_assert(list_linked(&items[0].node));
    list_remove(&items[0].node);
    list_remove(&items[0].node);
    cr_assert_not(list_linked(&items[0].node));
    cr_assert_eq(list_first(&head), &items[1].node);
    list_remove(&items[1].node);
    cr_assert(list_empty(&head));
}

/* item_order.h - sorts items by a number each, in linear time: a layout and a list of
 * the popular items are made at every start. Least significant digit first, so items
 * with equal numbers stay in the order that they came in.
 */
#ifndef SERVE_ITEM_ORDER_H
#define SERVE_ITEM_ORDER_H

#include <stddef.h>
#include <stdint.h>

struct item_order_entry {
    uint32_t key;
    int32_t item;
};

/* Keys that grow when the number falls: the largest comes first. No NAN. */
uint32_t item_order_falling_float(float value);
uint32_t item_order_falling_int(int32_t value);

/* Sorts entries (n) by key into `sorted` (n); both are written. */
void item_order_sort(struct item_order_entry *entries, struct item_order_entry *sorted,
                     size_t n);

#endif

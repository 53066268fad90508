#include "serve/item_order.h"

#include <string.h>

/* Three digits: an odd number of passes ends in the other array. */
#define RADIX_BITS 11
#define RADIX      (1 << RADIX_BITS)

uint32_t item_order_falling_float(float value)
{
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 31 ? bits : ~bits & 0x7FFFFFFF;
}

uint32_t item_order_falling_int(int32_t value)
{
    return ~((uint32_t)value ^ 0x80000000);
}

void item_order_sort(struct item_order_entry *entries, struct item_order_entry *sorted,
                     size_t n)
{
    for (int shift = 0; shift < 32; shift += RADIX_BITS) {
        size_t start[RADIX + 1] = {0};
        for (size_t i = 0; i < n; i++) {
            start[(entries[i].key >> shift) % RADIX + 1]++;
        }
        for (int d = 0; d < RADIX; d++) {
            start[d + 1] += start[d];
        }
        for (size_t i = 0; i < n; i++) {
            sorted[start[(entries[i].key >> shift) % RADIX]++] = entries[i];
        }
        struct item_order_entry *other = entries;
        entries = sorted;
        sorted = other;
    }
}

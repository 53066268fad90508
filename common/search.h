/* search.h - binary search in ascending integers. */
#ifndef COMMON_SEARCH_H
#define COMMON_SEARCH_H

#include <stdint.h>

/* The first index in [begin, end) whose value is `value` or more; `end` when there is
 * none. `ascending` is in ascending order there. */
static inline int64_t lower_bound(const int32_t *ascending, int64_t begin, int64_t end,
                                  int64_t value)
{
    while (begin < end) {
        const int64_t middle = begin + (end - begin) / 2;
        if (ascending[middle] < value) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

#endif

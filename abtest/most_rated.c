#include "abtest/most_rated.h"

#include <stdlib.h>

struct counted {
    int32_t count, item;
};

static int compare_counted(const void *a, const void *b)
{
    const struct counted *x = a, *y = b;
    if (x->count != y->count) {
        return x->count < y->count ? 1 : -1;
    }
    return (x->item > y->item) - (x->item < y->item);
}

int32_t *most_rated_items(const struct model *model, int32_t *n)
{
    const size_t size = (size_t)model->n_items + 1;
    struct counted *counted = malloc(size * sizeof *counted);
    int32_t *items = malloc(size * sizeof *items);
    *n = 0;
    if (!counted || !items) {
        free(counted);
        free(items);
        return NULL;
    }
    for (int32_t i = 0; i < model->n_items; i++) {
        if (model->item_count[i] > 0) {
            counted[(*n)++] = (struct counted){model->item_count[i], i};
        }
    }
    qsort(counted, (size_t)*n, sizeof *counted, compare_counted);
    for (int32_t i = 0; i < *n; i++) {
        items[i] = counted[i].item;
    }
    free(counted);
    return items;
}

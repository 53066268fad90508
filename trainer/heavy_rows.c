#include "trainer/heavy_rows.h"

#include <stdlib.h>

#include "common/pages.h"
#include "common/search.h"
#include "trainer/half_step.h"
#include "trainer/normal.h"

#define PART_BYTES ((size_t)8 << 20)  /* of the other side: they fit a cache */
#define SUMS_BYTES ((size_t)48 << 20) /* for the heavy rows' sums, at most */

static int64_t count_at_least(const struct half_step *step, int64_t threshold)
{
    int64_t n = 0;
    for (int32_t row = 0; row < step->n_rows; row++) {
        n += step->start[row + 1] - step->start[row] >= threshold;
    }
    return n;
}

/* Ratings from which a row is heavy: a part must be worth fetching its sums for. */
static int64_t find_threshold(const struct half_step *step, int n_parts)
{
    const size_t size = (size_t)step->stride * (size_t)step->stride * sizeof(float);
    int64_t threshold = (int64_t)n_parts * NORMAL_BATCH;
    while ((size_t)count_at_least(step, threshold) > SUMS_BYTES / size) {
        threshold += threshold / 4;
    }
    return threshold;
}

static void find_order(struct heavy_rows *heavy, const struct half_step *step,
                       int64_t threshold)
{
    int32_t at_heavy = 0, at_light = heavy->n;
    for (int32_t row = 0; row < step->n_rows; row++) {
        const int64_t n_ratings = step->start[row + 1] - step->start[row];
        heavy->order[n_ratings >= threshold ? at_heavy++ : at_light++] = row;
    }
}

static void find_bounds(struct heavy_rows *heavy, const struct half_step *step,
                        int64_t part_rows)
{
    for (int32_t h = 0; h < heavy->n; h++) {
        int64_t *bounds = heavy->bounds + (size_t)h * ((size_t)heavy->n_parts + 1);
        const int64_t end = step->start[heavy->order[h] + 1];
        bounds[0] = step->start[heavy->order[h]];
        for (int p = 1; p < heavy->n_parts; p++) {
            bounds[p] = lower_bound(step->col, bounds[p - 1], end, p * part_rows);
        }
        bounds[heavy->n_parts] = end;
    }
}

int heavy_rows_init(struct heavy_rows *heavy, const struct half_step *step)
{
    const size_t size = (size_t)step->stride * (size_t)step->stride;
    const int32_t part_rows =
        (int32_t)(PART_BYTES / ((size_t)step->stride * sizeof(float)));
    *heavy = (struct heavy_rows){.n_parts = step->n_cols / part_rows + 1};
    const int64_t threshold =
        heavy->n_parts > 1 ? find_threshold(step, heavy->n_parts) : INT64_MAX;
    heavy->n = (int32_t)count_at_least(step, threshold);
    heavy->order = calloc((size_t)step->n_rows + 1, sizeof *heavy->order);
    heavy->bounds = malloc(((size_t)heavy->n * ((size_t)heavy->n_parts + 1) + 1) *
                           sizeof *heavy->bounds);
    heavy->sums =
        pages_alloc(((size_t)heavy->n * size + 1) * sizeof(float), NORMAL_ALIGNMENT);
    if (!heavy->order || !heavy->bounds || !heavy->sums) {
        heavy_rows_free(heavy);
        return -1;
    }
    find_order(heavy, step, threshold);
    find_bounds(heavy, step, part_rows);
    return 0;
}

void heavy_rows_free(struct heavy_rows *heavy)
{
    free(heavy->order);
    free(heavy->bounds);
    free(heavy->sums);
    *heavy = (struct heavy_rows){0};
}

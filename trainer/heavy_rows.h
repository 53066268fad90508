/* heavy_rows.h - the rows of a half step whose ratings are worked through in parts.
 *
 * The other side's vectors of a popular item are spread over tens of megabytes. Worked
 * through row by row each comes from memory; when the popular rows take turns with one
 * part of the other side after another, the part comes once and stays in the cache. And
 * no row is one thread's for long: the parts of a row with 100,000 ratings may go to
 * several. A row's parts are added in their order, and where they end depends on the
 * ratings alone, so the number of threads changes nothing.
 */
#ifndef TRAINER_HEAVY_ROWS_H
#define TRAINER_HEAVY_ROWS_H

#include <stdint.h>

#include "common/error.h"

struct half_step;

struct heavy_rows {
    int32_t n;       /* heavy rows; 0 when the other side fits the cache */
    int n_parts;     /* of the other side */
    int32_t *order;  /* (n_rows) all rows: the heavy ones, then the rest, ascending */
    int64_t *bounds; /* (n, n_parts + 1): the ratings of order[h] in part p are
                        [bounds[h, p], bounds[h, p + 1]) */
    float *sums;     /* (n, stride, stride), uninitialised */
};

/* Chooses them. Returns -1 when memory ran out, and has then freed everything. */
MUST_CHECK int heavy_rows_init(struct heavy_rows *heavy, const struct half_step *step);
void heavy_rows_free(struct heavy_rows *heavy);

#endif

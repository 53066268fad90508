/* most_rated.h - the items of a model by how often they were rated. */
#ifndef ABTEST_MOST_RATED_H
#define ABTEST_MOST_RATED_H

#include <stdint.h>

#include "trainer/trainer.h"

/* Indices of the *n items that have a rating, the most rated first, ties by index. The
 * caller frees them; NULL: no memory. */
int32_t *most_rated_items(const struct model *model, int32_t *n);

#endif

/* quadtree.h - points in the plane, summarised by square cells, for forces that fall
 * with distance (Barnes & Hut, Nature 324 (1986) 446).
 */
#ifndef TRAINER_QUADTREE_H
#define TRAINER_QUADTREE_H

#include <stdint.h>

#include "common/error.h"

struct quadtree_cell {
    double x, y;      /* centre of mass */
    double width2;    /* squared side */
    int32_t count;    /* points inside */
    int32_t children; /* index of the first of four cells; 0: a leaf */
};

/* Kept from build to build, so that only growth allocates. Zero-initialised is empty.
 */
struct quadtree {
    struct quadtree_cell *cells; /* cells[0] is the root */
    int32_t n_cells, capacity;
};

void quadtree_free(struct quadtree *tree);

/* Builds the tree of points (n, 2), finite, n >= 1. Fails with ERROR_NOMEM. */
MUST_CHECK int quadtree_build(struct quadtree *tree, const double *points, int32_t n,
                              struct error *error);

/* Repulsion on `point` (2), which is in the tree: adds to force (2) the sum over other
 * points j of q_j^2 (point - j) with q_j = 1 / (1 + distance^2), and returns the sum of
 * q_j. Cells with width < theta x distance count as one point; theta in [0, 0.7]. */
double quadtree_repel(const struct quadtree *tree, const double *point, double theta,
                      double *force);

#endif

/* normal_wishart.h - draws the mean and the precision matrix of a normal distribution
 * from their posterior, given rows that it is thought to have made.
 *
 * Prior: L ~ Wishart(I, dim), mu ~ N(0, (2 L)^-1).
 * Source: Salakhutdinov & Mnih, ICML 2008, equation 14; Bartlett's decomposition of a
 * Wishart matrix: Smith & Hocking, Applied Statistics 21 (1972) 341; gamma variates:
 * Marsaglia & Tsang, ACM TOMS 26 (2000) 363.
 */
#ifndef TRAINER_NORMAL_WISHART_H
#define TRAINER_NORMAL_WISHART_H

#include <stdint.h>

#include "common/rng.h"

/* Doubles of scratch for `dim` dimensions. */
#define NORMAL_WISHART_SCRATCH(dim) (4 * (size_t)(dim) * (size_t)(dim) + (size_t)(dim))

/* What is known of n >= 0 rows x of `dim` numbers. */
struct row_sums {
    int64_t n;
    int dim;
    const double *sum;    /* (dim) of x */
    const double *square; /* (dim, dim; lower triangle) of x x^T */
};

/* Fills mean (dim) and precision (dim, dim; both triangles). Returns 0, or -1 when the
 * sums are not those of finite rows. */
int normal_wishart_draw(const struct row_sums *rows, struct rng *rng, double *scratch,
                        double *mean, double *precision);

/* Gamma variate with mean shape * scale, shape >= 1/2, scale > 0. */
double gamma_draw(struct rng *rng, double shape, double scale);

#endif

/* pca.h - principal components: the directions in which rows differ most.
 *
 * Rows are centred, not scaled; the components are eigenvectors of the covariance. Each
 * is turned so that its largest element is positive, because the sign means nothing and
 * a picture must not flip between runs. Source: Jolliffe, Principal Component Analysis
 * (2002), section 1.1. Shows the large differences well and neighbourhoods badly;
 * tsne.h is the opposite.
 */
#ifndef TRAINER_PCA_H
#define TRAINER_PCA_H

#include <stdint.h>

#include "common/error.h"

/* Projects rows (n, k) on the first `n_components` components into out (n,
 * n_components), both row-major. share (n_components) gets each one's part of the
 * variance, 0 where there is none. n >= 1, 1 <= n_components <= k. Fails with
 * ERROR_NOMEM or ERROR_NUMERIC (a row holds NAN or an infinity). */
MUST_CHECK int pca_project(const float *rows, int32_t n, int k, int n_components,
                           double *out, double *share, struct error *error);

#endif

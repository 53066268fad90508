/* tsne.h - rows in two dimensions such that neighbours stay neighbours.
 *
 * t-SNE (van der Maaten & Hinton, JMLR 9 (2008) 2579) with the Barnes-Hut approximation
 * of the repulsion and the 3 x perplexity nearest neighbours for the attraction (van
 * der Maaten, JMLR 15 (2014) 3221): O(n log n) an iteration. The neighbours themselves
 * are exact, all pairs by blocked matrix products. It starts from the first two
 * principal components (Kobak & Berens, Nature Communications 10 (2019) 5416), so
 * nothing is random; early exaggeration 12 for a quarter of the iterations, learning
 * rate n / 12 (Belkina et al., same volume, 5415) but at least 200.
 *
 * Distances between clusters and sizes of clusters mean nothing. Same result at any
 * number of threads.
 */
#ifndef TRAINER_TSNE_H
#define TRAINER_TSNE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct tsne_config {
    double perplexity; /* neighbours that count, in [2, 200]; at most (n - 1) / 3 */
    int n_iterations;  /* in [10, 100000] */
    double theta;      /* a cell counts as one point when its width / distance is below;
                          in [0, 0.7]; 0 is exact and O(n^2) */
    bool use_cosine;   /* compare directions: rows are scaled to length 1 first */
    int n_threads;     /* > 0 */

    /* Called after every iteration unless NULL. */
    void (*progress)(void *context, int iteration, int n_iterations);
    void *context;
};

struct tsne_config tsne_config_default(void);

/* Embeds rows (n, k) into out (n, 2). *divergence, unless NULL, gets the
 * Kullback-Leibler divergence that is left, in nats, over the neighbours. Fails with
 * ERROR_INVALID (a setting, or n < 4), ERROR_NUMERIC (a row is not finite) or
 * ERROR_NOMEM. */
MUST_CHECK int tsne_embed(const float *rows, int32_t n, int k,
                          const struct tsne_config *config, double *out,
                          double *divergence, struct error *error);

#endif

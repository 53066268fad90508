/* Letters as in van der Maaten (2014): P similarities of rows, Q of points, y points, Z
 * the normalisation of Q. */
#include "trainer/tsne.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/neighbors.h"
#include "trainer/pca.h"
#include "trainer/quadtree.h"

#define EXAGGERATION 12.0

/* Symmetric P, sparse: row i holds entries [start[i], start[i + 1]). */
struct similarities {
    int64_t *start;
    int32_t *other;
    double *p;
};

struct embedding {
    const struct tsne_config *config;
    int32_t n;
    double *y;         /* (n, 2), the caller's */
    double *gradient;  /* (n, 2) */
    double *velocity;  /* (n, 2) */
    double *gain;      /* (n, 2) */
    double *repulsion; /* (n, 2) */
    double *partial_z; /* (n) */
    double z;
    struct similarities P;
    struct quadtree tree;
};

struct tsne_config tsne_config_default(void)
{
    return (struct tsne_config){.perplexity = 30,
                                .n_iterations = 750,
                                .theta = 0.5,
                                .use_cosine = false,
                                .n_threads = 1};
}

static int check(const struct tsne_config *c, int32_t n, struct error *error)
{
    if (!(c->perplexity >= 2 && c->perplexity <= 200) ||
        !(c->theta >= 0 && c->theta <= 0.7) || c->n_iterations < 10 ||
        c->n_iterations > 100000 || c->n_threads < 1) {
        error_set(
            error, ERROR_INVALID,
            "t-SNE: perplexity must be in [2, 200], theta in [0, 0.7], iterations "
            "in [10, 100000]");
        return -1;
    }
    if (n < 4) {
        error_set(error, ERROR_INVALID, "t-SNE: %d rows; it needs 4", n);
        return -1;
    }
    return 0;
}

/* Weights w (m) of neighbours at squared distances d (m), ascending, such that the
 * entropy is ln(perplexity): bisection on the precision. They sum to 1. */
static void weigh(const float *d, int32_t m, double perplexity, double *w)
{
    double low = 0, high = INFINITY, beta = 1 / fmax((double)d[m - 1], 1e-12);
    const double wanted = log(perplexity);
    for (int step = 0; step < 100; step++) {
        double sum = 0, weighted = 0;
        for (int32_t j = 0; j < m; j++) {
            const double above = (double)d[j] - (double)d[0]; /* keeps exp from 0 */
            w[j] = exp(-beta * above);
            sum += w[j];
            weighted += w[j] * above;
        }
        const double entropy = log(sum) + beta * weighted / sum;
        for (int32_t j = 0; j < m; j++) {
            w[j] /= sum;
        }
        if (fabs(entropy - wanted) < 1e-6) {
            break;
        }
        if (entropy > wanted) {
            low = beta;
            beta = isfinite(high) ? (low + high) / 2 : 2 * beta;
        } else {
            high = beta;
            beta = (low + high) / 2;
        }
    }
}

/* P from the neighbours: p_ij = (w_ij + w_ji) / 2n. A pair that is only one way in the
 * neighbours is added to both rows; both ways, it stands twice, each with its half. */
static int symmetrize(const int32_t *index, const double *w, int32_t n, int32_t m,
                      struct similarities *P)
{
    const size_t n_pairs = (size_t)n * (size_t)m;
    P->start = calloc((size_t)n + 2, sizeof *P->start);
    P->other = malloc(2 * n_pairs * sizeof *P->other);
    P->p = malloc(2 * n_pairs * sizeof *P->p);
    if (!P->start || !P->other || !P->p) {
        return -1;
    }
    for (int32_t i = 0; i < n; i++) {
        P->start[i + 2] += m;
        for (int32_t j = 0; j < m; j++) {
            P->start[index[(size_t)i * (size_t)m + (size_t)j] + 2]++;
        }
    }
    for (int32_t i = 0; i < n; i++) {
        P->start[i + 2] += P->start[i + 1];
    }
    /* start[i + 1] is where row i is filled next; at the end it is where row i ends. */
    for (int32_t i = 0; i < n; i++) {
        for (int32_t j = 0; j < m; j++) {
            const size_t at = (size_t)i * (size_t)m + (size_t)j;
            const double p = w[at] / (2.0 * n);
            const int64_t own = P->start[i + 1]++;
            P->other[own] = index[at];
            P->p[own] = p;
            const int64_t theirs = P->start[index[at] + 1]++;
            P->other[theirs] = i;
            P->p[theirs] = p;
        }
    }
    return 0;
}

static int make_similarities(const float *rows, int32_t n, int k,
                             const struct tsne_config *config, struct similarities *P,
                             struct error *error)
{
    const double perplexity = fmin(config->perplexity, (n - 1) / 3.0);
    const int32_t wanted = (int32_t)(3 * perplexity), m = wanted < n ? wanted : n - 1;
    const size_t n_pairs = (size_t)n * (size_t)m;
    int32_t *index = malloc(n_pairs * sizeof *index);
    float *squared = malloc(n_pairs * sizeof *squared);
    double *w = malloc(n_pairs * sizeof *w);
    const struct neighbors found = {index, squared};
    int rc = -1;
    if (!index || !squared || !w) {
        goto out;
    }
    if (neighbors_find(rows, n, k, m, config->n_threads, &found, error) != 0) {
        goto out;
    }
#pragma omp parallel for num_threads(config->n_threads) schedule(static)
    for (int32_t i = 0; i < n; i++) {
        weigh(squared + (size_t)i * (size_t)m, m, perplexity,
              w + (size_t)i * (size_t)m);
    }
    rc = symmetrize(index, w, n, m, P);
out:
    if (rc != 0) {
        error_set(error, ERROR_NOMEM, "t-SNE: no memory for %d rows", n);
    }
    free(w);
    free(squared);
    free(index);
    return rc;
}

/* The first two principal components, the first with standard deviation 1e-4. */
static int start(struct embedding *e, const float *rows, int k, struct error *error)
{
    double share[2] = {0, 0}, squares = 0;
    const int n_components = k > 1 ? 2 : 1;
    memset(e->y, 0, 2 * (size_t)e->n * sizeof *e->y);
    if (pca_project(rows, e->n, k, n_components, e->y, share, error) != 0) {
        return -1;
    }
    for (int32_t i = e->n - 1; n_components == 1 && i >= 0; i--) {
        /* One column becomes two; without a second direction points would stay on a
         * line, so they alternate beside it. */
        const double x = e->y[i];
        e->y[2 * i] = x;
        e->y[2 * i + 1] = i % 2 ? 1e-2 * x : -1e-2 * x;
    }
    for (int32_t i = 0; i < e->n; i++) {
        squares += e->y[2 * i] * e->y[2 * i];
    }
    const double scale = squares > 0 ? 1e-4 / sqrt(squares / e->n) : 1;
    for (int32_t i = 0; i < 2 * e->n; i++) {
        e->y[i] *= scale;
        e->gain[i] = 1;
    }
    return 0;
}

/* Fills gradient and z. Its constant factor 4 is left to the learning rate. */
static int differentiate(struct embedding *e, double exaggeration, struct error *error)
{
    const struct similarities *P = &e->P;
    if (quadtree_build(&e->tree, e->y, e->n, error) != 0) {
        return -1;
    }
#pragma omp parallel for num_threads(e->config->n_threads) schedule(dynamic, 128)
    for (int32_t i = 0; i < e->n; i++) {
        const double *y = e->y + 2 * (size_t)i;
        double *force = e->repulsion + 2 * (size_t)i;
        double ax = 0, ay = 0;
        force[0] = force[1] = 0;
        e->partial_z[i] = quadtree_repel(&e->tree, y, e->config->theta, force);
        for (int64_t at = P->start[i]; at < P->start[i + 1]; at++) {
            const double *other = e->y + 2 * (size_t)P->other[at];
            const double dx = y[0] - other[0], dy = y[1] - other[1];
            const double pull = P->p[at] / (1 + dx * dx + dy * dy);
            ax += pull * dx;
            ay += pull * dy;
        }
        e->gradient[2 * i] = exaggeration * ax;
        e->gradient[2 * i + 1] = exaggeration * ay;
    }
    e->z = 0;
    for (int32_t i = 0; i < e->n; i++) {
        e->z += e->partial_z[i];
    }
    for (int32_t i = 0; i < 2 * e->n; i++) {
        e->gradient[i] -= e->repulsion[i] / e->z;
    }
    return 0;
}

/* Momentum with a gain per coordinate (Jacobs 1988), as in van der Maaten's code; then
 * back to the centre. */
static void move(struct embedding *e, double momentum, double rate)
{
    double mean[2] = {0, 0};
    for (int32_t i = 0; i < 2 * e->n; i++) {
        const int is_same_way = (e->gradient[i] > 0) == (e->velocity[i] > 0);
        e->gain[i] = fmax(is_same_way ? 0.8 * e->gain[i] : e->gain[i] + 0.2, 0.01);
        e->velocity[i] = momentum * e->velocity[i] - rate * e->gain[i] * e->gradient[i];
        e->y[i] += e->velocity[i];
        mean[i % 2] += e->y[i] / e->n;
    }
    for (int32_t i = 0; i < 2 * e->n; i++) {
        e->y[i] -= mean[i % 2];
    }
}

static int iterate(struct embedding *e, struct error *error)
{
    const struct tsne_config *config = e->config;
    const int n_early = config->n_iterations / 4;
    const double rate = fmax(e->n / EXAGGERATION, 200);
    for (int t = 0; t < config->n_iterations; t++) {
        if (differentiate(e, t < n_early ? EXAGGERATION : 1, error) != 0) {
            return -1;
        }
        move(e, t < n_early ? 0.5 : 0.8, rate);
        if (config->progress) {
            config->progress(config->context, t + 1, config->n_iterations);
        }
    }
    return differentiate(e, 1, error);
}

/* Pairs that stand twice in a row are two summands of one p, so the logarithm needs
 * their sum: rows are short, the second is found by scanning. */
static double divergence_of(const struct embedding *e)
{
    const struct similarities *P = &e->P;
    double sum = 0;
    for (int32_t i = 0; i < e->n; i++) {
        for (int64_t a = P->start[i]; a < P->start[i + 1]; a++) {
            double p = P->p[a];
            for (int64_t b = P->start[i]; b < P->start[i + 1]; b++) {
                p += b != a && P->other[b] == P->other[a] ? P->p[b] : 0;
            }
            const double dx = e->y[2 * i] - e->y[2 * P->other[a]];
            const double dy = e->y[2 * i + 1] - e->y[2 * P->other[a] + 1];
            const double q = 1 / (1 + dx * dx + dy * dy) / e->z;
            sum += p > 0 ? P->p[a] * log(p / q) : 0;
        }
    }
    return sum;
}

/* Rows of length 1; a row of zeros stays. */
static float *normalized(const float *rows, int32_t n, int k)
{
    float *copy = malloc((size_t)n * (size_t)k * sizeof *copy);
    for (int32_t i = 0; copy && i < n; i++) {
        const float *from = rows + (size_t)i * (size_t)k;
        double squares = 0;
        for (int p = 0; p < k; p++) {
            squares += (double)from[p] * (double)from[p];
        }
        const double scale = squares > 0 ? 1 / sqrt(squares) : 0;
        for (int p = 0; p < k; p++) {
            copy[(size_t)i * (size_t)k + (size_t)p] = (float)((double)from[p] * scale);
        }
    }
    return copy;
}

static int embedding_allocate(struct embedding *e)
{
    const size_t n = 2 * (size_t)e->n;
    e->gradient = malloc(n * sizeof *e->gradient);
    e->velocity = calloc(n, sizeof *e->velocity);
    e->gain = malloc(n * sizeof *e->gain);
    e->repulsion = malloc(n * sizeof *e->repulsion);
    e->partial_z = malloc((size_t)e->n * sizeof *e->partial_z);
    return e->gradient && e->velocity && e->gain && e->repulsion && e->partial_z ? 0
                                                                                 : -1;
}

static void embedding_release(struct embedding *e)
{
    free(e->gradient);
    free(e->velocity);
    free(e->gain);
    free(e->repulsion);
    free(e->partial_z);
    free(e->P.start);
    free(e->P.other);
    free(e->P.p);
    quadtree_free(&e->tree);
}

int tsne_embed(const float *rows, int32_t n, int k, const struct tsne_config *config,
               double *out, double *divergence, struct error *error)
{
    struct embedding e = {.config = config, .n = n, .y = out};
    float *scaled = NULL;
    int rc = -1;
    if (check(config, n, error) != 0) {
        return -1;
    }
    if (config->use_cosine) {
        scaled = normalized(rows, n, k);
    }
    if ((config->use_cosine && !scaled) || embedding_allocate(&e) != 0) {
        error_set(error, ERROR_NOMEM, "t-SNE: no memory for %d rows", n);
        goto out;
    }
    const float *used = scaled ? scaled : rows;
    if (start(&e, used, k, error) != 0 ||
        make_similarities(used, n, k, config, &e.P, error) != 0 ||
        iterate(&e, error) != 0) {
        goto out;
    }
    if (divergence) {
        *divergence = divergence_of(&e);
    }
    rc = 0;
out:
    embedding_release(&e);
    free(scaled);
    return rc;
}

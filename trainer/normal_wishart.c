#include "trainer/normal_wishart.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define PRIOR_WEIGHT 2 /* beta_0: how many rows the prior mean counts for */

double gamma_draw(struct rng *rng, double shape, double scale)
{
    if (shape < 1) { /* the method needs shape >= 1; their section 6 */
        const double u = 1 - rng_uniform(rng);
        return gamma_draw(rng, shape + 1, scale) * pow(u, 1 / shape);
    }
    const double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        const double x = rng_normal(rng), t = 1 + c * x;
        const double u = 1 - rng_uniform(rng);
        if (t <= 0) {
            continue;
        }
        const double v = t * t * t;
        if (log(u) < x * x / 2 + d - d * v + d * log(v)) {
            return d * v * scale;
        }
    }
}

/* Lower Cholesky factor in place; -1 when not positive definite. */
static int factorise(double *a, int dim)
{
    for (int j = 0; j < dim; j++) {
        for (int i = j; i < dim; i++) {
            double rest = a[i * dim + j];
            for (int p = 0; p < j; p++) {
                rest -= a[i * dim + p] * a[j * dim + p];
            }
            if (i == j && !(rest > 0 && isfinite(rest))) {
                return -1;
            }
            a[i * dim + j] = i == j ? sqrt(rest) : rest / a[j * dim + j];
        }
    }
    return 0;
}

/* Column c of x (dim, dim) := L^-T times itself, L lower. */
static void solve_transposed(const double *L, int dim, double *x, int c)
{
    for (int i = dim - 1; i >= 0; i--) {
        double rest = x[i * dim + c];
        for (int p = i + 1; p < dim; p++) {
            rest -= L[p * dim + i] * x[p * dim + c];
        }
        x[i * dim + c] = rest / L[i * dim + i];
    }
}

/* C C^T, the inverse of the posterior's scale matrix. */
static int posterior_scale(const struct row_sums *rows, double *C)
{
    const double count = (double)rows->n;
    const double *sum = rows->sum;
    const int dim = rows->dim;
    /* S + beta_0 n / (beta_0 + n) xbar xbar^T with S around the mean is the sum of
     * squares less sum sum^T / (beta_0 + n). */
    for (int i = 0; i < dim; i++) {
        for (int j = 0; j <= i; j++) {
            C[i * dim + j] = rows->square[i * dim + j] -
                             sum[i] * sum[j] / (PRIOR_WEIGHT + count) + (i == j);
        }
    }
    return factorise(C, dim);
}

int normal_wishart_draw(const struct row_sums *rows, struct rng *rng, double *scratch,
                        double *mean, double *precision)
{
    const int dim = rows->dim;
    const size_t size = (size_t)dim * (size_t)dim;
    double *C = scratch, *A = C + size, *T = A + size, *e = T + size;
    if (posterior_scale(rows, C) != 0) {
        return -1;
    }
    memset(A, 0, size * sizeof *A);
    for (int i = 0; i < dim; i++) {
        for (int j = 0; j < i; j++) {
            A[i * dim + j] = rng_normal(rng);
        }
        A[i * dim + i] = sqrt(gamma_draw(rng, ((double)(dim + rows->n) - i) / 2, 2));
    }
    memcpy(T, A, size * sizeof *T);
    for (int c = 0; c < dim; c++) {
        solve_transposed(C, dim, T, c);
    }
    for (int i = 0; i < dim; i++) {
        for (int j = 0; j < dim; j++) {
            double dot = 0;
            for (int p = 0; p < dim; p++) {
                dot += T[i * dim + p] * T[j * dim + p];
            }
            precision[i * dim + j] = dot;
        }
    }
    /* The inverse of the precision is B B^T with B = C A^-T. */
    const double weight = PRIOR_WEIGHT + (double)rows->n;
    for (int i = 0; i < dim; i++) {
        e[i] = rng_normal(rng);
    }
    for (int i = dim - 1; i >= 0; i--) {
        for (int p = i + 1; p < dim; p++) {
            e[i] -= A[p * dim + i] * e[p];
        }
        e[i] /= A[i * dim + i];
    }
    for (int i = 0; i < dim; i++) {
        double dot = 0;
        for (int p = 0; p <= i; p++) {
            dot += C[i * dim + p] * e[p];
        }
        mean[i] = rows->sum[i] / weight + dot / sqrt(weight);
    }
    return 0;
}

#include "trainer/pca.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* mean (k) and covariance (k, k), lower triangle, of rows (n, k); centred (k) is
 * scratch. */
static void summarize(const float *rows, int32_t n, int k, double *mean,
                      double *covariance, double *centred)
{
    const size_t width = (size_t)k;
    for (int32_t i = 0; i < n; i++) {
        for (size_t p = 0; p < width; p++) {
            mean[p] += (double)rows[(size_t)i * width + p] / n;
        }
    }
    for (int32_t i = 0; i < n; i++) {
        for (size_t p = 0; p < width; p++) {
            centred[p] = (double)rows[(size_t)i * width + p] - mean[p];
        }
        for (size_t p = 0; p < width; p++) {
            for (size_t q = 0; q <= p; q++) {
                covariance[p * width + q] += centred[p] * centred[q] / n;
            }
        }
    }
}

static void turn(double *component, int k)
{
    int largest = 0;
    for (int p = 1; p < k; p++) {
        if (fabs(component[p]) > fabs(component[largest])) {
            largest = p;
        }
    }
    if (component[largest] < 0) {
        for (int p = 0; p < k; p++) {
            component[p] = -component[p];
        }
    }
}

int pca_project(const float *rows, int32_t n, int k, int n_components, double *out,
                double *share, struct error *error)
{
    const size_t width = (size_t)k;
    double total = 0;
    int rc = -1;
    double *covariance = calloc(width * width, sizeof *covariance);
    double *mean = calloc(3 * width, sizeof *mean);
    if (!covariance || !mean) {
        error_set(error, ERROR_NOMEM, "pca: no memory for %d x %d values", k, k);
        goto out;
    }
    double *centred = mean + width, *variance = centred + width;
    summarize(rows, n, k, mean, covariance, centred);
    for (size_t p = 0; p < width; p++) {
        total += covariance[p * width + p];
    }
    /* Row-major lower is column-major upper; eigenvectors come back as rows of ours, by
     * ascending eigenvalue. */
    if (!isfinite(total) ||
        LAPACKE_dsyev(LAPACK_COL_MAJOR, 'V', 'U', k, covariance, k, variance) != 0) {
        error_set(error, ERROR_NUMERIC, "pca: the vectors are not finite");
        goto out;
    }
    for (int c = 0; c < n_components; c++) {
        double *component = covariance + (size_t)(k - 1 - c) * width;
        turn(component, k);
        share[c] = total > 0 ? fmax(variance[k - 1 - c], 0) / total : 0;
        for (int32_t i = 0; i < n; i++) {
            double sum = 0;
            for (size_t p = 0; p < width; p++) {
                sum += component[p] * ((double)rows[(size_t)i * width + p] - mean[p]);
            }
            out[(size_t)i * (size_t)n_components + (size_t)c] = sum;
        }
    }
    rc = 0;
out:
    free(mean);
    free(covariance);
    return rc;
}

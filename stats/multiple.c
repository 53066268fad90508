#include "stats/multiple.h"

#include <math.h>
#include <stdlib.h>

struct ranked {
    double p;
    size_t at;
};

const char *correction_name(enum correction correction)
{
    switch (correction) {
    case CORRECTION_NONE:
        return "none";
    case CORRECTION_BONFERRONI:
        return "Bonferroni";
    case CORRECTION_HOLM:
        return "Holm";
    case CORRECTION_HOCHBERG:
        return "Hochberg";
    case CORRECTION_BH:
        return "Benjamini-Hochberg";
    case CORRECTION_BY:
        return "Benjamini-Yekutieli";
    }
    return "?";
}

int multiple_count(const double *p_values, size_t n_values)
{
    int n = 0;
    for (size_t i = 0; i < n_values; i++) {
        n += !isnan(p_values[i]);
    }
    return n;
}

static int compare(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return (x->p > y->p) - (x->p < y->p);
}

/* What the p-value of rank i (from 0, ascending) of n is multiplied by. */
static double factor(enum correction correction, size_t i, size_t n, double harmonic)
{
    switch (correction) {
    case CORRECTION_NONE:
        return 1;
    case CORRECTION_BONFERRONI:
        return (double)n;
    case CORRECTION_HOLM:
    case CORRECTION_HOCHBERG:
        return (double)(n - i);
    case CORRECTION_BH:
        return (double)n / (double)(i + 1);
    case CORRECTION_BY:
        return (double)n / (double)(i + 1) * harmonic;
    }
    return NAN;
}

/* Step-down: no adjusted value below one before it. Step-up: none above one after it.
 */
static void adjust_ranked(struct ranked *ranked, size_t n, enum correction correction)
{
    double harmonic = 0;
    for (size_t i = n; i > 0; i--) {
        harmonic += 1 / (double)i;
    }
    for (size_t i = 0; i < n; i++) {
        ranked[i].p = fmin(1, ranked[i].p * factor(correction, i, n, harmonic));
    }
    if (correction == CORRECTION_HOLM) {
        for (size_t i = 1; i < n; i++) {
            ranked[i].p = fmax(ranked[i].p, ranked[i - 1].p);
        }
    } else if (correction != CORRECTION_NONE && correction != CORRECTION_BONFERRONI) {
        for (size_t i = n; i > 1; i--) {
            ranked[i - 2].p = fmin(ranked[i - 2].p, ranked[i - 1].p);
        }
    }
}

int multiple_adjust(const double *p_values, size_t n_values, enum correction correction,
                    double *adjusted, struct error *error)
{
    for (size_t i = 0; i < n_values; i++) {
        if (p_values[i] < 0 || p_values[i] > 1) {
            error_set(error, ERROR_INVALID, "p-value %zu is %g, not between 0 and 1",
                      i + 1, p_values[i]);
            return -1;
        }
    }
    struct ranked *ranked = malloc((n_values ? n_values : 1) * sizeof *ranked);
    if (!ranked) {
        error_set(error, ERROR_NOMEM, "no memory for %zu p-values", n_values);
        return -1;
    }
    size_t n = 0;
    for (size_t i = 0; i < n_values; i++) {
        adjusted[i] = p_values[i];
        if (!isnan(p_values[i])) {
            ranked[n++] = (struct ranked){p_values[i], i};
        }
    }
    if (n > 0) {
        qsort(ranked, n, sizeof *ranked, compare);
        adjust_ranked(ranked, n, correction);
    }
    for (size_t i = 0; i < n; i++) {
        adjusted[ranked[i].at] = ranked[i].p;
    }
    free(ranked);
    return 0;
}

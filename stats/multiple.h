/* multiple.h - p-values adjusted for having asked many questions.
 *
 *   Bonferroni  n p: family-wise error, any dependence. O. J. Dunn, JASA 56 (1961) 52.
 *   Holm        step-down Bonferroni, same guarantee, never weaker. Scandinavian
 * Journal of Statistics 6 (1979) 65. Hochberg    step-up; family-wise error for
 * independent or positively dependent tests. Biometrika 75 (1988) 800. BH
 * Benjamini-Hochberg: false discovery rate, same condition. JRSS B 57 (1995) 289. BY
 * Benjamini-Yekutieli: false discovery rate, any dependence. Annals of Statistics 29
 * (2001) 1165. An adjusted p is compared with alpha directly.
 */
#ifndef STATS_MULTIPLE_H
#define STATS_MULTIPLE_H

#include <stddef.h>

#include "common/error.h"

enum correction {
    CORRECTION_NONE,
    CORRECTION_BONFERRONI,
    CORRECTION_HOLM,
    CORRECTION_HOCHBERG,
    CORRECTION_BH,
    CORRECTION_BY,
};

/* "none", "Bonferroni", "Holm", "Hochberg", "Benjamini-Hochberg",
 * "Benjamini-Yekutieli". */
const char *correction_name(enum correction correction);

/* How many of the p-values were tested: those that are not NAN. */
int multiple_count(const double *p_values, size_t n_values);

/* Writes the adjusted p-values, in the order of the given ones; `adjusted` may be
 * `p_values`. A NAN (not testable) stays NAN and is not counted as a question. Fails
 * with ERROR_INVALID for a value outside [0, 1], ERROR_NOMEM. Thread-safe. */
MUST_CHECK int multiple_adjust(const double *p_values, size_t n_values,
                               enum correction correction, double *adjusted,
                               struct error *error);

#endif

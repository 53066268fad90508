/* analysis_equivalence.c - shown to differ by less than what matters, either way, for
 * metrics whose config says how much that is: two one-sided tests with a margin that is
 * a share of control's own value (noninferiority.h), so control's error counts too.
 *
 * "No significant difference" is not equivalence: few units always give the former.
 */
#include <math.h>

#include "stats/analysis_parts.h"
#include "stats/noninferiority.h"

static int test(const struct experiment_result *result,
                const struct metric_result *metric, struct contrast *contrast,
                struct error *error)
{
    const struct estimate *control = &metric->arms[0].estimate,
                          *treatment = &metric->arms[contrast->arm].estimate;
    const double size = metric->spec->equivalence, level = 1 - result->spec->alpha;
    const struct margin loss = {size, true, BETTER_UP},
                        gain = {size, true, BETTER_DOWN};
    struct noninferiority lower, upper;
    struct equivalence_result *answer = &contrast->equivalence;
    answer->method = "TOST, two one-sided tests, relative margin";
    answer->margin = size;
    answer->p_value = answer->ci_lower = answer->ci_upper = NAN;
    if (!contrast->fixed.is_testable) {
        return 0;
    }
    if (noninferiority_test(*control, *treatment, loss, level, &lower, error) != 0 ||
        noninferiority_test(*control, *treatment, gain, level, &upper, error) != 0) {
        return -1;
    }
    if (lower.is_testable && upper.is_testable) {
        answer->p_value = fmax(lower.p_value, upper.p_value);
        answer->ci_lower = lower.bound;
        answer->ci_upper = upper.bound;
        answer->holds = lower.holds && upper.holds;
    }
    return 0;
}

int analysis_equivalence(struct experiment_result *result, struct error *error)
{
    for (int m = 0; m < result->spec->n_metrics; m++) {
        const struct metric_result *metric = &result->metrics[m];
        for (int a = 1; metric->spec->equivalence > 0 && a < result->spec->n_arms;
             a++) {
            if (test(result, metric, &metric->contrasts[a - 1], error) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

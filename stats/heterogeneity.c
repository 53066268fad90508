#include "stats/heterogeneity.h"

#include <math.h>

bool heterogeneity_add(struct heterogeneity_sum *sum, double effect, double variance)
{
    const double weight = 1 / variance;
    if (!isfinite(effect) || !(variance > 0) || !(weight > 0) || !isfinite(weight)) {
        return false;
    }
    sum->n_groups++;
    sum->weight += weight;
    const double gap = effect - sum->effect;
    sum->effect += gap * (weight / sum->weight);
    sum->squares += weight * gap * (effect - sum->effect);
    return true;
}

struct heterogeneity heterogeneity_test(const struct heterogeneity_sum *sum)
{
    struct heterogeneity r = {
        .statistic = NAN,
        .df = sum->n_groups > 0 ? sum->n_groups - 1 : 0,
        .p_value = NAN,
        .log10_p_value = NAN,
        .effect = sum->n_groups > 0 ? sum->effect : (double)NAN,
        .standard_error = sum->n_groups > 0 ? 1 / sqrt(sum->weight) : (double)NAN,
        .is_testable = sum->n_groups > 1 && isfinite(sum->squares),
    };
    if (r.is_testable) {
        r.statistic = fmax(0, sum->squares);
        const struct tail_p p = tail_p_chi_square(r.statistic, r.df);
        r.p_value = p.p_value;
        r.log10_p_value = p.log10_p_value;
    }
    return r;
}

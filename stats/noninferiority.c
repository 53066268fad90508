#include "stats/noninferiority.h"

#include <math.h>

#include "stats/lift.h"
#include "stats/proportion_interval.h"

static int check_margin(struct margin margin, double limit, double level,
                        struct error *error)
{
    if (!(margin.size >= 0 && margin.size < limit)) {
        error_set(error, ERROR_INVALID, "margin %g is not at least 0 and below %g",
                  margin.size, limit);
        return -1;
    }
    return tail_check_level(level, error);
}

/* A harm is tested against in the direction in which more is better. */
static enum alternative toward(enum better better)
{
    return better == BETTER_UP ? ALTERNATIVE_GREATER : ALTERNATIVE_LESS;
}

static double harmful_bound(struct interval interval, enum better better)
{
    return better == BETTER_UP ? interval.lower : interval.upper;
}

static void decide(struct noninferiority *r, double level)
{
    r->is_testable = !isnan(r->p_value);
    r->holds = r->p_value < 1 - level;
}

/* t - (1 -+ m) c against 0 is t - c against the margin when m is a share of c. */
static int test_relative(struct estimate control, struct estimate treatment,
                         struct margin margin, double level, struct noninferiority *r,
                         struct error *error)
{
    const double sign = (margin.better == BETTER_UP) == (control.value > 0) ? -1 : 1;
    const double scale = 1 + sign * margin.size;
    const struct estimate moved = {scale * control.value,
                                   scale * scale * control.variance, control.df};
    const struct effect effect =
        effect_compare(moved, treatment, level, toward(margin.better));
    struct interval lift;
    if (lift_interval(control, treatment, LIFT_FIELLER, level, toward(margin.better),
                      &lift, error) != 0) {
        return -1;
    }
    r->margin = margin.size * fabs(control.value);
    r->bound = harmful_bound(lift, margin.better);
    if (control.value != 0) {
        r->statistic = effect.statistic;
        r->p_value = effect.p_value;
        r->log10_p_value = effect.log10_p_value;
    }
    return 0;
}

int noninferiority_test(struct estimate control, struct estimate treatment,
                        struct margin margin, double level,
                        struct noninferiority *result, struct error *error)
{
    if (check_margin(margin, margin.is_relative ? 1 : (double)INFINITY, level, error) !=
        0) {
        return -1;
    }
    struct noninferiority r = {
        .effect_size = treatment.value - control.value,
        .margin = margin.size,
        .bound = NAN,
        .statistic = NAN,
        .p_value = NAN,
        .log10_p_value = NAN,
    };
    if (margin.is_relative) {
        if (test_relative(control, treatment, margin, level, &r, error) != 0) {
            return -1;
        }
    } else {
        const double shift = margin.better == BETTER_UP ? -margin.size : margin.size;
        const struct effect effect = effect_compare_shifted(
            control, treatment, shift, level, toward(margin.better));
        const struct interval interval = {effect.ci_lower, effect.ci_upper};
        r.bound = harmful_bound(interval, margin.better);
        r.statistic = effect.statistic;
        r.p_value = effect.p_value;
        r.log10_p_value = effect.log10_p_value;
    }
    decide(&r, level);
    *result = r;
    return 0;
}

int noninferiority_proportions(const struct proportion_sample *control,
                               const struct proportion_sample *treatment,
                               struct margin margin, double level,
                               struct noninferiority *result, struct error *error)
{
    struct interval interval;
    if (check_margin(margin, 1, level, error) != 0 ||
        proportion_interval(control, treatment, INTERVAL_MIETTINEN_NURMINEN, level,
                            toward(margin.better), &interval, error) != 0) {
        return -1;
    }
    if (margin.is_relative) {
        error_set(
            error, ERROR_INVALID,
            "the score test takes an absolute margin; give rates as estimates for "
            "a relative one");
        return -1;
    }
    const double shift = margin.better == BETTER_UP ? -margin.size : margin.size;
    const double z = proportion_score(control, treatment, shift);
    const uint64_t n_successes = control->n_successes + treatment->n_successes;
    const bool is_one_outcome =
        n_successes == 0 || n_successes == control->n_trials + treatment->n_trials;
    struct noninferiority r = {
        .effect_size = (double)treatment->n_successes / (double)treatment->n_trials -
                       (double)control->n_successes / (double)control->n_trials,
        .margin = margin.size,
        .bound = harmful_bound(interval, margin.better),
        /* Without a margin and with one outcome everywhere there is no variance. */
        .statistic = is_one_outcome && shift == 0 ? (double)NAN : z,
    };
    const struct tail_p p = tail_p_normal(r.statistic, toward(margin.better));
    r.p_value = p.p_value;
    r.log10_p_value = p.log10_p_value;
    decide(&r, level);
    *result = r;
    return 0;
}

int equivalence_test(struct estimate control, struct estimate treatment, double margin,
                     double level, struct equivalence *result, struct error *error)
{
    if (!(margin > 0) || !isfinite(margin)) {
        error_set(error, ERROR_INVALID, "margin %g is not above 0", margin);
        return -1;
    }
    if (!(level > 0.5 && level < 1)) {
        error_set(error, ERROR_INVALID, "level %g is not between 0.5 and 1", level);
        return -1;
    }
    const struct effect lower =
        effect_compare_shifted(control, treatment, -margin, level, ALTERNATIVE_GREATER);
    const struct effect upper =
        effect_compare_shifted(control, treatment, margin, level, ALTERNATIVE_LESS);
    *result = (struct equivalence){
        .effect_size = lower.effect_size,
        .ci_lower = lower.ci_lower,
        .ci_upper = upper.ci_upper,
        .p_lower = lower.p_value,
        .p_upper = upper.p_value,
        .p_value = lower.is_testable ? fmax(lower.p_value, upper.p_value) : (double)NAN,
        .is_testable = lower.is_testable,
        .holds = lower.is_testable && fmax(lower.p_value, upper.p_value) < 1 - level,
    };
    return 0;
}

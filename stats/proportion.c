#include "stats/proportion.h"

#include <inttypes.h>
#include <math.h>

#include "stats/proportion_interval.h"

static int check_arm(const char *arm, const struct proportion_sample *sample,
                     struct error *error)
{
    if (sample->n_trials == 0) {
        error_set(error, ERROR_INVALID, "%s arm has no trials", arm);
        return -1;
    }
    if (sample->n_successes > sample->n_trials) {
        error_set(error, ERROR_INVALID,
                  "%s arm has %" PRIu64 " successes in %" PRIu64 " trials", arm,
                  sample->n_successes, sample->n_trials);
        return -1;
    }
    return 0;
}

int proportion_check(const struct proportion_sample *control,
                     const struct proportion_sample *treatment, struct error *error)
{
    return check_arm("control", control, error) == 0 &&
                   check_arm("treatment", treatment, error) == 0
               ? 0
               : -1;
}

/* Failures are counted, not taken as 1 - p: near p = 1 the subtraction loses them. */
static double variance_of(double n_successes, double n_trials)
{
    return n_successes / n_trials * ((n_trials - n_successes) / n_trials);
}

static struct proportion_z z_test(const struct proportion_sample *control,
                                  const struct proportion_sample *treatment,
                                  bool is_pooled, enum alternative alternative)
{
    const double s_c = (double)control->n_successes, n_c = (double)control->n_trials;
    const double s_t = (double)treatment->n_successes,
                 n_t = (double)treatment->n_trials;
    const double variance =
        is_pooled ? variance_of(s_c + s_t, n_c + n_t) * (1 / n_c + 1 / n_t)
                  : variance_of(s_c, n_c) / n_c + variance_of(s_t, n_t) / n_t;
    struct proportion_z z = {.is_testable = variance > 0,
                             .standard_error = sqrt(variance)};
    z.statistic =
        z.is_testable ? (s_t / n_t - s_c / n_c) / z.standard_error : (double)NAN;
    z.p = tail_p_normal(z.statistic, alternative);
    return z;
}

int proportion_z_test(const struct proportion_sample *control,
                      const struct proportion_sample *treatment, bool is_pooled,
                      enum alternative alternative, struct proportion_z *result,
                      struct error *error)
{
    if (proportion_check(control, treatment, error) != 0) {
        return -1;
    }
    *result = z_test(control, treatment, is_pooled, alternative);
    return 0;
}

int proportion_compare(const struct proportion_sample *control,
                       const struct proportion_sample *treatment,
                       double confidence_level, struct proportion_result *result,
                       struct error *error)
{
    struct interval interval;
    if (proportion_interval(control, treatment, INTERVAL_NEWCOMBE, confidence_level,
                            ALTERNATIVE_TWO_SIDED, &interval, error) != 0) {
        return -1;
    }
    const struct proportion_z z =
        z_test(control, treatment, true, ALTERNATIVE_TWO_SIDED);
    const double rate_c = (double)control->n_successes / (double)control->n_trials;
    const double rate_t = (double)treatment->n_successes / (double)treatment->n_trials;
    *result = (struct proportion_result){
        .control = rate_c,
        .treatment = rate_t,
        .effect_size = rate_t - rate_c,
        .ci_lower = interval.lower,
        .ci_upper = interval.upper,
        .rel_effect_size = rate_c > 0 ? (rate_t - rate_c) / rate_c : (double)NAN,
        .is_testable = z.is_testable,
        .statistic = z.statistic,
        .p_value = z.p.p_value,
        .log10_p_value = z.p.log10_p_value,
    };
    return 0;
}

#include "stats/bootstrap.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "common/rng.h"
#include "stats/mean.h"
#include "stats/order.h"

struct bootstrap_config bootstrap_config_default(void)
{
    return (struct bootstrap_config){
        .n_replicates = 10000,
        .seed = 1,
        .level = 0.95,
        .alternative = ALTERNATIVE_TWO_SIDED,
    };
}

/* One type for all statistics, though this one needs no scratch. */
double bootstrap_mean(const void *data, const int64_t *units, int64_t n_units,
                      /* NOLINTNEXTLINE(readability-non-const-parameter) */
                      double *scratch)
{
    (void)scratch;
    const struct bootstrap_units *arm = data;
    double sum = 0;
    for (int64_t i = 0; i < n_units; i++) {
        sum += arm->x[units[i]];
    }
    return sum / (double)n_units;
}

/* One type for all statistics, though this one needs no scratch. */
double bootstrap_ratio(const void *data, const int64_t *units, int64_t n_units,
                       /* NOLINTNEXTLINE(readability-non-const-parameter) */
                       double *scratch)
{
    (void)scratch;
    const struct bootstrap_units *arm = data;
    double above = 0, below = 0;
    for (int64_t i = 0; i < n_units; i++) {
        above += arm->x[units[i]];
        below += arm->y[units[i]];
    }
    return below != 0 ? above / below : (double)NAN;
}

static void gather(const struct bootstrap_units *arm, const int64_t *units,
                   int64_t n_units, double *scratch)
{
    for (int64_t i = 0; i < n_units; i++) {
        scratch[i] = arm->x[units[i]];
    }
}

double bootstrap_quantile(const void *data, const int64_t *units, int64_t n_units,
                          double *scratch)
{
    const struct bootstrap_units *arm = data;
    gather(arm, units, n_units, scratch);
    order_sort(scratch, (uint64_t)n_units);
    return order_quantile(scratch, (uint64_t)n_units, arm->share);
}

double bootstrap_trimmed(const void *data, const int64_t *units, int64_t n_units,
                         double *scratch)
{
    const struct bootstrap_units *arm = data;
    struct estimate trimmed;
    gather(arm, units, n_units, scratch);
    return mean_trimmed(scratch, (uint64_t)n_units, arm->share, &trimmed, NULL) == 0
               ? trimmed.value
               : (double)NAN;
}

double bootstrap_clustered(const void *data, const int64_t *units, int64_t n_units,
                           double *scratch)
{
    const struct bootstrap_events *arm = data;
    double total = 0, passed = 0, below = NAN;
    for (int64_t u = 0; u < arm->n_units; u++) {
        scratch[u] = 0; /* how often each unit was drawn */
    }
    for (int64_t i = 0; i < n_units; i++) {
        scratch[units[i]]++;
    }
    for (int64_t i = 0; i < arm->n_values; i++) {
        total += scratch[arm->units[i]];
    }
    const double at = arm->share * (total - 1), first = floor(at);
    for (int64_t i = 0; i < arm->n_values; i++) {
        passed += scratch[arm->units[i]];
        if (isnan(below) && passed > first) {
            below = arm->values[i];
        }
        if (passed > first + 1 || passed == total) {
            return below + (at - first) * (arm->values[i] - below);
        }
    }
    return NAN;
}

struct workspace {
    const struct bootstrap_config *config;
    int64_t *units;
    double *scratch;
    double *replicates; /* n_kept finite ones */
    int n_kept;
};

static double effect_of(const struct bootstrap_config *config, double control,
                        double treatment)
{
    if (!config->is_relative) {
        return treatment - control;
    }
    return control != 0 ? treatment / control - 1 : (double)NAN;
}

static double resampled(struct workspace *w, const struct bootstrap_arm *arm,
                        struct rng *rng)
{
    for (int64_t i = 0; i < arm->n_units; i++) {
        w->units[i] = (int64_t)rng_below(rng, (uint64_t)arm->n_units);
    }
    return w->config->value(arm->data, w->units, arm->n_units, w->scratch);
}

static double original(struct workspace *w, const struct bootstrap_arm *arm)
{
    for (int64_t i = 0; i < arm->n_units; i++) {
        w->units[i] = i;
    }
    return w->config->value(arm->data, w->units, arm->n_units, w->scratch);
}

/* Adds one arm's part of the sums that make the acceleration: the effect with each
 * group of the arm's units left out, the other arm staying at `other`. */
static void jackknife(struct workspace *w, const struct bootstrap_arm *arm,
                      bool is_control, double other, double *cubes, double *squares)
{
    const int64_t n_groups = arm->n_units < BOOTSTRAP_JACKKNIFE_GROUPS
                                 ? arm->n_units
                                 : BOOTSTRAP_JACKKNIFE_GROUPS;
    double left_out[BOOTSTRAP_JACKKNIFE_GROUPS];
    double mean = 0;
    if (n_groups < 2) {
        return;
    }
    for (int64_t group = 0; group < n_groups; group++) {
        int64_t n = 0;
        for (int64_t i = 0; i < arm->n_units; i++) {
            if (i % n_groups != group) {
                w->units[n++] = i;
            }
        }
        const double value = w->config->value(arm->data, w->units, n, w->scratch);
        left_out[group] = is_control ? effect_of(w->config, value, other)
                                     : effect_of(w->config, other, value);
        mean += left_out[group] / (double)n_groups;
    }
    for (int64_t group = 0; group < n_groups; group++) {
        const double influence =
            (double)(n_groups - 1) * (mean - left_out[group]) / (double)n_groups;
        *squares += influence * influence;
        *cubes += influence * influence * influence;
    }
}

/* Share of the replicates below `value`, ties counting half. */
static double share_below(const struct workspace *w, double value)
{
    double below = 0;
    for (int i = 0; i < w->n_kept; i++) {
        below += w->replicates[i] < value ? 1 : w->replicates[i] == value ? 0.5 : 0;
    }
    return below / w->n_kept;
}

/* The replicate at the normal deviate z, corrected for bias and acceleration. */
static double bound(const struct workspace *w, const struct bootstrap_result *r,
                    double z)
{
    const double shifted = r->z0 + z;
    const double corrected = r->z0 + shifted / (1 - r->acceleration * shifted);
    return order_quantile(w->replicates, (uint64_t)w->n_kept,
                          tail_normal_upper(-corrected));
}

/* The level at which the corrected bound is exactly no effect. */
static double p_of_no_effect(const struct workspace *w,
                             const struct bootstrap_result *r)
{
    const double least = 1.0 / w->n_kept;
    const double share = fmin(fmax(share_below(w, 0), least / 2), 1 - least / 2);
    const double gap = -tail_normal_quantile_upper(share) - r->z0;
    const double z = gap / (1 + r->acceleration * gap) - r->z0;
    const struct tail_p p = tail_p_normal(-z, w->config->alternative);
    return fmax(p.p_value, least);
}

static void fill_interval(struct workspace *w, struct bootstrap_result *r)
{
    const enum alternative alternative = w->config->alternative;
    const double critical = tail_normal_critical(w->config->level, alternative);
    struct mean_sum sum = {0};
    for (int i = 0; i < w->n_kept; i++) {
        mean_sum_add(&sum, w->replicates[i]);
    }
    r->ci_lower = r->ci_upper = r->z0 = r->p_value = NAN;
    r->standard_error =
        w->n_kept > 1 ? sqrt(mean_sum_sample(&sum).variance) : (double)NAN;
    r->bias = w->n_kept > 0 ? sum.mean - r->effect_size : (double)NAN;
    if (!(r->standard_error > 0) || !isfinite(r->acceleration)) {
        return;
    }
    const double share = share_below(w, r->effect_size);
    r->is_testable = share > 0 && share < 1;
    if (!r->is_testable) {
        return;
    }
    r->z0 = -tail_normal_quantile_upper(share);
    order_sort(w->replicates, (uint64_t)w->n_kept);
    r->ci_lower =
        alternative == ALTERNATIVE_LESS ? (double)-INFINITY : bound(w, r, -critical);
    r->ci_upper =
        alternative == ALTERNATIVE_GREATER ? (double)INFINITY : bound(w, r, critical);
    r->p_value = p_of_no_effect(w, r);
}

static int check(const struct bootstrap_arm *control,
                 const struct bootstrap_arm *treatment,
                 const struct bootstrap_config *config, struct error *error)
{
    if (control->n_units < 1 || treatment->n_units < 1) {
        error_set(error, ERROR_INVALID, "bootstrap: %s arm has no units",
                  control->n_units < 1 ? "control" : "treatment");
        return -1;
    }
    if (config->n_replicates < 100 || config->n_replicates > 1000000) {
        error_set(error, ERROR_INVALID, "bootstrap: %d replicates; give 100 to 1000000",
                  config->n_replicates);
        return -1;
    }
    return tail_check_level(config->level, error);
}

int bootstrap_bca(const struct bootstrap_arm *control,
                  const struct bootstrap_arm *treatment,
                  const struct bootstrap_config *config,
                  struct bootstrap_result *result, struct error *error)
{
    int rc = -1;
    struct workspace w = {.config = config};

    if (check(control, treatment, config, error) != 0) {
        return -1;
    }
    const int64_t longest =
        control->n_units > treatment->n_units ? control->n_units : treatment->n_units;
    w.units = malloc((size_t)longest * sizeof *w.units);
    w.scratch = malloc((size_t)longest * sizeof *w.scratch);
    w.replicates = malloc((size_t)config->n_replicates * sizeof *w.replicates);
    if (!w.units || !w.scratch || !w.replicates) {
        error_set(error, ERROR_NOMEM, "bootstrap: no memory for %" PRId64 " units",
                  longest);
        goto out;
    }

    struct bootstrap_result r = {.control = original(&w, control),
                                 .treatment = original(&w, treatment)};
    r.effect_size = effect_of(config, r.control, r.treatment);
    double cubes = 0, squares = 0;
    jackknife(&w, control, true, r.treatment, &cubes, &squares);
    jackknife(&w, treatment, false, r.control, &cubes, &squares);
    r.acceleration = squares > 0 ? cubes / (6 * pow(squares, 1.5)) : 0;
    for (int i = 0; i < config->n_replicates; i++) {
        struct rng rng;
        rng_init(&rng, config->seed, (uint64_t)i);
        const double value_c = resampled(&w, control, &rng);
        const double effect =
            effect_of(config, value_c, resampled(&w, treatment, &rng));
        if (isfinite(effect)) {
            w.replicates[w.n_kept++] = effect;
        }
    }
    r.n_failed = config->n_replicates - w.n_kept;
    fill_interval(&w, &r);
    *result = r;
    rc = 0;

out:
    free(w.replicates);
    free(w.scratch);
    free(w.units);
    return rc;
}

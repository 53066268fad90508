/* made_table.h - tables of units made by hand, for tests of the analysis alone. */
#ifndef TESTS_MADE_TABLE_H
#define TESTS_MADE_TABLE_H

#include "common/rng.h"
#include "tests/analysis_testing.h"

#define N_UNITS 4000

/* A table of N_UNITS units, every second one in each arm, first exposed a minute apart;
 * metric m of a unit is values[m][unit]. */
struct made {
    struct unit_table table;
    struct slice id[N_UNITS];
    uint64_t hash[N_UNITS];
    int16_t arm[N_UNITS], config[N_UNITS];
    int64_t first_ts_us[N_UNITS];
    uint32_t n_exposures[N_UNITS], n_feedback[N_UNITS], days[N_UNITS];
    double values[2][N_UNITS];
    struct unit_metric metrics[2];
};
static struct made made;

static const struct analysis_metric two_metrics[] = {
    {.name = "satisfied", .kind = ANALYSIS_PROPORTION, .event = "s", .direction = 1},
    {.name = "cost",
     .kind = ANALYSIS_MEAN,
     .event = "c",
     .direction = -1,
     .margin = 0.1},
};

static inline struct unit_table *make_table(double p_control, double p_treatment,
                                            double cost_control, double cost_treatment)
{
    struct rng rng;
    rng_init(&rng, 11, 0);
    memset(&made, 0, sizeof made);
    for (int i = 0; i < N_UNITS; i++) {
        const int arm = i % 2;
        made.hash[i] = (uint64_t)i;
        made.id[i] = slice_of("u");
        made.arm[i] = (int16_t)arm;
        made.config[i] = -1;
        made.first_ts_us[i] = TRIAL_START + i * 300000000LL;
        made.n_exposures[i] = 1;
        made.values[0][i] = rng_uniform(&rng) < (arm ? p_treatment : p_control);
        made.values[1][i] =
            (arm ? cost_treatment : cost_control) + 0.5 * rng_normal(&rng);
    }
    for (int m = 0; m < 2; m++) {
        made.metrics[m] = (struct unit_metric){
            .value = made.values[m], .days = made.days, .sampled_1_in = 1};
    }
    made.table = (struct unit_table){
        .n_units = N_UNITS,
        .id = made.id,
        .hash = made.hash,
        .arm = made.arm,
        .config = made.config,
        .first_ts_us = made.first_ts_us,
        .n_exposures = made.n_exposures,
        .n_feedback = made.n_feedback,
        .metrics = made.metrics,
        .n_metrics = 2,
        .first_ts_us_min = TRIAL_START,
        .last_ts_us = made.first_ts_us[N_UNITS - 1],
    };
    return &made.table;
}

static inline struct analysis *run_made(const struct analysis_experiment *spec,
                                        struct unit_table *table)
{
    const struct evidence evidence = {0};
    struct error error = {0};
    struct analysis *analysis = analysis_new(&evidence, 1);
    assert_non_null(analysis);
    if (analysis_run(analysis, 0, spec, table, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return analysis;
}

static inline bool made_has_reason(const struct experiment_result *result,
                                   const char *part)
{
    for (int i = 0; i < result->n_reasons; i++) {
        if (strstr(result->reasons[i], part)) {
            return true;
        }
    }
    return false;
}

#endif

/* What bpr.h can be told. */
#include "trainer/bpr.h"

#include <math.h>

struct bpr_config bpr_config_default(void)
{
    return (struct bpr_config){
        .n_factors = 20,
        .n_epochs = 15,
        .learning_rate = 0.05,
        .reg = 0.0025,
        .bias_rate = 1,
        .start_sd = 0.1,
        .threshold = 2.5,
        .sampling = BPR_USERS,
        .n_candidates = 1,
        .seed = 1,
        .n_threads = 1,
    };
}

int bpr_config_check(const struct bpr_config *config, struct error *error)
{
    if (config->n_factors < 1 || config->n_factors > MODEL_MAX_FACTORS) {
        error_set(error, ERROR_INVALID, "factors is %d, not 1 to %d", config->n_factors,
                  MODEL_MAX_FACTORS);
        return -1;
    }
    if (!(config->learning_rate > 0) || !isfinite(config->learning_rate)) {
        error_set(error, ERROR_INVALID, "learning rate is %g, not above 0",
                  config->learning_rate);
        return -1;
    }
    if (!(config->reg >= 0) || !isfinite(config->reg) || !isfinite(config->threshold)) {
        error_set(error, ERROR_INVALID, "regularisation is %g, not 0 or more",
                  config->reg);
        return -1;
    }
    if (!(config->bias_rate > 0) || !isfinite(config->bias_rate)) {
        error_set(error, ERROR_INVALID, "bias rate is %g, not above 0",
                  config->bias_rate);
        return -1;
    }
    if (!(config->start_sd >= 0) || !isfinite(config->start_sd)) {
        error_set(error, ERROR_INVALID, "deviation at the start is %g, not 0 or more",
                  config->start_sd);
        return -1;
    }
    if (!(config->average >= 0 && config->average <= 1)) {
        error_set(error, ERROR_INVALID,
                  "share of the epochs to average is %g, not in [0, 1]",
                  config->average);
        return -1;
    }
    if (config->n_candidates < 1) {
        error_set(error, ERROR_INVALID, "%d candidates, not 1 or more",
                  config->n_candidates);
        return -1;
    }
    return training_check_effort(config->n_epochs, config->n_threads, error);
}

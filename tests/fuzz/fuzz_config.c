/* fuzz_config.c - any bytes as a config: no crash, and what is accepted keeps the
 * promises that serving relies on. */
#include <stdlib.h>

#include "experiment/experiment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_experiment(const struct config *config, int at)
{
    const struct experiment *experiment = &config->experiments[at];
    double end = 0;
    require(experiment->n_arms >= 2);
    for (int i = 0; i < experiment->n_arms; i++) {
        const struct arm *arm = &experiment->arms[i];
        require(arm->range_start >= end && arm->range_end >= arm->range_start);
        require(arm->range_end <= 1 + 1e-5);
        end = arm->range_end;
    }
    require(reload_count_moved(config, at, config, at) == 0);
    for (int i = 0; i < experiment->n_forced; i++) {
        const struct assignment_request request = {slice_of(experiment->forced[i].unit),
                                                   experiment->start_us, NULL};
        const struct assignment assignment = config_assign_one(config, at, &request);
        require(experiment->status != STATUS_RUNNING ||
                assignment.arm == experiment->forced[i].arm);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    struct config_problems problems = {0};
    struct error error = {0};
    const struct slice text = {(const char *)data, size};
    const int rc = config_parse(text, "fuzz", "dir", &config, &problems, &error);
    require((rc == 0) == (problems.n_errors == 0));
    require(rc == 0 || error.code == ERROR_INVALID);
    for (int i = 0; config && i < config->n_experiments; i++) {
        check_experiment(config, i);
    }
    config_free(config);
    config_problems_free(&problems);
    return 0;
}

/* analysis_spec.h - the experiments to analyze, out of the configs that a log holds. */
#ifndef ABTEST_ANALYSIS_SPEC_H
#define ABTEST_ANALYSIS_SPEC_H

#include "common/arena.h"
#include "common/error.h"
#include "experiment/experiment.h"
#include "stats/stats.h"

/* The spec and what its pointers lead to. Zeroed, it is empty. */
struct analysis_source {
    uint64_t seed; /* of bootstrap intervals; set before it is built, 0: 1 */
    struct arena arena;
    struct config *
        *configs; /* (n_configs) parsed, the newest first; NULL: unreadable */
    const struct join_config **logged; /* (n_configs) where each comes from */
    int n_configs;
    struct analysis_spec spec;
    const char **warnings; /* (n_warnings): configs that could not be read, and why */
    int n_warnings;
};

/* Takes each experiment from the newest config in the log that has it; with
 * `experiment` not NULL, that one only. The join must outlive the source. Fails with
 * ERROR_NOT_FOUND when the log holds no usable config or no such experiment, or with
 * ERROR_NOMEM. The caller releases *source with analysis_source_free, failed or not. */
MUST_CHECK int analysis_source_build(const struct join *join, const char *path,
                                     const char *experiment,
                                     struct analysis_source *source,
                                     struct error *error);
/* The experiments of the config file `path`, without a log. Fails as config_load. */
MUST_CHECK int analysis_source_of_config(const char *path,
                                         struct analysis_source *source,
                                         struct error *error);
void analysis_source_free(struct analysis_source *source);

#endif

/* check_config.h - what `abtest check` knows beyond the config itself: whom it would
 * move that has an arm already, and whether its traffic is enough. */
#ifndef ABTEST_CHECK_CONFIG_H
#define ABTEST_CHECK_CONFIG_H

#include <stdbool.h>

#include "common/error.h"
#include "experiment/experiment.h"

/* Adds what reload_check says of `config` after the one in `against`: a config file, a
 * log directory or a segment, of which the last config counts. Each -1 is a failure to
 * find out; what is found goes to *problems, as warnings when `as_warnings`. */
MUST_CHECK int check_against(const struct config *config, const char *against,
                             bool as_warnings, struct config_problems *problems,
                             struct error *error);

/* The same, as warnings, against the newest segment of the config's own log. Nothing
 * when there is none. */
MUST_CHECK int check_against_log(const struct config *config,
                                 struct config_problems *problems, struct error *error);

/* Warns of each experiment that needs more days than it has, by its daily_units,
 * baseline, deviation and minimum_effect; power 0.8, two-sided at its alpha. */
MUST_CHECK int check_power(const struct config *config,
                           struct config_problems *problems, struct error *error);

#endif

/* power_plot.h - a planning question as a picture: power against units for effects
 * around the planned one, and the smallest effect that so many units detect. */
#ifndef ABTEST_POWER_PLOT_H
#define ABTEST_POWER_PLOT_H

#include <stdbool.h>

#include "abtest/power_problem.h"

/* Draws a solved problem into `path` as plot.h says, on behalf of `abtest power`.
 * `is_data_apart`: the data of a picture that cannot be drawn go to standard error.
 * Returns an exit status. */
int power_plot(const struct power_problem *problem, const char *path,
               bool is_data_apart);

#endif

/* power_plot.h - a planning question as a picture: power against units for effects
 * around the planned one, and the smallest effect that so many units detect. */
#ifndef ABTEST_POWER_PLOT_H
#define ABTEST_POWER_PLOT_H

#include "abtest/plot.h"
#include "abtest/power_problem.h"

/* Draws what was chosen of a solved problem, on behalf of `abtest power`. Returns an
 * exit status. */
int power_plot(const struct power_problem *problem, const struct plot_choice *choice);

#endif

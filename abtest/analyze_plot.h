/* analyze_plot.h - an analysis as a picture: for each experiment a forest plot of all
 * metrics and, for its primary metric, the effect over time with the interval for one
 * look and the one that holds at every look.
 */
#ifndef ABTEST_ANALYZE_PLOT_H
#define ABTEST_ANALYZE_PLOT_H

#include "abtest/plot.h"
#include "stats/stats.h"

/* Draws what was chosen, on behalf of `abtest analyze`. Returns an exit status. */
int analyze_plot(const struct analysis *analysis, const struct plot_choice *choice);

#endif

/* analyze_plot.h - an analysis as a picture: for each experiment a forest plot of all
 * metrics and, for its primary metric, the effect over time with the interval for one
 * look and the one that holds at every look.
 */
#ifndef ABTEST_ANALYZE_PLOT_H
#define ABTEST_ANALYZE_PLOT_H

#include "stats/stats.h"

/* Draws into `path` as plot.h says, on behalf of `abtest analyze`. `is_data_apart`: the
 * data of a picture that cannot be drawn go to standard error, for standard output
 * holds something that programs read. Returns an exit status. */
int analyze_plot(const struct analysis *analysis, const char *path, bool is_data_apart);

#endif

/* stats.h - is the difference real? Tests, intervals and checks, each under its own
 * name.
 *
 * Pure functions of numbers, but for the one file that joins logged events into
 * per-unit aggregates. Sees only common/ (and logs/ in that file).
 */
#ifndef STATS_STATS_H
#define STATS_STATS_H

/* One header a line, so that two people can add one without a conflict. */
#include "stats/analysis.h"
#include "stats/analysis_spec.h"
#include "stats/bayes.h"
#include "stats/bootstrap.h"
#include "stats/cuped.h"
#include "stats/effect.h"
#include "stats/evidence.h"
#include "stats/exact.h"
#include "stats/group_sequential.h"
#include "stats/heterogeneity.h"
#include "stats/interval.h"
#include "stats/join.h"
#include "stats/lift.h"
#include "stats/lists.h"
#include "stats/mean.h"
#include "stats/multiple.h"
#include "stats/noninferiority.h"
#include "stats/number_text.h"
#include "stats/order.h"
#include "stats/poststratification.h"
#include "stats/power.h"
#include "stats/proportion.h"
#include "stats/proportion_interval.h"
#include "stats/quantile.h"
#include "stats/ratio.h"
#include "stats/sequential.h"
#include "stats/srm.h"
#include "stats/tail.h"
#include "stats/trend.h"
#include "stats/uniformity.h"
#include "stats/unit_table.h"

#endif

/* stats.h - is the difference real? Tests, intervals and checks, each under its own
 * name.
 *
 * Pure functions of numbers, but for the one file that joins logged events into
 * per-unit aggregates. Sees only common/ (and logs/ in that file).
 */
#ifndef STATS_STATS_H
#define STATS_STATS_H

#endif

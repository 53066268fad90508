/* attribute_segments.h - groups of units by what requests said of their users, and by
 * how much they did before.
 *
 * Words: the values that most units have are groups if at least one unit in a hundred
 * has them, all others together one more; so a column of identifiers is no segment.
 * Numbers: cut where the config says so, else at quartiles of the units. A unit's value
 * is that of its first exposure; one of which nothing was said is in no group.
 */
#ifndef ABTEST_ATTRIBUTE_SEGMENTS_H
#define ABTEST_ATTRIBUTE_SEGMENTS_H

#include "common/arena.h"
#include "common/error.h"
#include "stats/stats.h"

#define SEGMENT_MIN_SHARE  0.01
#define SEGMENT_MAX_GROUPS 64 /* of any kind of segment */
#define SEGMENT_MAX_WORDS                                                              \
    15 /* groups of an attribute of words, besides "other values" */

/* Groups the units of `table`, rows of experiment `index` of the measured spec. With
 * fewer than two groups segment->n is 0 or 1 and it is no segment. Memory is the
 * arena's. Returns 0, or -1 without memory. */
MUST_CHECK int segment_attribute(const struct join *join, int index,
                                 const struct analysis_attribute *attribute,
                                 const struct unit_table *table,
                                 struct unit_segments *segment, struct arena *arena);

/* Leaves out groups that nobody is in; of at most SEGMENT_MAX_GROUPS. */
void segment_drop_empty(const struct unit_table *table, struct unit_segments *segment);

/* Those with 0, and thirds of the others, ascending; segment->name is left alone. */
MUST_CHECK int segment_thirds(const struct unit_table *table, const double *values,
                              struct unit_segments *segment, struct arena *arena);

#endif

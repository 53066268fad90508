/* simulate.h - users that are not there: they ask for recommendations over HTTP and
 * answer with feedback, by a rule that is planted and printed, so that an analysis can
 * be held against the truth.
 */
#ifndef SIMULATE_SIMULATE_H
#define SIMULATE_SIMULATE_H

#endif

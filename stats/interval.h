/* interval.h - the answer that every interval method gives. */
#ifndef STATS_INTERVAL_H
#define STATS_INTERVAL_H

/* A one-sided interval has an infinite bound, or the end of the parameter's range where
 * it has one (a difference of proportions lies in [-1, 1]). */
struct interval {
    double lower; /* NAN: the method cannot answer for this sample */
    double upper;
};

#endif

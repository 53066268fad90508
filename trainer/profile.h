/* profile.h - what a set of ratings looks like before anything is learned from it. */
#ifndef TRAINER_PROFILE_H
#define TRAINER_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "trainer/power_law.h"
#include "trainer/ratings.h"

/* Finer scales than this are put into that many bins of equal width. */
#define PROFILE_MAX_LEVELS 100

struct profile_level {
    double rating; /* the value; of a bin, its middle */
    int64_t n;
};

/* How active the users are, or how popular the items. */
struct profile_activity {
    int64_t n;       /* with at least one rating */
    int32_t *ranked; /* (n) ratings of each, descending; owned */
    double mean, median;
    int64_t n_for_80_percent; /* the most active that make 80 % of the ratings */
    double gini;              /* 0: all equal, towards 1: a few have all */
    bool has_power_law;       /* false where the tail is too short to fit */
    struct power_law power_law;
};

struct profile {
    int64_t n_ratings;
    double density; /* share of user x item pairs that are rated */
    double mean, sd, lowest, highest;
    int n_levels;
    struct profile_level level[PROFILE_MAX_LEVELS]; /* ascending */
    struct profile_activity users, items;
};

/* Fails with ERROR_INVALID when there are no ratings, or ERROR_NOMEM. On success the
 * caller releases with profile_release. */
MUST_CHECK int profile_make(const struct ratings *ratings, struct profile *profile,
                            struct error *error);
void profile_release(struct profile *profile);

#endif

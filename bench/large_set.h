/* large_set.h - ratings of the shape of MovieLens 25M, made in memory. */
#ifndef BENCH_LARGE_SET_H
#define BENCH_LARGE_SET_H

#include <stdint.h>

#include "trainer/trainer.h"

/* About n_wanted ratings, 162,541 users, 59,047 items. Log-normal activity with at
 * least 20 ratings a user, popularity (rank + 150)^-1.6: the most popular item is rated
 * by about half of the users, as in MovieLens 25M. Ends the program without memory. */
struct ratings *large_set_make(int64_t n_wanted);

/* Writes lines of user, item, rating, separated by blanks, users and items from 0. */
void large_set_write(const struct ratings *ratings, const char *path);

#endif

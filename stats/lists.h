/* lists.h - what the lists of each arm were like: which items they reach, how often
 * they repeat themselves, what was clicked at which position.
 *
 * Coverage (share of the items shown in any arm that this arm shows), concentration
 * (Gini coefficient of showings over those items) and novelty (mean of -log2 of an
 * item's share of all showings) are numbers of an arm, not of a unit, so their variance
 * comes from leaving out one of ITEM_GROUPS random groups of units at a time
 * (delete-a-group jackknife; K. M. Wolter, Introduction to Variance Estimation, 2nd ed.
 * 2007, 4.3). Coverage grows with the number of lists: compare arms of one size.
 *
 * Repeats and clicks are ratios of sums over a unit's showings, so their variance is
 * the delta method's with units as clusters (ratio.h): showings of one unit are alike.
 */
#ifndef STATS_LISTS_H
#define STATS_LISTS_H

#include <stdint.h>

#include "common/error.h"
#include "stats/effect.h"
#include "stats/ratio.h"

#define LISTS_JACKKNIFE "delete-a-group jackknife over 16 groups of units"
#define LISTS_CLUSTERED "delta method with units as clusters"

/* How often each item was shown, by arm and by random group of units; the groups are
 * for the variance. Items in byte order of id, so that sums come out the same. */
#define ITEM_GROUPS 16
struct item_counts {
    int n_items;
    int n_arms;
    uint32_t *counts; /* (n_items, n_arms, ITEM_GROUPS); NULL when nobody asked */
};

/* The group of a unit, by hash_bytes of its id. */
static inline int lists_group(uint64_t hash)
{
    return (int)(hash % ITEM_GROUPS);
}

/* An item of a list that a unit was shown, or that it answered to (clicked). */
struct shown_item {
    int32_t unit;
    int16_t position;       /* from 0, best first; SHOWN_ANSWER: an answer */
    int16_t arm;            /* of the unit */
    uint64_t request, item; /* hashes of their ids */
};
#define SHOWN_ANSWER   (-1)
#define LIST_POSITIONS 20 /* told apart; deeper ones are not compared */

enum list_measure { LIST_COVERAGE, LIST_CONCENTRATION, LIST_NOVELTY, LIST_MEASURES };

/* Fills measures (n_arms, LIST_MEASURES) with each arm's values, their variances and
 * ITEM_GROUPS - 1 degrees of freedom; NAN for an arm that showed nothing, and as the
 * variance of one whose units are all in one group. Fails with ERROR_NOMEM. */
MUST_CHECK int lists_measure_items(const struct item_counts *items,
                                   struct estimate *measures, struct error *error);

/* Sums over the units of one arm, of those that were shown something there. */
struct list_sums {
    struct ratio_sum repeats; /* showings of an item that its unit had been shown
                                 before, over showings */
    struct ratio_sum clicks[LIST_POSITIONS]; /* answered showings over showings */
};

/* Brings the showings in order of unit, item, request and position, an answer before
 * what it answers to. */
void lists_sort(struct shown_item *shown, int64_t n_shown);

/* Adds sorted showings to the sums (arms) of their units' arms. Returns how many were
 * answered: two answers to one showing are one. */
int64_t lists_add_shown(const struct shown_item *shown, int64_t n_shown,
                        struct list_sums *sums);

#endif

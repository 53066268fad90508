/* behaviour.h - what a simulated user makes of a list: the rules that are planted.
 *
 * RULE_RATES   One coin a user: satisfied when the user's uniform draw is below the
 *              rate of the arm. The draw does not depend on the arm, so the two
 *              potential outcomes of a user are coupled, as in a real person. Of
 *              several visits, the satisfied one is drawn uniformly.
 * RULE_TRUTH   Satisfied when the list holds an item that the user is known to like
 *              (held-out ratings). No chance is involved.
 * RULE_CLICKS  Position-based click model (Richardson, Dominowska & Ragno, WWW 2007;
 *              Joachims, Swaminathan & Schnabel, WSDM 2017, section 5): position r is
 *              examined with probability r^-eta; an examined item is clicked with
 *              probability `click_liked` or `click_other`. Satisfied when a liked item
 *              was clicked. Positions are independent: wrong where people stop at the
 *              first good item (cascade models).
 */
#ifndef SIMULATE_BEHAVIOUR_H
#define SIMULATE_BEHAVIOUR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

#define LIST_MAX 1000 /* items of a list that are looked at; `k` goes no higher */

enum rule { RULE_RATES, RULE_TRUTH, RULE_CLICKS };

struct behaviour {
    enum rule rule;
    uint64_t seed;
    int n_visits;        /* requests of a user, >= 1 */
    const double *rates; /* (n_arms) in [0, 1], by arm; for RULE_RATES, else NULL */

    /* Does the user like the item? For RULE_TRUTH and RULE_CLICKS, else NULL. Called
     * from several threads. */
    bool (*likes)(const void *context, struct slice user, struct slice item);
    const void *context;

    double eta;         /* >= 0; 0 = every position is examined */
    double click_liked; /* probabilities in [0, 1], given that the item is examined */
    double click_other;
};

/* A list as it was shown to a user. */
struct encounter {
    struct slice user;
    int visit; /* 0 ... n_visits - 1 */
    int arm;   /* index into the experiment's arms; negative: takes no part */
    const struct slice *items; /* (n_items), best first */
    int n_items;
};

struct reaction {
    bool is_satisfied;
    int item; /* position (from 0) of the item that satisfied, or -1 */
    int n_clicks;
    bool is_examined[LIST_MAX]; /* by position; RULE_CLICKS only */
    bool is_clicked[LIST_MAX];
};

/* Decides. Thread-safe; items past LIST_MAX are not looked at. A user in no arm is
 * never satisfied under RULE_RATES, for there is no rate to go by. */
void behaviour_react(const struct behaviour *behaviour,
                     const struct encounter *encounter, struct reaction *reaction);

const char *rule_name(enum rule rule); /* "rates", "truth", "clicks" */

#endif

/* power_problem.h - one planning question, asked by `abtest power` or by `abtest stat`:
 * whichever of units, effect and power is not given is what is sought. */
#ifndef ABTEST_POWER_PROBLEM_H
#define ABTEST_POWER_PROBLEM_H

#include <jansson.h>
#include <stdbool.h>

#include "common/buffer.h"
#include "common/error.h"
#include "stats/stats.h"

#define POWER_PROBLEM_KEYS                                                             \
    "metric baseline effect lift n_control days units_per_day power alpha "            \
    "alternative allocation sd sd_treatment mean_numerator sd_numerator "              \
    "mean_denominator sd_denominator correlation comparisons"

/* NAN: not given. Filled in by power_problem_solve. */
struct power_problem {
    struct power_plan plan;
    double effect;        /* absolute */
    double lift;          /* effect / |baseline|; instead of effect */
    double n_control;     /* control units */
    double days;          /* with units_per_day, instead of n_control */
    double units_per_day; /* new units of all arms a day */
    double power;         /* default 0.8 where it is not what is sought */
    double comparisons;   /* alpha is divided by so many (Bonferroni); 1 */
    /* Ratios: what makes sd_control when sd is not given. */
    double mean_numerator, sd_numerator, mean_denominator, sd_denominator, correlation;
    enum power_sought { SOUGHT_UNITS, SOUGHT_POWER, SOUGHT_EFFECT } sought;
    double n_treatment; /* set */
};

struct power_problem power_problem_default(void);

/* Reads the keys of POWER_PROBLEM_KEYS. */
MUST_CHECK int power_problem_read(const json_t *json, struct power_problem *problem,
                                  struct error *error);

/* Finds what is missing. Fails with ERROR_INVALID when too much or too little is given,
 * or as power.h does. */
MUST_CHECK int power_problem_solve(struct power_problem *problem, struct error *error);

/* Appends the members of the JSON answer. */
void power_problem_answer(const struct power_problem *problem, struct buffer *answer);

#endif

#include "stats/group_sequential.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define GRID_R    32 /* Jennison & Turnbull's r: error falls with r^-4 */
#define MAX_NODES (12 * GRID_R + 4)
#define FAR       8.5   /* standard deviations that count as no bound */
#define LEAST     1e-14 /* spending below it gives no bound */
/* Of the information so far. The path moves by sqrt of it between two looks, and must
 * move by two nodes of the grid for Simpson's rule to see it. */
#define LEAST_STEP 0.002

const char *spending_name(enum spending spending)
{
    switch (spending) {
    case SPENDING_OBRIEN_FLEMING:
        return "O'Brien-Fleming";
    case SPENDING_POCOCK:
        return "Pocock";
    case SPENDING_POWER:
        return "power";
    }
    return "?";
}

/* What one side may have used after a fraction of the information. */
static double spent_after(const struct group_sequential_plan *plan, double alpha,
                          double fraction)
{
    switch (plan->spending) {
    case SPENDING_OBRIEN_FLEMING:
        return 2 * tail_normal_upper(tail_normal_quantile_upper(alpha / 2) /
                                     sqrt(fraction));
    case SPENDING_POCOCK:
        return alpha * log1p((exp(1) - 1) * fraction);
    case SPENDING_POWER:
        return alpha * pow(fraction, plan->power);
    }
    return NAN;
}

/* Nodes on the z scale with Simpson weights, and the density of having come there. */
struct grid {
    int n_nodes;
    double z[MAX_NODES];
    double weight[MAX_NODES];
    double density[MAX_NODES];
};

/* Nodes even in the middle and logarithmically sparse beyond 3 sd (Jennison & Turnbull
 * 19.2), cut to [low, high], with the midpoints that Simpson's rule wants. */
static void grid_place(struct grid *grid, double low, double high)
{
    double odd[6 * GRID_R + 2];
    int n = 0;
    odd[n++] = low;
    for (int i = 1; i < 6 * GRID_R; i++) {
        const double r = GRID_R;
        const double x = i < r        ? -3 - 4 * log(r / i)
                         : i <= 5 * r ? -3 + 3 * (i - r) / (2 * r)
                                      : 3 + 4 * log(r / (6 * r - i));
        if (x > low && x < high) {
            odd[n++] = x;
        }
    }
    odd[n++] = high;
    grid->n_nodes = 2 * n - 1;
    for (int i = 0; i < n; i++) {
        grid->z[2 * i] = odd[i];
        grid->weight[2 * i] = 0;
    }
    for (int i = 0; i + 1 < n; i++) {
        const double gap = odd[i + 1] - odd[i];
        grid->z[2 * i + 1] = 0.5 * (odd[i] + odd[i + 1]);
        grid->weight[2 * i] += gap / 6;
        grid->weight[2 * i + 1] = 4 * gap / 6;
        grid->weight[2 * i + 2] += gap / 6;
    }
}

static double normal_density(double z)
{
    return 0.398942280401432678 * exp(-0.5 * z * z);
}

/* Probability of crossing `bound` upwards at `fraction`, from `before` at an earlier
 * one; without a look before, the normal tail. */
static double crossing(const struct grid *before, double earlier, double fraction,
                       double bound)
{
    if (earlier == 0) {
        return tail_normal_upper(bound);
    }
    const double step = sqrt(fraction - earlier);
    double sum = 0;
    for (int i = 0; i < before->n_nodes; i++) {
        const double gap = bound * sqrt(fraction) - before->z[i] * sqrt(earlier);
        sum += before->weight[i] * before->density[i] * tail_normal_upper(gap / step);
    }
    return sum;
}

static void advance(const struct grid *before, double earlier, double fraction,
                    struct grid *after)
{
    const double step = sqrt(fraction - earlier);
    for (int k = 0; k < after->n_nodes; k++) {
        if (earlier == 0) {
            after->density[k] = normal_density(after->z[k]);
            continue;
        }
        double sum = 0;
        for (int i = 0; i < before->n_nodes; i++) {
            const double gap =
                after->z[k] * sqrt(fraction) - before->z[i] * sqrt(earlier);
            sum += before->weight[i] * before->density[i] * normal_density(gap / step);
        }
        after->density[k] = sum * sqrt(fraction) / step;
    }
}

static double find_bound(const struct grid *before, double earlier, double fraction,
                         double probability)
{
    double low = -FAR, high = FAR;
    if (probability < LEAST) {
        return INFINITY;
    }
    for (int i = 0; i < 100 && high - low > 1e-12; i++) {
        const double middle = 0.5 * (low + high);
        if (crossing(before, earlier, fraction, middle) > probability) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return 0.5 * (low + high);
}

static int check(const struct group_sequential_plan *plan, struct error *error)
{
    if (plan->n_looks < 1 || plan->n_looks > GROUP_SEQUENTIAL_MAX_LOOKS) {
        error_set(error, ERROR_INVALID, "%d looks; plan 1 to %d", plan->n_looks,
                  GROUP_SEQUENTIAL_MAX_LOOKS);
        return -1;
    }
    if (!(plan->alpha > 0 && plan->alpha < 0.5)) {
        error_set(error, ERROR_INVALID, "alpha %g is not between 0 and 0.5",
                  plan->alpha);
        return -1;
    }
    if (plan->spending == SPENDING_POWER && !(plan->power > 0 && plan->power <= 100)) {
        error_set(error, ERROR_INVALID,
                  "spending power %g is not above 0 and up to 100", plan->power);
        return -1;
    }
    double earlier = 0;
    for (int i = 0; i < plan->n_looks; i++) {
        if (!(plan->fractions[i] > earlier && plan->fractions[i] <= 1)) {
            error_set(error, ERROR_INVALID,
                      "information fraction %d is %g; they must rise and end at most "
                      "at 1",
                      i + 1, plan->fractions[i]);
            return -1;
        }
        if (i > 0 && plan->fractions[i] - earlier < LEAST_STEP * plan->fractions[i]) {
            error_set(error, ERROR_INVALID,
                      "information fractions %d and %d are %.9g and %.9g; a look wants "
                      "at least %g %% more information than the one before it (take "
                      "them as one)",
                      i, i + 1, earlier, plan->fractions[i], 100 * LEAST_STEP);
            return -1;
        }
        earlier = plan->fractions[i];
    }
    return 0;
}

int group_sequential_bounds(const struct group_sequential_plan *plan, double *bounds,
                            double *spent, struct error *error)
{
    if (check(plan, error) != 0) {
        return -1;
    }
    struct grid *grids = calloc(2, sizeof *grids);
    if (!grids) {
        error_set(error, ERROR_NOMEM, "no memory for %zu bytes of grids",
                  2 * sizeof *grids);
        return -1;
    }
    const bool is_two_sided = plan->alternative == ALTERNATIVE_TWO_SIDED;
    const double sides = is_two_sided ? 2 : 1;
    struct grid *before = &grids[0], *after = &grids[1];
    double earlier = 0, used = 0;
    for (int i = 0; i < plan->n_looks; i++) {
        const double fraction = plan->fractions[i];
        const double may_use = spent_after(plan, plan->alpha / sides, fraction);
        bounds[i] = find_bound(before, earlier, fraction, may_use - used);
        used = isinf(bounds[i]) ? used : may_use;
        spent[i] = used * sides;
        const double edge = fmin(bounds[i], FAR);
        grid_place(after, is_two_sided ? -edge : -FAR, edge);
        advance(before, earlier, fraction, after);
        struct grid *swap = before;
        before = after;
        after = swap;
        earlier = fraction;
    }
    free(grids);
    return 0;
}

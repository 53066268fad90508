#include "serve/explore.h"

#include <math.h>

#include "common/hash.h"
#include "common/rng.h"

int explore_n_candidates(int k)
{
    const int n = k < 10 ? 100 : 10 * k;
    return n > TOPK_MAX ? TOPK_MAX : n;
}

static double gumbel(struct rng *rng)
{
    double u = rng_uniform(rng);
    while (u <= 0) {
        u = rng_uniform(rng);
    }
    return -log(-log(u));
}

/* Below this the best candidate left is weighed anew, long before weights lose digits.
 */
#define LEAST_WEIGHT 1e-200

/* The weights of the candidates from `best` on, which come best first: its own is 1. */
static void weigh(const struct topk_result *candidates, double temperature, int best,
                  double *weight)
{
    for (int i = best; i < candidates->n; i++) {
        weight[i] =
            exp((candidates->scores[i] - candidates->scores[best]) / temperature);
    }
}

void explore(const struct topk_result *candidates, double temperature, int k,
             struct slice request_id, struct topk_result *list, double *propensities)
{
    const int n = candidates->n, n_places = k < n ? k : n;
    double noisy[TOPK_MAX], weight[TOPK_MAX];
    struct rng rng;
    int left = 0; /* the best candidate that is not drawn */
    list->n = 0;
    if (n < 1) {
        return;
    }
    rng_init(&rng, hash_bytes(request_id.data, request_id.len), 0);
    for (int i = 0; i < n; i++) {
        noisy[i] = candidates->scores[i] / temperature + gumbel(&rng);
    }
    weigh(candidates, temperature, left, weight);
    list->n = n_places;
    for (int place = 0; place < n_places; place++) {
        int best = -1;
        double rest = 0;
        while (left + 1 < n && isnan(noisy[left])) {
            left++;
        }
        if (weight[left] < LEAST_WEIGHT) {
            weigh(candidates, temperature, left, weight);
        }
        for (int i = 0; i < n; i++) {
            if (isnan(noisy[i])) {
                continue; /* drawn */
            }
            rest += weight[i];
            best = best < 0 || noisy[i] > noisy[best] ? i : best;
        }
        if (best < 0) {
            break; /* cannot be: there are more candidates than places */
        }
        list->items[place] = candidates->items[best];
        list->scores[place] = candidates->scores[best];
        propensities[place] = weight[best] / rest;
        noisy[best] = (double)NAN;
    }
}

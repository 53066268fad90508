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

void explore(const struct topk_result *candidates, double temperature, int k,
             struct slice request_id, struct topk_result *list, double *propensities)
{
    double noisy[TOPK_MAX], weight[TOPK_MAX];
    struct rng rng;
    rng_init(&rng, hash_bytes(request_id.data, request_id.len), 0);
    for (int i = 0; i < candidates->n; i++) {
        /* The best candidate comes first: its weight is 1, the others' at most that. */
        weight[i] = exp((candidates->scores[i] - candidates->scores[0]) / temperature);
        noisy[i] = candidates->scores[i] / temperature + gumbel(&rng);
    }
    list->n = k < candidates->n ? k : candidates->n;
    for (int place = 0; place < list->n; place++) {
        int best = -1;
        double rest = 0;
        for (int i = 0; i < candidates->n; i++) {
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
        propensities[place] = rest > 0 ? weight[best] / rest : 1;
        noisy[best] = (double)NAN;
    }
}

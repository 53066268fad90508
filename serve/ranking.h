/* ranking.h - a list for a user's vector, as [serving] wants it: exact, diverse,
 * sampled.
 *
 * Exact lists are the k best scores (topk.h). The other two choose from the candidates,
 * the best explore_n_candidates(k) items in exact order, place by place.
 *
 * Diverse: with d = `diversity`, place j goes to the candidate, of those not chosen
 * yet, with the largest
 *
 *     m_i = (1 - d) s_i - d (s_max - s_min) max over l in places 1..j-1 of cos(v_i,
 * v_l)
 *
 * ties to the better candidate. That is maximal marginal relevance, equation 1 of
 * Carbonell & Goldstein, SIGIR 1998, 335-336, with lambda = 1 - d, relevance = the
 * score brought to [0, 1] over the candidates, similarity = the cosine of the item
 * vectors; only that all is multiplied by s_max - s_min, which orders the same and
 * keeps m in the score's unit. The maximum over nothing is 0, and so is the cosine of a
 * vector without length. d = 0 is the exact list; d = 1 looks at nothing but the
 * vectors. It is wrong where the vectors do not say what readers take for alike.
 *
 * Sampled: explore.h. Sampled and diverse: place j is drawn with probability
 * proportional to exp(m_i / temperature) among the candidates not chosen yet. m depends
 * on the places above and on nothing else, so that this is the place's propensity given
 * those above, and the product of all is the probability of the list, as in explore.h.
 * The noise comes from the same generator, one rng_uniform a place: the smallest prefix
 * of the candidates in exact order whose probabilities sum to more than it.
 *
 * Time: exact, what topk.h takes; diverse, k n_candidates n_factors multiplications
 * more (k = 10, 20 factors: 20,000; k = 1000: 20 million).
 */
#ifndef SERVE_RANKING_H
#define SERVE_RANKING_H

#include "common/slice.h"
#include "experiment/experiment.h"
#include "serve/state.h"

/* What one list is made in; 50 KB, so not for the stack. Contents are of no interest
 * between calls. */
struct ranking {
    struct topk_result list, candidates;
    double propensities[TOPK_MAX]; /* of the list's places */
    /* Of the candidates: largest cosine with a place above, 1 / |v|. */
    double nearest[TOPK_MAX], inverse_norm[TOPK_MAX];
    bool is_chosen[TOPK_MAX];
};

/* Makes the list of query->vector into ranking->list; its length is serving->k,
 * whatever query->k says. `scratch` as topk_find wants it; `id` seeds the sampling.
 * Returns ranking->propensities when the list was sampled, else NULL. Allocates
 * nothing. */
const double *ranking_make(struct ranking *ranking, const struct serve_model *served,
                           const struct serving *serving,
                           const struct topk_query *query, struct slice id,
                           void *scratch);

/* What a user gets of whom nothing is known: the items with the most ratings in
 * training, without the seen ones, into ranking->list. Scores are those numbers. */
void ranking_popular(struct ranking *ranking, const struct serve_model *served, int k,
                     const int32_t *seen, int32_t n_seen);

#endif

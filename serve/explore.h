/* explore.h - sampled lists: Plackett-Luce at a temperature, by Gumbel top-k.
 *
 * The candidates are the best explore_n_candidates(k) items in exact order (all of them
 * when there are fewer). Candidate i gets score_i / temperature + G_i with G_i standard
 * Gumbel, and the k largest make the list, in that order: which is the same as drawing
 * the places one after the other, each with probability proportional to
 * exp(score / temperature) among the candidates not drawn yet (Plackett 1975; Luce
 * 1959; Yellott, J. Math. Psych. 15 (1977) 109-144, for the equivalence).
 *
 * The propensity of a place is that conditional probability, given the places above it:
 *
 *   p_j = exp(s_j / T) / sum over candidates l not in places 1..j-1 of exp(s_l / T).
 *
 * Their product is the probability of the whole list. Items that are no candidates have
 * propensity 0, so an off-policy estimate is about policies that choose among the
 * candidates.
 *
 * The noise comes from rng_init(hash_bytes(request id), 0), one rng_uniform a
 * candidate in exact order, G = -ln(-ln(u)), so a replay draws the same list.
 */
#ifndef SERVE_EXPLORE_H
#define SERVE_EXPLORE_H

#include "common/slice.h"
#include "serve/topk.h"

/* Ten times the list, at least 100, at most TOPK_MAX. */
int explore_n_candidates(int k);

/* Draws min(k, candidates->n) of `candidates` into *list (their exact scores with them)
 * and the propensity of each place into `propensities` (k). temperature > 0. Allocates
 * nothing. */
void explore(const struct topk_result *candidates, double temperature, int k,
             struct slice request_id, struct topk_result *list, double *propensities);

#endif

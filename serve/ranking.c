#include "serve/ranking.h"

#include <math.h>

#include "common/hash.h"
#include "common/rng.h"
#include "common/search.h"
#include "serve/explore.h"

/* ---- diverse lists; letters as in the header ---- */

struct choice {
    struct ranking *r;
    const struct model *model;
    double d, spread, temperature;
};

static double dot(const struct model *model, int32_t a, int32_t b)
{
    const size_t n = (size_t)model->n_factors;
    const float *u = model->item_factors + (size_t)a * n,
                *v = model->item_factors + (size_t)b * n;
    double sum = 0;
    for (size_t f = 0; f < n; f++) {
        sum += (double)u[f] * (double)v[f];
    }
    return sum;
}

static void begin_choice(const struct choice *c)
{
    const struct topk_result *candidates = &c->r->candidates;
    for (int i = 0; i < candidates->n; i++) {
        const int32_t item = candidates->items[i];
        const double norm = sqrt(dot(c->model, item, item));
        c->r->inverse_norm[i] = norm > 0 ? 1 / norm : 0;
        c->r->nearest[i] = -2; /* below any cosine: there is no place above */
        c->r->is_chosen[i] = false;
    }
}

static double margin(const struct choice *c, int i)
{
    const double nearest = c->r->nearest[i];
    return (1 - c->d) * c->r->candidates.scores[i] -
           c->d * c->spread * (nearest < -1.5 ? 0 : nearest);
}

/* The candidate of the largest margin; ties to the better one. -1: all are chosen. */
static int best_of(const struct choice *c, double *largest)
{
    int best = -1;
    for (int i = 0; i < c->r->candidates.n; i++) {
        const double m = margin(c, i);
        if (!c->r->is_chosen[i] && (best < 0 || m > *largest)) {
            best = i;
            *largest = m;
        }
    }
    return best;
}

/* Draws a candidate by its margin; *propensity is its probability. */
static int draw(const struct choice *c, struct rng *rng, double *propensity)
{
    const int n = c->r->candidates.n;
    double largest = 0, sum = 0, below = 0;
    int drawn = best_of(c, &largest);
    for (int i = 0; i < n; i++) {
        if (!c->r->is_chosen[i]) { /* the best weighs 1: the sum is never 0 */
            sum += exp((margin(c, i) - largest) / c->temperature);
        }
    }
    const double mark = rng_uniform(rng) * sum;
    for (int i = 0; i < n; i++) {
        if (!c->r->is_chosen[i]) {
            const double weight = exp((margin(c, i) - largest) / c->temperature);
            *propensity = weight / sum;
            drawn = i;
            below += weight;
            if (below > mark) {
                break;
            }
        }
    }
    return drawn;
}

static void note_place(const struct choice *c, int chosen)
{
    struct ranking *r = c->r;
    const int32_t item = r->candidates.items[chosen];
    r->is_chosen[chosen] = true;
    for (int i = 0; i < r->candidates.n; i++) {
        if (!r->is_chosen[i]) {
            const double cosine = dot(c->model, r->candidates.items[i], item) *
                                  r->inverse_norm[i] * r->inverse_norm[chosen];
            r->nearest[i] = cosine > r->nearest[i] ? cosine : r->nearest[i];
        }
    }
}

static void diversify(struct ranking *r, const struct model *model,
                      const struct serving *serving, struct slice id)
{
    const int n = r->candidates.n;
    const struct choice c = {
        .r = r,
        .model = model,
        .d = serving->diversity,
        .spread = n ? r->candidates.scores[0] - r->candidates.scores[n - 1] : 0,
        .temperature = serving->explore,
    };
    struct rng rng;
    rng_init(&rng, hash_bytes(id.data, id.len), 0);
    begin_choice(&c);
    r->list.n = serving->k < n ? serving->k : n;
    for (int place = 0; place < r->list.n; place++) {
        double largest = 0;
        const int chosen = c.temperature > 0 ? draw(&c, &rng, &r->propensities[place])
                                             : best_of(&c, &largest);
        r->list.items[place] = r->candidates.items[chosen];
        r->list.scores[place] = r->candidates.scores[chosen];
        note_place(&c, chosen);
    }
}

/* ---- lists ---- */

const double *ranking_make(struct ranking *ranking, const struct serve_model *served,
                           const struct serving *serving,
                           const struct topk_query *query, struct slice id,
                           void *scratch)
{
    struct topk_query asked = *query;
    const bool is_sampled = serving->explore > 0;
    asked.k = serving->k;
    if (!is_sampled && !(serving->diversity > 0)) {
        topk_find(served->topk, &asked, scratch, &ranking->list, NULL);
        return NULL;
    }
    asked.k = explore_n_candidates(serving->k);
    topk_find(served->topk, &asked, scratch, &ranking->candidates, NULL);
    if (serving->diversity > 0) {
        diversify(ranking, served->model, serving, id);
    } else {
        explore(&ranking->candidates, serving->explore, serving->k, id, &ranking->list,
                ranking->propensities);
    }
    return is_sampled ? ranking->propensities : NULL;
}

static bool is_seen(int32_t item, const int32_t *seen, int32_t n_seen)
{
    const int64_t at = lower_bound(seen, 0, n_seen, item);
    return at < n_seen && seen[at] == item;
}

void ranking_popular(struct ranking *ranking, const struct serve_model *served, int k,
                     const int32_t *seen, int32_t n_seen)
{
    const struct model *model = served->model;
    struct topk_result *list = &ranking->list;
    list->n = 0;
    for (int32_t i = 0; i < model->n_items && list->n < k; i++) {
        const int32_t item = served->popular[i];
        if (!is_seen(item, seen, n_seen)) {
            list->items[list->n] = item;
            list->scores[list->n++] = model->item_count[item];
        }
    }
}

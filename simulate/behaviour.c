#include "simulate/behaviour.h"

#include <math.h>
#include <string.h>

#include "common/hash.h"
#include "common/rng.h"

#define VISIT_STRIDE 0x9E3779B97F4A7C15U /* odd: every visit gets another stream */

const char *rule_name(enum rule rule)
{
    switch (rule) {
    case RULE_RATES:
        return "rates";
    case RULE_TRUTH:
        return "truth";
    case RULE_CLICKS:
        return "clicks";
    }
    return "unknown";
}

static void flip_coin(const struct behaviour *behaviour,
                      const struct encounter *encounter, struct reaction *reaction)
{
    if (encounter->arm < 0) {
        return;
    }
    struct rng rng;
    rng_init(&rng, behaviour->seed,
             hash_bytes(encounter->user.data, encounter->user.len));
    const double draw = rng_uniform(&rng);
    const uint64_t visit = rng_below(&rng, (uint64_t)behaviour->n_visits);
    reaction->is_satisfied =
        visit == (uint64_t)encounter->visit && draw < behaviour->rates[encounter->arm];
}

static void look_for_liked(const struct behaviour *behaviour,
                           const struct encounter *encounter, int n_items,
                           struct reaction *reaction)
{
    for (int i = 0; i < n_items; i++) {
        if (behaviour->likes(behaviour->context, encounter->user,
                             encounter->items[i])) {
            reaction->is_satisfied = true;
            reaction->item = i;
            return;
        }
    }
}

static void click(const struct behaviour *behaviour, const struct encounter *encounter,
                  int n_items, struct reaction *reaction)
{
    /* A visit has a stream of its own, so that what happens on one visit does not
     * depend on the length of the list of another. */
    struct rng rng;
    rng_init(&rng, behaviour->seed,
             hash_bytes(encounter->user.data, encounter->user.len) +
                 VISIT_STRIDE * ((uint64_t)encounter->visit + 1));
    for (int i = 0; i < n_items; i++) {
        const double examine = rng_uniform(&rng), choose = rng_uniform(&rng);
        if (!(examine < pow(i + 1, -behaviour->eta))) {
            continue;
        }
        reaction->is_examined[i] = true;
        const bool likes =
            behaviour->likes(behaviour->context, encounter->user, encounter->items[i]);
        if (choose < (likes ? behaviour->click_liked : behaviour->click_other)) {
            reaction->is_clicked[i] = true;
            reaction->n_clicks++;
            if (likes && !reaction->is_satisfied) {
                reaction->is_satisfied = true;
                reaction->item = i;
            }
        }
    }
}

void behaviour_react(const struct behaviour *behaviour,
                     const struct encounter *encounter, struct reaction *reaction)
{
    const int n_items = encounter->n_items < LIST_MAX ? encounter->n_items : LIST_MAX;
    memset(reaction, 0, sizeof *reaction);
    reaction->item = -1;
    switch (behaviour->rule) {
    case RULE_RATES:
        flip_coin(behaviour, encounter, reaction);
        break;
    case RULE_TRUTH:
        look_for_liked(behaviour, encounter, n_items, reaction);
        break;
    case RULE_CLICKS:
        click(behaviour, encounter, n_items, reaction);
        break;
    }
}

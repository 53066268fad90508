/* recipe.h - which trainer, with which settings: what `abtest train` was told. */
#ifndef ABTEST_RECIPE_H
#define ABTEST_RECIPE_H

#include <stdbool.h>

#include "common/buffer.h"
#include "trainer/trainer.h"

struct recipe {
    enum model_kind kind;
    bool is_gibbs; /* kind is MODEL_ALS, trained by sampling */
    struct als_config als;
    struct bpr_config bpr;
    struct ials_config ials;
    struct gibbs_config gibbs;
};

/* Fails with ERROR_INVALID when the settings of the chosen trainer are wrong. */
MUST_CHECK int recipe_check(const struct recipe *recipe, struct error *error);

/* Trains as als_train and the others do. */
MUST_CHECK int recipe_train(const struct recipe *recipe, const struct ratings *train,
                            const struct ratings *test,
                            const struct training_observer *observer,
                            struct factors **factors, struct error *error);

/* The length of a user's vector in what recipe_train returns. */
int32_t recipe_n_factors(const struct recipe *recipe);

/* "rmse" (less is better) or "auc" (more is). */
const char *recipe_quality_name(const struct recipe *recipe);
bool recipe_is_better(const struct recipe *recipe, double quality, double than);

/* Appends the settings as members of a JSON object, a comma before each. */
void recipe_append_settings(const struct recipe *recipe, struct buffer *json);

#endif

#include "abtest/recipe.h"

#include <math.h>
#include <string.h>

#include "common/json_text.h"

int recipe_check(const struct recipe *recipe, struct error *error)
{
    switch (recipe->kind) {
    case MODEL_ALS:
        return recipe->is_gibbs ? gibbs_config_check(&recipe->gibbs, error)
                                : als_config_check(&recipe->als, error);
    case MODEL_BPR:
        return bpr_config_check(&recipe->bpr, error);
    case MODEL_IALS:
        break;
    }
    return ials_config_check(&recipe->ials, error);
}

int recipe_train(const struct recipe *recipe, const struct ratings *train,
                 const struct ratings *test, const struct training_observer *observer,
                 struct factors **factors, struct error *error)
{
    switch (recipe->kind) {
    case MODEL_ALS:
        return recipe->is_gibbs
                   ? gibbs_train(train, test, &recipe->gibbs, observer, factors, error)
                   : als_train(train, test, &recipe->als, observer, factors, error);
    case MODEL_BPR:
        return bpr_train(train, test, &recipe->bpr, observer, factors, error);
    case MODEL_IALS:
        break;
    }
    return ials_train(train, test, &recipe->ials, observer, factors, error);
}

int32_t recipe_n_factors(const struct recipe *recipe)
{
    switch (recipe->kind) {
    case MODEL_ALS:
        return recipe->is_gibbs ? gibbs_n_columns(&recipe->gibbs)
                                : recipe->als.n_factors;
    case MODEL_BPR:
        return recipe->bpr.n_factors;
    case MODEL_IALS:
        break;
    }
    return recipe->ials.n_factors;
}

const char *recipe_quality_name(const struct recipe *recipe)
{
    return recipe->kind == MODEL_ALS ? "rmse" : "auc";
}

bool recipe_is_better(const struct recipe *recipe, double quality, double than)
{
    return isnan(than) || (recipe->kind == MODEL_ALS ? quality < than : quality > than);
}

static void append_number(struct buffer *json, const char *name, double value)
{
    buffer_printf(json, ",\"%s\":", name);
    json_append_double(json, value);
}

static void append_als(const struct als_config *als, struct buffer *json)
{
    buffer_printf(json, ",\"factors\":%d", als->n_factors);
    append_number(json, "lambda", als->lambda);
    append_number(json, "tau", als->tau);
    append_number(json, "tau_bias", als->tau_bias);
    append_number(json, "alpha", als->alpha);
    buffer_printf(json, ",\"has_mean\":%s", als->has_mean ? "true" : "false");
    if (als->features) {
        buffer_printf(json, ",\"genres\":%d,\"tags\":%d", als->features->n_genres,
                      als->features->n_tags);
        append_number(json, "feature_ridge", als->feature_ridge);
    }
}

static void append_bpr(const struct bpr_config *bpr, struct buffer *json)
{
    buffer_printf(json, ",\"factors\":%d", bpr->n_factors);
    append_number(json, "learning_rate", bpr->learning_rate);
    append_number(json, "reg", bpr->reg);
    append_number(json, "bias_rate", bpr->bias_rate);
    append_number(json, "start", bpr->start_sd);
    append_number(json, "average", bpr->average);
    append_number(json, "threshold", bpr->threshold);
    buffer_printf(json, ",\"sampling\":\"%s\",\"candidates\":%d",
                  bpr->sampling == BPR_PAIRS ? "pairs" : "users", bpr->n_candidates);
}

void recipe_append_settings(const struct recipe *recipe, struct buffer *json)
{
    switch (recipe->kind) {
    case MODEL_ALS:
        if (recipe->is_gibbs) {
            buffer_printf(json,
                          ",\"factors\":%d,\"gibbs_burn_in\":%d,\"gibbs_draws\":%d,"
                          "\"gibbs_kept\":%d",
                          recipe->gibbs.n_factors, recipe->gibbs.n_burn_in,
                          recipe->gibbs.n_draws, recipe->gibbs.n_kept);
        } else {
            append_als(&recipe->als, json);
        }
        break;
    case MODEL_BPR:
        append_bpr(&recipe->bpr, json);
        break;
    case MODEL_IALS:
        buffer_printf(json, ",\"factors\":%d", recipe->ials.n_factors);
        append_number(json, "confidence", recipe->ials.confidence);
        append_number(json, "reg", recipe->ials.reg);
        append_number(json, "nu", recipe->ials.nu);
        append_number(json, "threshold", recipe->ials.threshold);
        break;
    }
}

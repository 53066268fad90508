#include "trainer/draws.h"

#include <jansson.h>
#include <math.h>

int draws_of(const struct model *model, struct draws *draws, struct error *error)
{
    const struct slice text = model->settings;
    json_t *settings = text.len ? json_loadb(text.data, text.len, 0, NULL) : NULL;
    const json_int_t n_draws =
        json_integer_value(json_object_get(settings, "gibbs_kept"));
    const double noise = json_number_value(json_object_get(settings, "gibbs_noise"));
    json_decref(settings);
    if (n_draws < 2 || n_draws > model->n_factors ||
        model->n_factors % (int32_t)n_draws != 0 || !(noise > 0) || !isfinite(noise)) {
        error_set(
            error, ERROR_INVALID,
            "the model holds no draws to tell how sure it is; train als --gibbs N "
            "--keep M with M of 2 or more");
        return -1;
    }
    *draws = (struct draws){
        .model = model,
        .n_draws = (int32_t)n_draws,
        .n_columns = model->n_factors / (int32_t)n_draws,
        .noise = noise,
    };
    return 0;
}

double draws_score_sd(const struct draws *draws, int32_t user, int32_t item)
{
    const struct model *m = draws->model;
    const size_t k = (size_t)m->n_factors, n_columns = (size_t)draws->n_columns;
    const float *x = m->user_factors + (size_t)user * k;
    const float *y = m->item_factors + (size_t)item * k;
    double mean = 0, squares = 0; /* Welford's: of sums that differ by little */
    for (int32_t d = 0; d < draws->n_draws; d++, x += n_columns, y += n_columns) {
        double dot = 0;
        for (size_t f = 0; f < n_columns; f++) {
            dot += (double)x[f] * (double)y[f];
        }
        const double off = dot * draws->n_draws - mean;
        mean += off / (d + 1);
        squares += off * (dot * draws->n_draws - mean);
    }
    return sqrt(squares / (draws->n_draws - 1));
}

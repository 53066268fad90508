#include "abtest/stat_problem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_text.h"

#define MAX_WHOLE 9007199254740992.0 /* 2^53: beyond it a double skips numbers */

int stat_word(const json_t *problem, const char *key, const char *const *words,
              int fallback, int *choice, struct error *error)
{
    const json_t *value = json_object_get(problem, key);
    char list[256] = "";
    size_t used = 0;
    if (!value && fallback >= 0) {
        *choice = fallback;
        return 0;
    }
    const char *text = json_string_value(value);
    for (int i = 0; words[i]; i++) {
        if (text && strcmp(text, words[i]) == 0) {
            *choice = i;
            return 0;
        }
        if (used < sizeof list) {
            const int n = snprintf(list + used, sizeof list - used, "%s%s",
                                   i ? ", " : "", words[i]);
            used += n > 0 ? (size_t)n : 0;
        }
    }
    error_set(error, ERROR_INVALID, "\"%s\" must be one of: %s", key, list);
    return -1;
}

int stat_number(const json_t *problem, const char *key, double min, double max,
                double fallback, double *value, struct error *error)
{
    const json_t *given = json_object_get(problem, key);
    if (!given && !isnan(fallback)) {
        *value = fallback;
        return 0;
    }
    const double number =
        json_is_number(given) ? json_number_value(given) : (double)NAN;
    if (!(number >= min && number <= max) || !isfinite(number)) {
        error_set(error, ERROR_INVALID, "\"%s\" must be a number from %.12g to %.12g",
                  key, min, max);
        return -1;
    }
    *value = number;
    return 0;
}

int stat_count(const json_t *value, const char *key, uint64_t *count,
               struct error *error)
{
    const double number = json_is_number(value) ? json_number_value(value) : -1;
    if (!(number >= 0 && number <= MAX_WHOLE) || number != floor(number)) {
        error_set(error, ERROR_INVALID, "\"%s\" must be a whole number from 0 to 2^53",
                  key);
        return -1;
    }
    *count = (uint64_t)number;
    return 0;
}

bool stat_is_value(const json_t *value)
{
    return json_is_number(value) && fabs(json_number_value(value)) <= STAT_VALUE_MAX;
}

int stat_numbers(const json_t *array, const char *key, double **values,
                 size_t *n_values, struct error *error)
{
    const size_t n = json_array_size(array);
    if (!json_is_array(array) || n == 0) {
        error_set(error, ERROR_INVALID, "\"%s\" must be an array of numbers", key);
        return -1;
    }
    double *numbers = malloc(n * sizeof *numbers);
    if (!numbers) {
        error_set(error, ERROR_NOMEM, "no memory for %zu numbers", n);
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(array, i);
        numbers[i] = json_number_value(item);
        if (!stat_is_value(item)) {
            error_set(error, ERROR_INVALID,
                      "\"%s\": element %zu is not " STAT_VALUE_RANGE, key, i + 1);
            free(numbers);
            return -1;
        }
    }
    *values = numbers;
    *n_values = n;
    return 0;
}

int stat_pairs(const json_t *pairs, const char *key, double **numerators,
               double **denominators, size_t *n_units, struct error *error)
{
    const size_t n = json_array_size(pairs);
    if (n == 0) {
        error_set(error, ERROR_INVALID,
                  "\"%s\" must be [[numerator, denominator], ...], one pair a unit",
                  key);
        return -1;
    }
    double *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
    if (!x || !y) {
        error_set(error, ERROR_NOMEM, "no memory for %zu units", n);
        goto fail;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *pair = json_array_get(pairs, i);
        const json_t *above = json_array_get(pair, 0), *below = json_array_get(pair, 1);
        if (json_array_size(pair) != 2 || !stat_is_value(above) ||
            !stat_is_value(below)) {
            error_set(error, ERROR_INVALID,
                      "\"%s\": unit %zu is not [numerator, denominator], "
                      "each " STAT_VALUE_RANGE,
                      key, i + 1);
            goto fail;
        }
        x[i] = json_number_value(above);
        y[i] = json_number_value(below);
    }
    *numerators = x;
    *denominators = y;
    *n_units = n;
    return 0;

fail:
    free(y);
    free(x);
    return -1;
}

int stat_common(const json_t *problem, struct stat_common *common, struct error *error)
{
    static const char *const words[] = {"two-sided", "greater", "less", NULL};
    int alternative = 0;
    if (stat_word(problem, "alternative", words, 0, &alternative, error) != 0 ||
        stat_number(problem, "level", 1e-9, 1 - 1e-12, 0.95, &common->level, error) !=
            0) {
        return -1;
    }
    common->alternative = (enum alternative)alternative;
    return 0;
}

int stat_mean_summary(const json_t *arm, const char *key, struct mean_sample *sample,
                      struct error *error)
{
    double sd = 0;
    const json_t *n = json_object_get(arm, "n");
    if (!json_is_object(arm) || !n || !json_object_get(arm, "mean")) {
        error_set(error, ERROR_INVALID,
                  "\"%s\" must be an array of values or {\"n\":, \"mean\":, "
                  "\"variance\" or \"sd\":}",
                  key);
        return -1;
    }
    if (stat_count(n, "n", &sample->n_units, error) != 0 ||
        stat_number(arm, "mean", -1e300, 1e300, NAN, &sample->mean, error) != 0) {
        return -1;
    }
    if (json_object_get(arm, "sd")) {
        if (stat_number(arm, "sd", 0, 1e150, NAN, &sd, error) != 0) {
            return -1;
        }
        sample->variance = sd * sd;
        return 0;
    }
    return stat_number(arm, "variance", 0, 1e300, NAN, &sample->variance, error);
}

int stat_proportion(const json_t *problem, const char *key,
                    struct proportion_sample *sample, struct error *error)
{
    const json_t *pair = json_object_get(problem, key);
    if (json_array_size(pair) != 2) {
        error_set(error, ERROR_INVALID, "\"%s\" must be [successes, trials]", key);
        return -1;
    }
    return stat_count(json_array_get(pair, 0), key, &sample->n_successes, error) == 0
               ? stat_count(json_array_get(pair, 1), key, &sample->n_trials, error)
               : -1;
}

static void answer_key(struct buffer *answer, const char *key)
{
    buffer_append_char(answer, ',');
    json_append_string(answer, slice_of(key));
    buffer_append_char(answer, ':');
}

void answer_number(struct buffer *answer, const char *key, double value)
{
    answer_key(answer, key);
    json_append_double(answer, value);
}

void answer_count(struct buffer *answer, const char *key, uint64_t value)
{
    answer_key(answer, key);
    buffer_printf(answer, "%" PRIu64, value);
}

void answer_text(struct buffer *answer, const char *key, const char *value)
{
    answer_key(answer, key);
    json_append_string(answer, slice_of(value));
}

void answer_flag(struct buffer *answer, const char *key, bool value)
{
    answer_key(answer, key);
    buffer_append_text(answer, value ? "true" : "false");
}

void answer_numbers(struct buffer *answer, const char *key, const double *values,
                    size_t n_values)
{
    answer_key(answer, key);
    buffer_append_char(answer, '[');
    for (size_t i = 0; i < n_values; i++) {
        if (i > 0) {
            buffer_append_char(answer, ',');
        }
        json_append_double(answer, values[i]);
    }
    buffer_append_char(answer, ']');
}

void answer_interval(struct buffer *answer, const char *key, double lower, double upper)
{
    const double bounds[2] = {lower, upper};
    answer_numbers(answer, key, bounds, 2);
}

void answer_p(struct buffer *answer, double p_value, double log10_p_value)
{
    answer_number(answer, "p_value", p_value);
    if (p_value < 1e-300) {
        answer_number(answer, "log10_p_value", log10_p_value);
    }
}

void answer_common(struct buffer *answer, const struct stat_common *common)
{
    answer_text(answer, "alternative", alternative_name(common->alternative));
    answer_number(answer, "level", common->level);
}

void answer_effect(struct buffer *answer, const struct effect *effect)
{
    answer_number(answer, "statistic", effect->statistic);
    if (isfinite(effect->df)) {
        answer_number(answer, "df", effect->df);
    }
    answer_p(answer, effect->p_value, effect->log10_p_value);
    answer_number(answer, "control", effect->control);
    answer_number(answer, "treatment", effect->treatment);
    answer_number(answer, "effect", effect->effect_size);
    answer_number(answer, "standard_error", effect->standard_error);
    answer_interval(answer, "ci", effect->ci_lower, effect->ci_upper);
    answer_number(answer, "lift", effect->rel_effect_size);
    if (!effect->is_testable) {
        answer_text(answer, "note", "not testable: no variance to test against");
    }
}

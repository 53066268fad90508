/* stat_problem.h - reading one JSON problem of `abtest stat` and writing its answer.
 *
 * Readers set an error that names the key and what it should hold; a key that is absent
 * leaves the default where there is one. Writers append `,"key":value` to the answer:
 * numbers that JSON cannot say (not testable, no bound) are null.
 */
#ifndef ABTEST_STAT_PROBLEM_H
#define ABTEST_STAT_PROBLEM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "stats/stats.h"

/* One kind of problem. */
struct stat_kind {
    const char *name; /* the value of "test" */
    const char *keys; /* what it may hold besides "test" and "id", space-separated */
    /* Appends the answer's members; on -1 whatever it appended is thrown away. */
    int (*solve)(const json_t *problem, struct buffer *answer, struct error *error);
};

/* The kinds, each table in its own file, ended by a kind without a name. */
extern const struct stat_kind stat_kinds_compare[];
extern const struct stat_kind stat_kinds_events[];
extern const struct stat_kind stat_kinds_lists[];
extern const struct stat_kind stat_kinds_designs[];
extern const struct stat_kind stat_kinds_groups[];
extern const struct stat_kind stat_kinds_adjusted[];
extern const struct stat_kind stat_kinds_trust[];

/* Appends the answer to one line of input, with a newline. Returns 0, or -1 when the
 * answer is an error; memory that ran out shows in line->failed. */
MUST_CHECK int stat_answer_line(const char *text, size_t len, struct buffer *line);

/* A choice among words: the index of the text at `key` in `words` (NULL-terminated),
 * `fallback` when the key is absent. */
MUST_CHECK int stat_word(const json_t *problem, const char *key,
                         const char *const *words, int fallback, int *choice,
                         struct error *error);

/* A number within [min, max]; finite. Required when `fallback` is NAN. */
MUST_CHECK int stat_number(const json_t *problem, const char *key, double min,
                           double max, double fallback, double *value,
                           struct error *error);

/* A whole number from 0 to 2^53, written as one (1000 or 1e3). */
MUST_CHECK int stat_count(const json_t *value, const char *key, uint64_t *count,
                          struct error *error);

/* A value that may be squared and summed without overflow. */
#define STAT_VALUE_MAX 1e150
bool stat_is_value(const json_t *value);

/* For messages about such a value: what it must be. */
#define STAT_VALUE_RANGE "a number from -1e150 to 1e150"

/* An array of such numbers; the caller frees *values,
 * which is never NULL on success. */
MUST_CHECK int stat_numbers(const json_t *array, const char *key, double **values,
                            size_t *n_values, struct error *error);

/* "alternative" (default two-sided) and "level" (default 0.95). */
struct stat_common {
    enum alternative alternative;
    double level;
};
MUST_CHECK int stat_common(const json_t *problem, struct stat_common *common,
                           struct error *error);

/* {"n":, "mean":, "variance" or "sd":}; `key` names it in messages. */
MUST_CHECK int stat_mean_summary(const json_t *arm, const char *key,
                                 struct mean_sample *sample, struct error *error);

/* [successes, trials] at `key`. */
MUST_CHECK int stat_proportion(const json_t *problem, const char *key,
                               struct proportion_sample *sample, struct error *error);

/* An arm as [successes, trials] or {"n":, "mean":, "variance" or "sd":}. */
struct stat_arm {
    bool is_proportion;
    struct proportion_sample sample; /* of a proportion only */
    struct estimate estimate;        /* unpooled */
};

/* "control" and "treatment", both of one kind. */
MUST_CHECK int stat_arms(const json_t *problem, struct stat_arm *control,
                         struct stat_arm *treatment, struct error *error);

/* [[numerator, denominator], ...], one pair a unit; the caller frees both, which are
 * never NULL on success. */
MUST_CHECK int stat_pairs(const json_t *pairs, const char *key, double **numerators,
                          double **denominators, size_t *n_units, struct error *error);

void answer_number(struct buffer *answer, const char *key, double value);
void answer_count(struct buffer *answer, const char *key, uint64_t value);
void answer_text(struct buffer *answer, const char *key, const char *value);
void answer_flag(struct buffer *answer, const char *key, bool value);
void answer_interval(struct buffer *answer, const char *key, double lower,
                     double upper);
void answer_numbers(struct buffer *answer, const char *key, const double *values,
                    size_t n_values);
void answer_p(struct buffer *answer, double p_value, double log10_p_value);
void answer_common(struct buffer *answer, const struct stat_common *common);

/* Compares two estimates and appends everything about it: answer_effect, the lift by
 * the method that the problem names, and answer_common. */
MUST_CHECK int answer_estimates(const json_t *problem, struct estimate control,
                                struct estimate treatment,
                                const struct stat_common *common, struct buffer *answer,
                                struct error *error);

/* statistic, p, the arms, the effect and its interval. */
void answer_effect(struct buffer *answer, const struct effect *effect);

#endif

#include "trainer/profile.h"

#include <math.h>
#include <stdlib.h>

static int compare_descending(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x < y) - (x > y);
}

/* starts (n + 1) are offsets into the ratings. */
static int measure_activity(const int64_t *starts, int32_t n,
                            struct profile_activity *activity, struct error *error)
{
    double weighted = 0;
    int64_t total = 0, so_far = 0;
    activity->ranked = malloc(((size_t)n + 1) * sizeof *activity->ranked);
    if (!activity->ranked) {
        error_set(error, ERROR_NOMEM, "profile: no memory for %d counts", n);
        return -1;
    }
    for (int32_t j = 0; j < n; j++) {
        if (starts[j + 1] > starts[j]) {
            activity->ranked[activity->n++] = (int32_t)(starts[j + 1] - starts[j]);
        }
    }
    const int64_t m = activity->n;
    qsort(activity->ranked, (size_t)m, sizeof *activity->ranked, compare_descending);
    for (int64_t j = 0; j < m; j++) {
        total += activity->ranked[j];
        weighted += (double)(m - 1 - 2 * j) * activity->ranked[j];
    }
    for (int64_t j = 0; j < m && so_far * 10 < total * 8; j++) {
        so_far += activity->ranked[j];
        activity->n_for_80_percent = j + 1;
    }
    activity->mean = (double)total / (double)m;
    const int64_t below = (m - 1) / 2, above = m / 2;
    activity->median = (activity->ranked[below] + (double)activity->ranked[above]) / 2;
    activity->gini = weighted / ((double)m * (double)total);

    struct error why = {0};
    if (power_law_fit(activity->ranked, m, &activity->power_law, &why) == 0) {
        activity->has_power_law = true;
    } else if (why.code == ERROR_NOMEM) {
        error_set(error, ERROR_NOMEM, "%s", why.message);
        return -1;
    }
    return 0;
}

static void measure_moments(const struct ratings *r, struct profile *p)
{
    double squares = 0;
    p->mean = ratings_mean(r);
    p->lowest = INFINITY;
    p->highest = -INFINITY;
    for (int64_t j = 0; j < r->n_ratings; j++) {
        const double rating = (double)r->user_rating[j];
        squares += (rating - p->mean) * (rating - p->mean);
        p->lowest = fmin(p->lowest, rating);
        p->highest = fmax(p->highest, rating);
    }
    p->sd = r->n_ratings > 1 ? sqrt(squares / (double)(r->n_ratings - 1)) : 0;
}

/* Index of `rating` among the ascending levels, or where it would go. */
static int find_level(const struct profile *p, double rating)
{
    int at = 0;
    while (at < p->n_levels && p->level[at].rating < rating) {
        at++;
    }
    return at;
}

/* Counts distinct values; returns -1 as soon as there are too many. */
static int count_values(const struct ratings *r, struct profile *p)
{
    for (int64_t j = 0; j < r->n_ratings; j++) {
        const double rating = (double)r->user_rating[j];
        const int at = find_level(p, rating);
        if (at == p->n_levels || p->level[at].rating != rating) {
            if (p->n_levels == PROFILE_MAX_LEVELS) {
                return -1;
            }
            for (int i = p->n_levels++; i > at; i--) {
                p->level[i] = p->level[i - 1];
            }
            p->level[at] = (struct profile_level){rating, 0};
        }
        p->level[at].n++;
    }
    return 0;
}

static void count_bins(const struct ratings *r, struct profile *p)
{
    const double width = (p->highest - p->lowest) / PROFILE_MAX_LEVELS;
    p->n_levels = PROFILE_MAX_LEVELS;
    for (int i = 0; i < PROFILE_MAX_LEVELS; i++) {
        p->level[i] = (struct profile_level){p->lowest + (i + 0.5) * width, 0};
    }
    for (int64_t j = 0; j < r->n_ratings; j++) {
        const int bin = (int)(((double)r->user_rating[j] - p->lowest) / width);
        p->level[bin < PROFILE_MAX_LEVELS ? bin : PROFILE_MAX_LEVELS - 1].n++;
    }
}

int profile_make(const struct ratings *ratings, struct profile *profile,
                 struct error *error)
{
    struct profile p = {.n_ratings = ratings->n_ratings};
    if (ratings->n_ratings == 0) {
        error_set(error, ERROR_INVALID, "profile: there are no ratings");
        return -1;
    }
    if (measure_activity(ratings->user_start, ratings->n_users, &p.users, error) != 0 ||
        measure_activity(ratings->item_start, ratings->n_items, &p.items, error) != 0) {
        profile_release(&p);
        return -1;
    }
    measure_moments(ratings, &p);
    if (count_values(ratings, &p) != 0) {
        count_bins(ratings, &p);
    }
    p.density = (double)p.n_ratings / ((double)p.users.n * (double)p.items.n);
    *profile = p;
    return 0;
}

void profile_release(struct profile *profile)
{
    free(profile->users.ranked);
    free(profile->items.ranked);
    *profile = (struct profile){0};
}

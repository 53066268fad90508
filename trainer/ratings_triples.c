/* The collecting half of ratings_build.h. */
#include <stdlib.h>
#include <string.h>

#include "common/pages.h"
#include "trainer/ratings_build.h"

#define FIRST_CAPACITY ((int64_t)1 << 16)
#define LARGE          ((int64_t)1 << 19) /* elements; the array gets large pages */

void ratings_triples_free(struct ratings_triples *triples)
{
    free(triples->run);
    free(triples->user);
    free(triples->item);
    free(triples->rating);
    triples->run = NULL;
    triples->user = triples->item = NULL;
    triples->rating = NULL;
}

/* An array of 4-byte elements that has grown from n to `capacity`, or NULL. The first
 * one that is large is made anew, in large pages; from there on the system moves them
 * without touching what they hold. */
static void *grown(void *array, int64_t n, int64_t capacity)
{
    if (capacity < LARGE || n >= LARGE) {
        return realloc(array, (size_t)capacity * sizeof(int32_t));
    }
    void *larger = pages_alloc((size_t)capacity * sizeof(int32_t), 0);
    if (larger && array) {
        memcpy(larger, array, (size_t)n * sizeof(int32_t));
        free(array);
    }
    return larger;
}

int ratings_triples_reserve(struct ratings_triples *triples, int64_t n_more,
                            int64_t expected)
{
    struct ratings_triples *t = triples;
    const int64_t needed = t->n + n_more;
    if (needed <= t->capacity) {
        return 0;
    }
    int64_t capacity = t->capacity ? t->capacity + t->capacity / 2 : FIRST_CAPACITY;
    capacity = capacity < expected && t->capacity ? expected : capacity;
    capacity = capacity < needed ? needed : capacity;
    int32_t *item = grown(t->item, t->capacity, capacity);
    t->item = item ? item : t->item;
    float *rating = grown(t->rating, t->capacity, capacity);
    t->rating = rating ? rating : t->rating;
    int32_t *user = t->user ? grown(t->user, t->capacity, capacity) : NULL;
    t->user = user ? user : t->user;
    if (!item || !rating || (t->user && !user)) {
        return -1;
    }
    t->capacity = capacity;
    return 0;
}

/* From runs to a user for each rating. */
static int leave_runs(struct ratings_triples *t)
{
    t->user = pages_alloc((size_t)t->capacity * sizeof *t->user, 0);
    if (!t->user) {
        return -1;
    }
    for (int64_t r = 0; r < t->n_runs; r++) {
        const int64_t end = r + 1 < t->n_runs ? t->run[r + 1].start : t->n;
        for (int64_t i = t->run[r].start; i < end; i++) {
            t->user[i] = t->run[r].user;
        }
    }
    free(t->run);
    t->run = NULL;
    t->n_runs = t->run_capacity = 0;
    return 0;
}

static int add_run(struct ratings_triples *t, int64_t start, int32_t user)
{
    if (t->n_runs == t->run_capacity) {
        const int64_t capacity = t->run_capacity ? 2 * t->run_capacity : 1024;
        struct rating_run *run = realloc(t->run, (size_t)capacity * sizeof *run);
        if (!run) {
            return -1;
        }
        t->run = run;
        t->run_capacity = capacity;
    }
    t->run[t->n_runs++] = (struct rating_run){start, user};
    return 0;
}

int ratings_triples_add(struct ratings_triples *triples, const int32_t *user, int64_t n)
{
    struct ratings_triples *t = triples;
    int64_t taken = 0;
    int32_t last = t->n_runs ? t->run[t->n_runs - 1].user : -1;
    for (; taken < n && !t->user; taken++) {
        if (user[taken] == last) {
            continue;
        }
        if (user[taken] < last) {
            break;
        }
        last = user[taken];
        if (add_run(t, t->n + taken, last) != 0) {
            return -1;
        }
    }
    t->n += taken;
    if (taken == n) {
        return 0;
    }
    if (!t->user && leave_runs(t) != 0) {
        return -1;
    }
    memcpy(t->user + t->n, user + taken, (size_t)(n - taken) * sizeof *user);
    t->n += n - taken;
    return 0;
}

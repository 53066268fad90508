/* bench_topk.c - microseconds of an exact top-10 for one user, method by method.
 *
 *     bench_topk              the sizes of the table in bench/README.md, made-up models
 *     bench_topk MODEL ...    model files
 *
 * A model with item biases is asked with their weights 0, 0.5 and 1, of one layout.
 * Made-up models have vectors whose lengths fall off as a power law, as trained ones
 * do. Every method's lists are held against the reference before it is timed.
 */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/topk_reference.h"
#include "common/rng.h"
#include "serve/topk.h"

#define N_SEEN  150
#define K       10
#define N_ASKED 64 /* users that take turns */

struct subject {
    const struct model *model;
    double item_bias;
    int32_t seen[N_ASKED][N_SEEN];
    int32_t n_seen;
};

static int compare_int(const void *a, const void *b)
{
    const int32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int unique(int32_t *values, int n)
{
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (kept == 0 || values[kept - 1] != values[i]) {
            values[kept++] = values[i];
        }
    }
    return kept;
}

static struct topk_query question(struct subject *subject, int i)
{
    struct topk_query query = {.item_bias = subject->item_bias,
                               .k = K,
                               .seen = subject->seen[i % N_ASKED],
                               .n_seen = subject->n_seen};
    topk_query_user(subject->model,
                    (int32_t)((int64_t)i * 7919 % subject->model->n_users), &query);
    return query;
}

struct method {
    const char *name;
    void (*find)(struct subject *subject, const struct topk_query *query,
                 struct topk_result *result, void *own, void *scratch);
    void *own;
};

/* ---- methods ---- */

static void find_naive(struct subject *subject, const struct topk_query *query,
                       struct topk_result *result, void *own, void *scratch)
{
    (void)own;
    (void)scratch;
    topk_find_naive(subject->model, query, result);
}

/* What most servers do: all scores by BLAS, then a selection. Not exact: sgemv rounds.
 */
static void find_blas(struct subject *subject, const struct topk_query *query,
                      struct topk_result *result, void *own, void *scratch)
{
    const struct model *model = subject->model;
    float *scores = own;
    (void)scratch;
    memcpy(scores, model->item_bias, (size_t)model->n_items * sizeof *scores);
    cblas_sgemv(CblasRowMajor, CblasNoTrans, model->n_items, model->n_factors, 1,
                model->item_factors, model->n_factors, query->vector, 1,
                (float)query->item_bias, scores, 1);
    for (int32_t i = 0; i < query->n_seen; i++) {
        scores[query->seen[i]] = -INFINITY;
    }
    float least = -INFINITY;
    int n = 0;
    for (int32_t i = 0; i < model->n_items; i++) {
        if (scores[i] <= least) {
            continue;
        }
        int at = n < K ? n++ : K - 1;
        for (; at > 0 && result->scores[at - 1] < (double)scores[i]; at--) {
            result->scores[at] = result->scores[at - 1];
            result->items[at] = result->items[at - 1];
        }
        result->scores[at] = (double)scores[i];
        result->items[at] = i;
        least = n < K ? -INFINITY : (float)result->scores[K - 1];
    }
    result->n = n;
}

static void find_blocked(struct subject *subject, const struct topk_query *query,
                         struct topk_result *result, void *own, void *scratch)
{
    struct reference_list list;
    (void)subject;
    (void)scratch;
    reference_find(own, query, &list);
    result->n = list.n;
    result->items[0] = list.items[0];
}

static void find_topk(struct subject *subject, const struct topk_query *query,
                      struct topk_result *result, void *own, void *scratch)
{
    (void)subject;
    topk_find(own, query, scratch, result, NULL);
}

/* ---- timing ---- */

/* Processor time of this thread: other programs then count for little. */
static int64_t spent_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double measure(struct subject *subject, const struct method *method,
                      void *scratch)
{
    static struct topk_result result;
    double best = INFINITY;
    for (int round = 0; round < 3; round++) {
        const int64_t start = spent_ns();
        int64_t n = 0, spent = 0;
        for (; spent < 30000000; n++) {
            const struct topk_query query = question(subject, (int)(n % N_ASKED));
            method->find(subject, &query, &result, method->own, scratch);
            spent = n % 8 == 7 || n < 8 ? spent_ns() - start : spent;
        }
        best = fmin(best, (double)spent / (double)n / 1000);
    }
    return best;
}

/* The same for eight users at once, per user. */
static double measure_eight(struct subject *subject, const struct reference *reference)
{
    struct topk_query queries[REFERENCE_USERS];
    struct reference_list lists[REFERENCE_USERS];
    double best = INFINITY;
    for (int round = 0; round < 3; round++) {
        int64_t n = 0, spent = 0;
        const int64_t start = spent_ns();
        do {
            for (int i = 0; i < N_ASKED; i += REFERENCE_USERS, n += REFERENCE_USERS) {
                for (int u = 0; u < REFERENCE_USERS; u++) {
                    queries[u] = question(subject, i + u);
                }
                reference_find_eight(reference, queries, lists);
            }
            spent = spent_ns() - start;
        } while (spent < 30000000);
        best = fmin(best, (double)spent / (double)n / 1000);
    }
    return best;
}

typedef uint64_t eight_words __attribute__((vector_size(64)));

#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static void
read_all(const uint64_t *words, size_t n, uint64_t sink[8])
{
    eight_words sums[4] = {{0}}, read;
    for (size_t i = 0; i + 32 <= n; i += 32) {
        for (size_t j = 0; j < 4; j++) {
            memcpy(&read, words + i + 8 * j, sizeof read);
            sums[j] ^= read;
        }
    }
    sums[0] ^= sums[1] ^ sums[2] ^ sums[3];
    memcpy(sink, &sums[0], sizeof sums[0]);
}

/* Bytes a second that a plain read of `size` bytes reaches: the limit of a full scan.
 */
static double read_limit(size_t size)
{
    const size_t n = size / sizeof(uint64_t);
    uint64_t *words = malloc(n * sizeof *words);
    double best = INFINITY;
    uint64_t read[8];
    volatile uint64_t sink = 0;
    for (size_t i = 0; words && i < n; i++) {
        words[i] = i;
    }
    for (int round = 0; words && round < 9; round++) {
        const int64_t start = spent_ns();
        const int64_t n_times = 1 + 30000000 / (int64_t)(size + 1);
        for (int64_t t = 0; t < n_times; t++) {
            read_all(words, n, read);
            sink ^= read[0];
        }
        best = fmin(best, (double)(spent_ns() - start) / (double)n_times);
    }
    free(words);
    return (double)size / best;
}

static void report_limit(const struct model *model, double full_scan_us)
{
    const int64_t n_places = (model->n_items + 63) / 64 * 64;
    const int64_t width = (model->n_factors + 3) / 4 * 4;
    const double size = (double)(n_places * width);
    const double reached = size / full_scan_us / 1000, limit = read_limit((size_t)size);
    printf(
        "  the full scan reads %.2f MB of codes at %.1f GB/s, %.1f billion products a "
        "second; a plain read of as much: %.1f GB/s, share %.2f\n",
        size / 1e6, reached, reached, limit, reached / limit);
}

static void check(struct subject *subject, const struct method *method, void *scratch)
{
    static struct topk_result result, naive;
    const int n = subject->model->n_items > 500000 ? N_ASKED / 8 : N_ASKED;
    for (int i = 0; i < n && method->find == find_topk; i++) {
        const struct topk_query query = question(subject, i);
        method->find(subject, &query, &result, method->own, scratch);
        topk_find_naive(subject->model, &query, &naive);
        if (result.n != naive.n ||
            memcmp(result.items, naive.items,
                   (size_t)naive.n * sizeof naive.items[0]) != 0) {
            fprintf(stderr, "bench_topk: %s finds another list\n", method->name);
            exit(1);
        }
    }
}

/* Prints a line a method; returns what `full` took. */
static double measure_all(struct subject *subject, const struct method *methods,
                          size_t n, const struct topk *full, void *scratch)
{
    double full_scan_us = 0;
    for (size_t i = 0; i < n && scratch; i++) {
        if (methods[i].own == NULL && methods[i].find != find_naive) {
            continue;
        }
        check(subject, &methods[i], scratch);
        const double us = measure(subject, &methods[i], scratch);
        full_scan_us = methods[i].own == full ? us : full_scan_us;
        printf("  %-50s %10.2f us\n", methods[i].name, us);
        fflush(stdout);
    }
    return full_scan_us;
}

static void report_effort(struct subject *subject, const struct topk *topk,
                          void *scratch)
{
    static struct topk_result result;
    int64_t scanned = 0, single = 0, exact = 0;
    for (int i = 0; i < N_ASKED; i++) {
        struct topk_effort effort;
        const struct topk_query query = question(subject, i);
        topk_find(topk, &query, scratch, &result, &effort);
        scanned += effort.n_scanned;
        single += effort.n_single;
        exact += effort.n_double;
    }
    printf(
        "  a search reads %.1f of %d chunks, scores %.1f items in single and %.1f in "
        "double precision\n",
        (double)scanned / N_ASKED, (subject->model->n_items + 63) / 64,
        (double)single / N_ASKED, (double)exact / N_ASKED);
}

static void draw_seen(struct subject *subject, struct rng *rng)
{
    subject->n_seen = N_SEEN;
    for (int i = 0; i < N_ASKED; i++) {
        int32_t *seen = subject->seen[i];
        for (int j = 0; j < N_SEEN; j++) {
            seen[j] = (int32_t)rng_below(rng, (uint64_t)subject->model->n_items);
        }
        qsort(seen, N_SEEN, sizeof *seen, compare_int);
        const int n = unique(seen, N_SEEN);
        subject->n_seen = n < subject->n_seen ? n : subject->n_seen;
    }
}

/* Layouts for the search, each with its own options. */
enum layout { BEST, BEST_AVX2, BEST_PORTABLE, FULL, FULL_AVX2, N_LAYOUTS };

/* Returns the milliseconds that the first one took. */
static double make_layouts(const struct model *model, struct topk *layouts[N_LAYOUTS])
{
    static const struct topk_options options[N_LAYOUTS] = {
        [BEST] = {TOPK_ALL, false},
        [BEST_AVX2] = {TOPK_AVX2, false},
        [BEST_PORTABLE] = {TOPK_PORTABLE, false},
        [FULL] = {TOPK_ALL, true},
        [FULL_AVX2] = {TOPK_AVX2, true},
    };
    struct error error = {0};
    double first_ms = 0;
    for (int i = 0; i < N_LAYOUTS; i++) {
        const int64_t start = spent_ns();
        if (topk_new(model, &options[i], &layouts[i], &error) != 0) {
            fprintf(stderr, "bench_topk: %s\n", error.message);
            exit(1);
        }
        first_ms = i == 0 ? (double)(spent_ns() - start) / 1e6 : first_ms;
    }
    return first_ms;
}

static void bench(const struct model *model, double item_bias, struct rng *rng)
{
    static struct subject subject;
    struct topk *layouts[N_LAYOUTS] = {NULL};
    subject.model = model;
    subject.item_bias = item_bias;
    draw_seen(&subject, rng);
    const double layout_ms = make_layouts(model, layouts);
    float *scores = malloc((size_t)model->n_items * sizeof *scores);
    void *scratch = malloc(topk_scratch_size(layouts[BEST]));
    struct reference *reference = reference_new(model);
    const struct method methods[] = {
        {"every score in double precision", find_naive, NULL},
        {"OpenBLAS sgemv, then selection (not exact)", find_blas, scores},
        {"blocked floats, threshold fused in (not exact)", find_blocked, reference},
        {"int8 full scan, exact re-rank", find_topk, layouts[FULL]},
        {"the same, AVX2 at most", find_topk, layouts[FULL_AVX2]},
        {"int8, long vectors first, chunks skipped", find_topk, layouts[BEST]},
        {"the same, AVX2 at most", find_topk, layouts[BEST_AVX2]},
        {"the same in portable C", find_topk, layouts[BEST_PORTABLE]},
    };
    printf("%d items x %d factors, weight of item biases %g (layout made in %.1f ms)\n",
           model->n_items, model->n_factors, item_bias, layout_ms);
    const double full_scan_us = measure_all(
        &subject, methods, sizeof methods / sizeof methods[0], layouts[FULL], scratch);
    if (reference) {
        printf("  %-50s %10.2f us\n",
               "eight users at once, floats (not exact), per user",
               measure_eight(&subject, reference));
    }
    reference_free(reference);
    report_limit(model, full_scan_us);
    report_effort(&subject, layouts[BEST], scratch);
    free(scores);
    free(scratch);
    for (int i = 0; i < N_LAYOUTS; i++) {
        topk_free(layouts[i]);
    }
}

static void bench_weights(const struct model *model, struct rng *rng)
{
    bool has_bias = false;
    for (int32_t i = 0; i < model->n_items; i++) {
        has_bias |= model->item_bias[i] != 0;
    }
    bench(model, 0, rng);
    if (has_bias) {
        bench(model, 0.5, rng);
        bench(model, 1, rng);
    }
}

/* Item i of n has a vector of length about (i+1)^-0.35, in random order of directions,
 * as the popularity of items would have it. */
static void bench_made_up(int32_t n_items, int32_t n_factors)
{
    const int32_t n_users = 1000;
    struct rng rng;
    rng_init(&rng, 1, 1);
    float *items = malloc((size_t)n_items * (size_t)n_factors * sizeof *items);
    float *users = malloc((size_t)n_users * (size_t)n_factors * sizeof *users);
    float *item_bias = malloc((size_t)n_items * sizeof *item_bias);
    float *user_bias = calloc((size_t)n_users, sizeof *user_bias);
    if (!items || !users || !item_bias || !user_bias) {
        fprintf(stderr, "bench_topk: no memory\n");
        exit(1);
    }
    for (int32_t i = 0; i < n_items; i++) {
        const double length = pow(i + 1, -0.35) * exp(0.3 * rng_normal(&rng));
        for (int32_t f = 0; f < n_factors; f++) {
            items[(size_t)i * (size_t)n_factors + (size_t)f] =
                (float)(length * rng_normal(&rng));
        }
        item_bias[i] = (float)(0.4 * rng_normal(&rng));
    }
    for (size_t i = 0; i < (size_t)n_users * (size_t)n_factors; i++) {
        users[i] = (float)(0.3 * rng_normal(&rng));
    }
    const struct model model = {.kind = MODEL_ALS,
                                .n_users = n_users,
                                .n_items = n_items,
                                .n_factors = n_factors,
                                .mean = 3.5F,
                                .user_factors = users,
                                .item_factors = items,
                                .user_bias = user_bias,
                                .item_bias = item_bias};
    bench_weights(&model, &rng);
    free(items);
    free(users);
    free(item_bias);
    free(user_bias);
}

int main(int argc, char **argv)
{
    openblas_set_num_threads(1); /* a request has one core, and so have the others */
    static const int32_t sizes[][2] = {
        {9724, 20}, {59047, 20}, {59047, 64}, {1000000, 64}};
    struct rng rng;
    rng_init(&rng, 2, 1);
    for (int i = 1; i < argc; i++) {
        struct model *model = NULL;
        struct error error = {0};
        if (model_load(argv[i], &model, &error) != 0) {
            fprintf(stderr, "bench_topk: %s\n", error.message);
            return 1;
        }
        printf("%s: ", argv[i]);
        bench_weights(model, &rng);
        model_free(model);
    }
    for (size_t i = 0; argc == 1 && i < sizeof sizes / sizeof sizes[0]; i++) {
        bench_made_up(sizes[i][0], sizes[i][1]);
    }
    return 0;
}

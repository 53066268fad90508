/* bench_start.c - what a start of the server is made of, and what it keeps in memory.
 *
 *     bench_start DIRECTORY               writes a made-up model of 59,047 items,
 *                                         160,000 users, 64 factors and titles there
 *     bench_start MODEL TITLES [RATINGS]  files that exist
 *
 * Everything is in the page cache. Medians of seven, processor time; the memory is what
 * malloc gave out.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/rng.h"
#include "serve/serve.h"
#include "serve/state.h"
#include "trainer/trainer.h"

#define N_RUNS    7
#define N_ITEMS   59047
#define N_USERS   160000
#define N_FACTORS 64

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "bench_start: %s\n", what);
    exit(1);
}

static float *draw(struct rng *rng, size_t n)
{
    float *values = malloc(n * sizeof *values);
    if (!values) {
        die("no memory");
    }
    for (size_t i = 0; i < n; i++) {
        values[i] = (float)(0.3 * rng_normal(rng));
    }
    return values;
}

static struct slice number_id(const void *context, int32_t index)
{
    static char text[16];
    (void)context;
    return (struct slice){text,
                          (size_t)snprintf(text, sizeof text, "%d", 1 + 3 * index)};
}

static void make_model(const char *path)
{
    struct rng rng;
    struct error error;
    rng_init(&rng, 1, 1);
    int32_t *counts = calloc(N_ITEMS, sizeof *counts);
    for (int32_t i = 0; counts && i < N_ITEMS; i++) {
        counts[i] = (int32_t)rng_below(&rng, 1000);
    }
    float *users = draw(&rng, (size_t)N_USERS * N_FACTORS);
    float *items = draw(&rng, (size_t)N_ITEMS * N_FACTORS);
    float *user_bias = draw(&rng, N_USERS), *item_bias = draw(&rng, N_ITEMS);
    const struct model model = {.kind = MODEL_ALS,
                                .n_users = N_USERS,
                                .n_items = N_ITEMS,
                                .n_factors = N_FACTORS,
                                .user_factors = users,
                                .item_factors = items,
                                .user_bias = user_bias,
                                .item_bias = item_bias,
                                .item_count = counts,
                                .settings = {"{}", 2}};
    const struct model_ids ids = {number_id, number_id, NULL};
    if (!counts || model_save(&model, &ids, path, NULL, &error) != 0) {
        die(counts ? error.message : "no memory");
    }
    free(counts);
    free(users);
    free(items);
    free(user_bias);
    free(item_bias);
}

static void make_titles(const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file) {
        die(strerror(errno));
    }
    fprintf(file, "movieId,title,genres\n");
    for (int32_t i = 0; i < N_ITEMS; i++) {
        fprintf(file, "%d,A Title of Some Length: Part %d (%d),Comedy|Drama\n",
                1 + 3 * i, i % 9, 1900 + i % 120);
    }
    if (fclose(file) != 0) {
        die(strerror(errno));
    }
}

struct stages {
    double model, layout, titles, ratings, state;
};

/* Processor time: other programs then count for little. */
static int64_t spent_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double ms_since(int64_t start_ns)
{
    return (double)(spent_ns() - start_ns) / 1e6;
}

static void run(const char *paths[3], struct stages *stages)
{
    struct model *model = NULL;
    struct topk *topk = NULL;
    struct titles *titles = NULL;
    struct ratings *ratings = NULL;
    struct error error;
    int64_t start = spent_ns();
    if (model_load(paths[0], &model, &error) != 0) {
        die(error.message);
    }
    stages->model = ms_since(start);
    start = spent_ns();
    if (topk_new(model, NULL, &topk, &error) != 0) {
        die(error.message);
    }
    stages->layout = ms_since(start);
    start = spent_ns();
    if (titles_load(paths[1], &titles, &error) != 0) {
        die(error.message);
    }
    stages->titles = ms_since(start);
    start = spent_ns();
    if (paths[2] && ratings_load(paths[2], &ratings, &error) != 0) {
        die(error.message);
    }
    stages->ratings = ms_since(start);
    ratings_free(ratings);
    titles_free(titles);
    topk_free(topk);
    model_free(model);
}

/* All of it as the server does it; leaves the state for its memory to be seen. */
static struct serve_state *load_state(const char *paths[3], double *ms)
{
    struct config *config = NULL;
    struct config_problems problems = {0};
    struct serve_state *state = NULL;
    struct error error;
    char text[4096];
    snprintf(
        text, sizeof text,
        "[log]\ndirectory = logs\n[data]\ntitles = %s\n%s%s\n[model m]\nfile = %s\n"
        "[serving]\nmodel = m\n",
        paths[1], paths[2] ? "ratings = " : "", paths[2] ? paths[2] : "", paths[0]);
    if (config_parse((struct slice){text, strlen(text)}, "bench.ini", "", &config,
                     &problems, &error) != 0) {
        die(error.message);
    }
    const int64_t start = spent_ns();
    if (serve_state_load(config, &state, &error) != 0) {
        die(error.message);
    }
    *ms = ms_since(start);
    config_problems_free(&problems);
    return state;
}

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void print(const char *name, double *values)
{
    qsort(values, N_RUNS, sizeof *values, compare_doubles);
    printf("  %-52s %7.1f ms (least %.1f)\n", name, values[N_RUNS / 2], values[0]);
}

int main(int argc, char **argv)
{
    char model[1024], titles[1024];
    const char *paths[3] = {model, titles, argc > 3 ? argv[3] : NULL};
    double values[5][N_RUNS];
    struct serve_state *state = NULL;
    if (argc < 2 || argc > 4) {
        die("usage: bench_start DIRECTORY | MODEL TITLES [RATINGS]");
    }
    if (argc == 2) {
        snprintf(model, sizeof model, "%s/start.model", argv[1]);
        snprintf(titles, sizeof titles, "%s/start.csv", argv[1]);
        make_model(model);
        make_titles(titles);
    } else {
        paths[0] = argv[1];
        paths[1] = argv[2];
    }
    for (int i = 0; i < N_RUNS; i++) {
        struct stages stages = {0};
        run(paths, &stages);
        values[0][i] = stages.model;
        values[1][i] = stages.layout;
        values[2][i] = stages.titles;
        values[3][i] = stages.ratings;
        serve_state_unref(state);
        state = load_state(paths, &values[4][i]);
    }
    const struct mallinfo2 memory = mallinfo2();
    print("the model: map, checksums, hash, numbers, ids", values[0]);
    print("the layout for the top-k search", values[1]);
    print("titles", values[2]);
    print("ratings", values[3]);
    print("all that is served (models, titles, answers' pieces)", values[4]);
    struct stat status;
    if (stat(paths[0], &status) != 0) {
        die(strerror(errno));
    }
    printf("  in memory: the model's file %.1f MB, beside it %.1f MB\n",
           (double)status.st_size / 1e6,
           (double)(memory.uordblks + memory.hblkhd) / 1e6);
    serve_state_unref(state);
    return 0;
}

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/commands.h"
#include "abtest/most_rated.h"
#include "abtest/options.h"
#include "abtest/plot.h"
#include "trainer/trainer.h"

struct job {
    const char *model_path;
    struct plot_choice plot;
    struct model *model;
};

/* Biases of one side, highest first, with the ranks as x. */
struct ranked {
    int32_t n;
    double *rank, *bias;
};

static int compare_descending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Only rows that training saw: a bias that was never fitted is no bias of 0. */
static int rank_biases(const float *bias, const int32_t *count, int32_t n,
                       struct ranked *ranked)
{
    ranked->rank = malloc(((size_t)n + 1) * sizeof *ranked->rank);
    ranked->bias = malloc(((size_t)n + 1) * sizeof *ranked->bias);
    if (!ranked->rank || !ranked->bias) {
        return -1;
    }
    for (int32_t i = 0; i < n; i++) {
        if (!count || count[i] > 0) {
            ranked->bias[ranked->n++] = (double)bias[i];
        }
    }
    qsort(ranked->bias, (size_t)ranked->n, sizeof *ranked->bias, compare_descending);
    for (int32_t r = 0; r < ranked->n; r++) {
        ranked->rank[r] = r + 1;
    }
    return 0;
}

static void ranked_free(struct ranked *ranked)
{
    free(ranked->rank);
    free(ranked->bias);
}

static double quantile(const struct ranked *ranked, double p)
{
    return ranked->n ? ranked->bias[(int64_t)((1 - p) * (ranked->n - 1) + 0.5)]
                     : (double)NAN;
}

static void print_biases(const char *name, const struct ranked *ranked)
{
    printf("%-10s lowest %.3f, quartiles %.3f %.3f %.3f, highest %.3f\n", name,
           quantile(ranked, 0), quantile(ranked, 0.25), quantile(ranked, 0.5),
           quantile(ranked, 0.75), quantile(ranked, 1));
}

static bool has_user_bias(const struct model *m)
{
    for (int32_t u = 0; u < m->n_users; u++) {
        if (m->user_bias[u] != 0) {
            return true;
        }
    }
    return false;
}

/* How many columns of the map are genres and tags. */
static void print_features(const struct model *m)
{
    int32_t n_genres = 0, n_tags = 0;
    const char *at = m->feature_names.data;
    for (int32_t f = 0; f < m->n_features; f++) {
        n_genres += strncmp(at, "genre:", 6) == 0;
        n_tags += strncmp(at, "tag:", 4) == 0;
        at = strchr(at, '\n') + 1;
    }
    if (m->n_features) {
        printf("features   %d genres and %d tags say where an item is expected (map of "
               "%d x %d)\n",
               n_genres, n_tags, m->n_features, m->n_factors + 1);
    }
}

static void print_text(const struct job *job, const struct ranked *users,
                       const struct ranked *items)
{
    const struct model *m = job->model;
    printf("%s: %s, %d users, %d items (%d with ratings), %d factors, hash %016" PRIx64
           "\nsettings   %.*s\n",
           job->model_path, model_kind_name(m->kind), m->n_users, m->n_items, items->n,
           m->n_factors, m->hash, (int)m->settings.len, m->settings.data);
    print_features(m);
    printf("mean       %.4f\n", (double)m->mean);
    if (has_user_bias(m)) {
        print_biases("user bias", users);
    }
    print_biases("item bias", items);
}

/* ---- the picture ---- */

/* Bias of every rated item by its rank in popularity, and the mean over the ranks from
 * 4/5 to 5/4 of each: as many to the left as to the right on a log axis. */
struct by_popularity {
    int32_t n;
    double *rank, *bias, *smooth;
};

static void smooth(struct by_popularity *p)
{
    double sum = 0;
    int32_t from = 0, to = 0; /* the window [from, to) */
    for (int32_t r = 0; r < p->n; r++) {
        const int32_t wanted = r + r / 4 + 1;
        while (to < p->n && to < wanted) {
            sum += p->bias[to++];
        }
        while (from < r - r / 5) {
            sum -= p->bias[from++];
        }
        p->smooth[r] = sum / (to - from);
    }
}

static int order_by_popularity(const struct model *m, struct by_popularity *p)
{
    int32_t *items = most_rated_items(m, &p->n);
    const size_t size = (size_t)p->n + 1;
    p->rank = malloc(size * sizeof *p->rank);
    p->bias = malloc(size * sizeof *p->bias);
    p->smooth = malloc(size * sizeof *p->smooth);
    if (!items || !p->rank || !p->bias || !p->smooth) {
        free(items);
        return -1;
    }
    for (int32_t r = 0; r < p->n; r++) {
        p->rank[r] = r + 1;
        p->bias[r] = (double)m->item_bias[items[r]];
    }
    smooth(p);
    free(items);
    return 0;
}

static void describe_ranked(const struct ranked *ranked, bool is_user,
                            struct plot_panel *panel)
{
    *panel = (struct plot_panel){
        .title = is_user ? "User biases, ranked" : "Item biases, ranked",
        .x_label = is_user ? "rank of the user by bias" : "rank of the item by bias",
        .y_label = "bias",
        .n_series = 1};
    panel->series[0] = (struct plot_series){.style = PLOT_LINE,
                                            .color = is_user ? 2 : 0,
                                            .n = ranked->n,
                                            .x = ranked->rank,
                                            .y = ranked->bias};
}

static int draw(const struct job *job, const struct ranked *users,
                const struct ranked *items)
{
    struct by_popularity popular = {0};
    struct plot_panel panels[3] = {{0}};
    struct plot_page page = {.panels = panels};
    int status = EXIT_FAILED;
    if (order_by_popularity(job->model, &popular) != 0) {
        complain("inspect", "no memory for the picture");
        goto out;
    }
    if (has_user_bias(job->model)) {
        describe_ranked(users, true, &panels[page.n_panels++]);
    }
    describe_ranked(items, false, &panels[page.n_panels++]);
    struct plot_panel *panel = &panels[page.n_panels++];
    *panel = (struct plot_panel){.title = "Item bias against popularity",
                                 .x_label = "rank of the item by ratings",
                                 .y_label = "bias",
                                 .log_x = true,
                                 .n_series = 2};
    panel->series[0] = (struct plot_series){.name = "items",
                                            .style = PLOT_DOTS,
                                            .color = 0,
                                            .n = popular.n,
                                            .x = popular.rank,
                                            .y = popular.bias};
    panel->series[1] = (struct plot_series){.name = "mean of neighbours",
                                            .style = PLOT_LINE,
                                            .color = 1,
                                            .n = popular.n,
                                            .x = popular.rank,
                                            .y = popular.smooth};
    page.n_columns = page.n_panels;
    status = plot_show(&page, &job->plot, "inspect");
out:
    free(popular.rank);
    free(popular.bias);
    free(popular.smooth);
    return status;
}

static int run(struct job *job)
{
    struct ranked users = {0}, items = {0};
    struct error error = {0};
    int status = EXIT_FAILED;
    if (model_load(job->model_path, &job->model, &error) != 0) {
        complain("inspect", "%s", error.message);
        return EXIT_FAILED;
    }
    const struct model *m = job->model;
    if (rank_biases(m->user_bias, NULL, m->n_users, &users) != 0 ||
        rank_biases(m->item_bias, m->item_count, m->n_items, &items) != 0) {
        complain("inspect", "no memory for the biases");
        goto out;
    }
    print_text(job, &users, &items);
    status = job->plot.path ? draw(job, &users, &items) : EXIT_DONE;
out:
    ranked_free(&users);
    ranked_free(&items);
    model_free(job->model);
    return status;
}

int cmd_inspect(int argc, char **argv)
{
    struct job job = {0};
    const struct option_spec options[] = {
        PLOT_OPTIONS(&job.plot),
    };
    const struct command_usage usage = {
        .command = "inspect",
        .arguments = "MODEL [options]",
        .summary =
            "Tells what a model file holds: kind, sizes, how it was trained, and "
            "the biases that it\nlearned, against rank and against popularity.",
        .options = options,
        .n_options = sizeof options / sizeof options[0],
        .min_arguments = 1,
        .max_arguments = 1,
    };
    int n_arguments = 0;
    const int parsed = options_parse(&usage, argc, argv, &job.model_path, &n_arguments);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    const int checked = plot_check(&job.plot, "inspect");
    return checked == OPTIONS_RUN ? finish_output("inspect", run(&job)) : checked;
}

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "abtest/commands.h"
#include "abtest/most_rated.h"
#include "abtest/options.h"
#include "abtest/plot.h"
#include "abtest/progress.h"
#include "common/file.h"
#include "common/json_text.h"
#include "trainer/trainer.h"

#define N_GROUPS   6 /* genres that get a colour */
#define MAX_LABELS 200
#define LABEL_LEN  30 /* bytes of a title in the picture, at most */

struct job {
    const char *model_path, *titles_path, *projector, *method;
    struct plot_choice plot;
    int64_t n_items, n_labels, n_iterations, n_threads;
    double perplexity;
    bool use_cosine;

    struct model *model;
    struct titles *titles; /* or NULL */
    struct progress progress;

    int32_t n;          /* items embedded */
    int32_t *item;      /* (n) model indices, most rated first */
    int32_t n_head;     /* the first of them, which carry 80 % of all ratings */
    float *rows;        /* (n, n_factors) */
    double *points;     /* (n, 2) */
    double *x, *y;      /* (n) each, for the picture, same order */
    struct slice *name; /* (n) titles, or ids */
};

/* ---- which items, and their rows ---- */

/* The most rated items first; those without a rating are left out, for their vectors
 * say nothing. */
static int choose_items(struct job *job)
{
    const struct model *m = job->model;
    int64_t total = 0, so_far = 0;
    int32_t n_rated = 0;
    job->item = most_rated_items(m, &n_rated);
    if (!job->item) {
        return -1;
    }
    for (int32_t j = 0; j < n_rated; j++) {
        total += m->item_count[job->item[j]];
    }
    job->n = (int32_t)(n_rated < job->n_items ? n_rated : job->n_items);
    for (int32_t j = 0; j < job->n && so_far * 10 < total * 8; j++) {
        so_far += m->item_count[job->item[j]];
        job->n_head = j + 1;
    }
    return 0;
}

static struct slice title_of(const struct job *job, int32_t item)
{
    const struct slice id = model_item_id(job->model, item);
    const struct slice title =
        job->titles ? titles_find(job->titles, id) : (struct slice){0};
    return title.len ? title : id;
}

static int collect_rows(struct job *job)
{
    const size_t n = (size_t)job->n, k = (size_t)job->model->n_factors;
    job->rows = malloc((n * k + 1) * sizeof *job->rows);
    job->points = malloc((2 * n + 1) * sizeof *job->points);
    job->x = malloc((n + 1) * sizeof *job->x);
    job->y = malloc((n + 1) * sizeof *job->y);
    job->name = malloc((n + 1) * sizeof *job->name);
    if (!job->rows || !job->points || !job->x || !job->y || !job->name) {
        return -1;
    }
    for (size_t j = 0; j < n; j++) {
        memcpy(job->rows + j * k, job->model->item_factors + (size_t)job->item[j] * k,
               k * sizeof *job->rows);
        job->name[j] = title_of(job, job->item[j]);
    }
    return 0;
}

/* ---- two dimensions ---- */

static void on_iteration(void *context, int iteration, int n_iterations)
{
    progress_draw(context, (double)iteration / n_iterations, iteration, "iterations");
}

static int embed_pca(struct job *job, struct error *error)
{
    double share[2] = {0, 0};
    const int k = job->model->n_factors, n_components = k > 1 ? 2 : 1;
    if (pca_project(job->rows, job->n, k, n_components, job->points, share, error) !=
        0) {
        return -1;
    }
    for (int32_t j = job->n - 1; n_components == 1 && j >= 0; j--) {
        job->points[2 * j] = job->points[j];
        job->points[2 * j + 1] = 0;
    }
    fprintf(stderr, "PCA of %d items: %.1f %% and %.1f %% of the variance\n", job->n,
            100 * share[0], 100 * share[1]);
    return 0;
}

static int embed_tsne(struct job *job, struct error *error)
{
    struct tsne_config config = tsne_config_default();
    double divergence = 0;
    config.perplexity = job->perplexity;
    config.n_iterations = (int)job->n_iterations;
    config.use_cosine = job->use_cosine;
    config.n_threads = job->n_threads ? (int)job->n_threads : omp_get_max_threads();
    config.progress = on_iteration;
    config.context = &job->progress;
    progress_start(&job->progress, "t-SNE");
    const int rc = tsne_embed(job->rows, job->n, job->model->n_factors, &config,
                              job->points, &divergence, error);
    progress_wipe(&job->progress);
    if (rc == 0) {
        fprintf(stderr, "t-SNE of %d items: %d iterations, divergence %.3f nats\n",
                job->n, config.n_iterations, divergence);
    }
    return rc;
}

/* ---- answers ---- */

static void append_field(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];
        buffer_append_char(out, (unsigned char)c < 0x20 || c == 0x7F ? ' ' : c);
    }
}

static int print_tsv(const struct job *job)
{
    struct buffer out = {0};
    buffer_append_text(&out, "item\tx\ty\tratings\thead\ttitle\n");
    for (int32_t j = 0; j < job->n; j++) {
        append_field(&out, model_item_id(job->model, job->item[j]));
        buffer_printf(&out, "\t%.6g\t%.6g\t%d\t%d\t", job->points[2 * j],
                      job->points[2 * j + 1], job->model->item_count[job->item[j]],
                      j < job->n_head);
        append_field(&out, job->name[j]);
        buffer_append_char(&out, '\n');
    }
    const int rc = out.failed ? -1 : 0;
    fwrite(out.data, 1, out.failed ? 0 : out.len, stdout);
    buffer_free(&out);
    return rc;
}

static int write_in(const char *directory, const char *name, const struct buffer *text,
                    struct error *error)
{
    const size_t len = strlen(directory) + strlen(name) + 2;
    char *path = malloc(len);
    int rc = -1;
    if (!path || text->failed) {
        error_set(error, ERROR_NOMEM, "%s/%s: no memory", directory, name);
    } else {
        snprintf(path, len, "%s/%s", directory, name);
        rc = file_replace(path, buffer_slice(text), error);
    }
    free(path);
    return rc;
}

/* The vectors themselves, in the two files that embedding projectors load. */
static int write_projector(const struct job *job, struct error *error)
{
    const size_t k = (size_t)job->model->n_factors;
    struct buffer vectors = {0}, metadata = {0};
    buffer_append_text(&metadata, "item\ttitle\tgenres\tratings\tbias\n");
    for (int32_t j = 0; j < job->n; j++) {
        const int32_t i = job->item[j];
        const struct slice id = model_item_id(job->model, i);
        for (size_t p = 0; p < k; p++) {
            buffer_printf(&vectors, "%s%.9g", p ? "\t" : "",
                          (double)job->rows[(size_t)j * k + p]);
        }
        buffer_append_char(&vectors, '\n');
        append_field(&metadata, id);
        buffer_append_char(&metadata, '\t');
        append_field(&metadata, job->name[j]);
        buffer_append_char(&metadata, '\t');
        if (job->titles) {
            append_field(&metadata, titles_genres(job->titles, id));
        }
        buffer_printf(&metadata, "\t%d\t%.6g\n", job->model->item_count[i],
                      (double)job->model->item_bias[i]);
    }
    int rc = -1;
    if (mkdir(job->projector, 0777) != 0 && errno != EEXIST) {
        error_set(error, ERROR_IO, "%s: cannot create: %s", job->projector,
                  strerror(errno));
    } else {
        rc = write_in(job->projector, "vectors.tsv", &vectors, error);
        rc = rc == 0 ? write_in(job->projector, "metadata.tsv", &metadata, error) : rc;
    }
    buffer_free(&metadata);
    buffer_free(&vectors);
    return rc;
}

/* ---- the picture ---- */

/* Genres that differ in taste more than most; an item belongs to the first it has. */
static const char *const group_names[N_GROUPS] = {"Animation", "Horror", "Sci-Fi",
                                                  "Romance",   "Crime",  "Documentary"};

static bool has_genre(struct slice genres, const char *name)
{
    const size_t len = strlen(name);
    for (size_t i = 0; i + len <= genres.len; i++) {
        if (memcmp(genres.data + i, name, len) == 0) {
            return true;
        }
    }
    return false;
}

static int group_of(const struct job *job, int32_t item)
{
    const struct slice genres =
        titles_genres(job->titles, model_item_id(job->model, item));
    for (int g = 0; g < N_GROUPS; g++) {
        if (has_genre(genres, group_names[g])) {
            return g;
        }
    }
    return -1;
}

/* Labels that do not cover each other, best-known items first. */
struct labels {
    int64_t n;
    double letter,
        line; /* size of a letter as shares of the panel's width and height */
    double x[MAX_LABELS], y[MAX_LABELS];
    struct slice text[MAX_LABELS];
};

/* Width of a label in the units of x, by its length. */
static double label_width(const struct plot_panel *panel, const struct labels *labels,
                          struct slice text)
{
    return (double)(text.len + 2) * labels->letter * (panel->x_high - panel->x_low);
}

static bool is_free(const struct plot_panel *panel, const struct labels *labels,
                    double x, double y, struct slice text)
{
    const double height = labels->line * (panel->y_high - panel->y_low);
    const double width = label_width(panel, labels, text);
    if (x + width > panel->x_high) {
        return false;
    }
    for (int64_t j = 0; j < labels->n; j++) {
        if (fabs(labels->y[j] - y) < height &&
            x < labels->x[j] + label_width(panel, labels, labels->text[j]) &&
            labels->x[j] < x + width) {
            return false;
        }
    }
    return true;
}

/* The title without what stands in parentheses at its end, cut at a word. */
static struct slice shortened(struct slice text)
{
    for (size_t i = 2; i < text.len; i++) {
        if (text.data[i] == '(' && text.data[i - 1] == ' ') {
            text.len = i - 1;
        }
    }
    while (text.len > LABEL_LEN) {
        do {
            text.len--;
        } while (text.len > 1 && text.data[text.len] != ' ');
    }
    return text;
}

static void place_labels(const struct job *job, const struct plot_panel *panel,
                         struct labels *labels)
{
    const bool is_terminal = strcmp(job->plot.path, "-") == 0;
    labels->letter = is_terminal ? 1.0 / 70 : 0.0088; /* of a picture 760 pixels wide */
    labels->line = is_terminal ? 1.0 / 10 : 0.022;
    for (int32_t j = 0; j < job->n_head && labels->n < job->n_labels; j++) {
        const struct slice text = shortened(job->name[j]);
        if (is_free(panel, labels, job->x[j], job->y[j], text)) {
            labels->x[labels->n] = job->x[j];
            labels->y[labels->n] = job->y[j];
            labels->text[labels->n++] = text;
        }
    }
}

/* Both panels show the same part of the plane: all points and a margin. */
static void set_range(const struct job *job, struct plot_panel *panel)
{
    /* The embedding filled all n >= 1 points; the analyzer does not follow it there.
     * NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign) */
    panel->x_low = panel->x_high = job->x[0];
    panel->y_low = panel->y_high = job->y[0];
    for (int32_t j = 1; j < job->n; j++) {
        panel->x_low = fmin(panel->x_low, job->x[j]);
        panel->x_high = fmax(panel->x_high, job->x[j]);
        panel->y_low = fmin(panel->y_low, job->y[j]);
        panel->y_high = fmax(panel->y_high, job->y[j]);
    }
    const double x_margin = 0.02 * (panel->x_high - panel->x_low);
    const double y_margin = 0.02 * (panel->y_high - panel->y_low);
    panel->x_low -= x_margin;
    panel->x_high += x_margin;
    panel->y_low -= y_margin;
    panel->y_high += y_margin;
    panel->no_x_tics = panel->no_y_tics = true;
    panel->key = "bmargin center horizontal";
}

/* The best-known items first in x and y, so that series are runs of them. */
static void describe_head(const struct job *job, struct plot_panel *panel,
                          struct labels *labels, char *text, size_t size)
{
    snprintf(text, size, "%d items with 80 %% of the ratings", job->n_head);
    *panel = (struct plot_panel){.title = "Items, the most rated ones marked"};
    set_range(job, panel);
    place_labels(job, panel, labels);
    panel->series[panel->n_series++] = (struct plot_series){.name = "other items",
                                                            .style = PLOT_DOTS,
                                                            .color = -2,
                                                            .n = job->n - job->n_head,
                                                            .x = job->x + job->n_head,
                                                            .y = job->y + job->n_head};
    panel->series[panel->n_series++] = (struct plot_series){.name = text,
                                                            .style = PLOT_POINTS,
                                                            .color = 4,
                                                            .n = job->n_head,
                                                            .x = job->x,
                                                            .y = job->y};
    panel->series[panel->n_series++] = (struct plot_series){.style = PLOT_LABELS,
                                                            .color = 7,
                                                            .n = labels->n,
                                                            .x = labels->x,
                                                            .y = labels->y,
                                                            .labels = labels->text};
}

/* One series a genre, of the items that carry the ratings. group_x, group_y (n) hold
 * the series one after the other. */
static void describe_genres(const struct job *job, struct plot_panel *panel,
                            double *group_x, double *group_y)
{
    int64_t at = 0;
    *panel = (struct plot_panel){.title = "The marked items by genre"};
    set_range(job, panel);
    for (int g = -1; g < N_GROUPS; g++) {
        const int64_t first = at;
        for (int32_t j = 0; j < job->n_head; j++) {
            if (group_of(job, job->item[j]) == g) {
                group_x[at] = job->x[j];
                group_y[at++] = job->y[j];
            }
        }
        panel->series[panel->n_series++] =
            (struct plot_series){.name = g < 0 ? "none of these" : group_names[g],
                                 .style = g < 0 ? PLOT_DOTS : PLOT_POINTS,
                                 .color = g < 0 ? -2 : g,
                                 .n = at - first,
                                 .x = group_x + first,
                                 .y = group_y + first};
    }
}

static int draw(const struct job *job)
{
    struct plot_panel panels[2] = {{0}};
    struct plot_page page = {.n_panels = job->titles ? 2 : 1,
                             .n_columns = 2,
                             .panels = panels,
                             .panel_width = 800,
                             .panel_height = 720};
    struct labels *labels = calloc(1, sizeof *labels);
    char text[64];
    int status = EXIT_FAILED;
    double *group_x = malloc(((size_t)job->n + 1) * sizeof *group_x);
    double *group_y = malloc(((size_t)job->n + 1) * sizeof *group_y);
    if (!group_x || !group_y || !labels) {
        complain("embed", "no memory for the picture");
        goto out;
    }
    for (int32_t j = 0; j < job->n; j++) {
        job->x[j] = job->points[2 * j];
        job->y[j] = job->points[2 * j + 1];
    }
    page.n_columns = page.n_panels;
    describe_head(job, &panels[0], labels, text, sizeof text);
    if (job->titles) {
        describe_genres(job, &panels[1], group_x, group_y);
    }
    status = plot_show(&page, &job->plot, "embed");
out:
    free(labels);
    free(group_x);
    free(group_y);
    return status;
}

/* ---- the command ---- */

static int answer(const struct job *job, struct error *error)
{
    if (job->projector) {
        if (write_projector(job, error) != 0) {
            complain("embed", "%s", error->message);
            return EXIT_FAILED;
        }
        printf("%s/vectors.tsv, %s/metadata.tsv: %d items\n", job->projector,
               job->projector, job->n);
    }
    if (job->plot.path) {
        return draw(job);
    }
    if (!job->projector && print_tsv(job) != 0) {
        complain("embed", "no memory for the answer");
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

static int run(struct job *job)
{
    struct error error = {0};
    int status = EXIT_FAILED;
    if (model_load(job->model_path, &job->model, &error) != 0 ||
        (job->titles_path &&
         titles_load(job->titles_path, &job->titles, &error) != 0)) {
        complain("embed", "%s", error.message);
        goto out;
    }
    if (choose_items(job) != 0 || collect_rows(job) != 0) {
        complain("embed", "no memory for %d items", job->n);
        goto out;
    }
    if (job->n == 0) {
        complain("embed", "%s: no item has a rating", job->model_path);
        goto out;
    }
    const bool needs_points = job->plot.path || !job->projector;
    if (needs_points &&
        (strcmp(job->method, "pca") == 0 ? embed_pca : embed_tsne)(job, &error) != 0) {
        complain("embed", "%s", error.message);
        goto out;
    }
    status = answer(job, &error);
out:
    free(job->item);
    free(job->rows);
    free(job->points);
    free(job->x);
    free(job->y);
    free(job->name);
    titles_free(job->titles);
    model_free(job->model);
    return status;
}

int cmd_embed(int argc, char **argv)
{
    const struct tsne_config tsne = tsne_config_default();
    struct job job = {.method = "tsne",
                      .n_items = 10000,
                      .n_labels = 40,
                      .n_iterations = tsne.n_iterations,
                      .perplexity = tsne.perplexity};
    const struct option_spec options[] = {
        {"method", OPTION_TEXT, &job.method, "tsne|pca",
         "neighbourhoods, or the directions of largest variance", 0, 0},
        {"items", OPTION_INT, &job.n_items, "N", "the most rated ones", 4, 1e6},
        {"titles", OPTION_TEXT, &job.titles_path, "FILE",
         "movies.csv: names and genres", 0, 0},
        PLOT_OPTIONS(&job.plot),
        {"labels", OPTION_INT, &job.n_labels, "N", "items named in the picture", 0,
         200},
        {"projector", OPTION_TEXT, &job.projector, "DIR",
         "write vectors.tsv and metadata.tsv for an embedding projector", 0, 0},
        {"perplexity", OPTION_NUMBER, &job.perplexity, "P",
         "t-SNE: neighbours that count", 2, 200},
        {"iterations", OPTION_INT, &job.n_iterations, "N", "t-SNE: steps", 10, 100000},
        {"cosine", OPTION_FLAG, &job.use_cosine, NULL,
         "t-SNE: compare directions, not lengths", 0, 0},
        {"threads", OPTION_INT, &job.n_threads, "N", "0: one a core", 0, 1024},
    };
    const struct command_usage usage = {
        .command = "embed",
        .arguments = "MODEL [options]",
        .summary = "Puts the items of a model on a plane by what the model learned of "
                   "them. Prints item, x,\ny, ratings, whether it is among those that "
                   "carry 80 % of all ratings, and title as TSV,\nunless a picture or "
                   "projector files are wanted.",
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
    if (strcmp(job.method, "tsne") != 0 && strcmp(job.method, "pca") != 0) {
        complain("embed", "--method %s: there are tsne and pca", job.method);
        return EXIT_USAGE;
    }
    const int checked = plot_check(&job.plot, "embed");
    return checked == OPTIONS_RUN ? finish_output("embed", run(&job)) : checked;
}

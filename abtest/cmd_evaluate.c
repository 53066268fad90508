#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "common/json_text.h"
#include "trainer/trainer.h"

struct job {
    const char *model_path, *train_path, *test_path;
    struct evaluate_config config;
    bool as_json;
};

/* One line of the table, one key of the JSON. */
struct column {
    const char *key;
    const char *label; /* %d becomes the cut-off */
    double (*value)(const struct evaluate_metrics *m);
    enum { CUT_NONE, CUT_K, CUT_RECALL_K } cut;
    int digits;
};

#define ACCESSOR(field)                                                                \
    static double get_##field(const struct evaluate_metrics *m)                        \
    {                                                                                  \
        return m->field;                                                               \
    }
ACCESSOR(rmse)
ACCESSOR(rmse_clipped)
ACCESSOR(mae)
ACCESSOR(auc)
ACCESSOR(ndcg)
ACCESSOR(recall)
ACCESSOR(map)
ACCESSOR(mrr)
ACCESSOR(coverage)
ACCESSOR(gini)
ACCESSOR(novelty)

static const struct column columns[] = {
    {"rmse", "RMSE", get_rmse, CUT_NONE, 4},
    {"rmse_clipped", "RMSE, clipped", get_rmse_clipped, CUT_NONE, 4},
    {"mae", "MAE", get_mae, CUT_NONE, 4},
    {"auc", "AUC", get_auc, CUT_NONE, 4},
    {"ndcg", "NDCG@", get_ndcg, CUT_K, 4},
    {"recall", "Recall@", get_recall, CUT_RECALL_K, 4},
    {"map", "MAP@", get_map, CUT_K, 4},
    {"mrr", "MRR", get_mrr, CUT_NONE, 4},
    {"coverage", "coverage@", get_coverage, CUT_K, 4},
    {"gini", "Gini@", get_gini, CUT_K, 4},
    {"novelty", "novelty@", get_novelty, CUT_K, 2},
};

#define N_COLUMNS (sizeof columns / sizeof columns[0])

static void format_label(const struct column *column, const struct job *job, char *text,
                         size_t size)
{
    const int64_t cut =
        column->cut == CUT_RECALL_K ? job->config.recall_k : job->config.k;
    if (column->cut == CUT_NONE) {
        snprintf(text, size, "%s", column->label);
    } else {
        snprintf(text, size, "%s%" PRId64, column->label, cut);
    }
}

static void print_value(double value, int digits)
{
    if (isnan(value)) {
        printf(" %11s", "-");
    } else {
        printf(" %11.*f", digits, value);
    }
}

static void format_slice(const int64_t *first, int n_slices, int slice, char *text,
                         size_t size)
{
    if (slice + 1 == n_slices) {
        snprintf(text, size, "%" PRId64 "+", first[slice]);
    } else if (first[slice + 1] == first[slice] + 1) {
        snprintf(text, size, "%" PRId64, first[slice]);
    } else {
        snprintf(text, size, "%" PRId64 "-%" PRId64, first[slice],
                 first[slice + 1] - 1);
    }
}

static void print_slices(const struct evaluate_subject *subject, const struct job *job)
{
    char text[64];
    printf("\n%s by how many training ratings the user has\n%-14s %11s %11s",
           subject->name, "", "ratings", "users");
    for (size_t c = 0; c < N_COLUMNS; c++) {
        if (columns[c].value == get_rmse || columns[c].value == get_auc ||
            columns[c].value == get_ndcg || columns[c].value == get_recall) {
            format_label(&columns[c], job, text, sizeof text);
            printf(" %11s", text);
        }
    }
    for (int i = 0; i < EVALUATE_N_SLICES; i++) {
        const struct evaluate_metrics *m = &subject->slice[i];
        if (m->n_pairs == 0 && m->n_users == 0) {
            continue;
        }
        format_slice(evaluate_slice_first, EVALUATE_N_SLICES, i, text, sizeof text);
        printf("\n%-14s %11" PRId64 " %11" PRId64, text, m->n_pairs, m->n_users);
        print_value(m->rmse, 4);
        print_value(m->auc, 4);
        print_value(m->ndcg, 4);
        print_value(m->recall, 4);
    }
    putchar('\n');
}

/* Errors alone: a ranking is a user's, not an item's. */
static void print_item_slices(const struct evaluate_report *report)
{
    char text[64];
    printf("\nerrors by how many training ratings the item has\n%-14s %11s", "",
           "ratings");
    for (int s = 0; s < EVALUATE_N_SUBJECTS; s++) {
        if (!isnan(report->subject[s].all.rmse)) {
            snprintf(text, sizeof text, "%s RMSE", report->subject[s].name);
            printf(" %16s", text);
            snprintf(text, sizeof text, "%s MAE", report->subject[s].name);
            printf(" %16s", text);
        }
    }
    for (int i = 0; i < EVALUATE_N_ITEM_SLICES; i++) {
        if (report->subject[0].item_slice[i].n_pairs == 0) {
            continue;
        }
        format_slice(evaluate_item_slice_first, EVALUATE_N_ITEM_SLICES, i, text,
                     sizeof text);
        printf("\n%-14s %11" PRId64, text, report->subject[0].item_slice[i].n_pairs);
        for (int s = 0; s < EVALUATE_N_SUBJECTS; s++) {
            const struct evaluate_errors *errors = &report->subject[s].item_slice[i];
            if (!isnan(report->subject[s].all.rmse)) {
                printf(" %16.4f %16.4f", errors->rmse, errors->mae);
            }
        }
    }
    putchar('\n');
}

static void print_intervals(const struct evaluate_intervals *intervals)
{
    if (intervals->n_pairs == 0) {
        return;
    }
    printf("\nintervals of the predicted rating (%" PRId64
           " ratings): the score is known to +-%.3f\nand ratings lie +-%.3f around "
           "it, standard deviations\n%-14s %11s %11s",
           intervals->n_pairs, intervals->mean_score_sd, intervals->noise, "", "hold",
           "mean width");
    for (int l = 0; l < EVALUATE_N_LEVELS; l++) {
        printf("\n%10.0f %%   %9.1f %% %11.3f", 100 * evaluate_level[l],
               100 * intervals->within[l], intervals->mean_width[l]);
    }
    putchar('\n');
}

static void print_text(const struct evaluate_report *report, const struct job *job,
                       const struct model *model)
{
    char text[64];
    printf("%s: %s, %d factors, %d users, %d items\n", job->model_path,
           model_kind_name(model->kind), model->n_factors, model->n_users,
           model->n_items);
    printf("%s: %" PRId64 " ratings; %" PRId64 " users and the items of %" PRId64
           " ratings are not in the model\n",
           job->test_path, report->n_test, report->n_unknown_users,
           report->n_unknown_items);
    printf("%" PRId64 " users ranked over a catalogue of %d items\n\n%-14s",
           report->subject[0].all.n_users, report->n_catalogue, "");
    for (int i = 0; i < EVALUATE_N_SUBJECTS; i++) {
        printf(" %11s", report->subject[i].name);
    }
    putchar('\n');
    for (size_t c = 0; c < N_COLUMNS; c++) {
        format_label(&columns[c], job, text, sizeof text);
        printf("%-14s", text);
        for (int i = 0; i < EVALUATE_N_SUBJECTS; i++) {
            print_value(columns[c].value(&report->subject[i].all), columns[c].digits);
        }
        putchar('\n');
    }
    print_slices(&report->subject[0], job);
    print_item_slices(report);
    print_intervals(&report->intervals);
}

static void append_metrics(struct buffer *out, const struct evaluate_metrics *m)
{
    buffer_printf(out, "\"ratings\":%" PRId64 ",\"users\":%" PRId64, m->n_pairs,
                  m->n_users);
    for (size_t c = 0; c < N_COLUMNS; c++) {
        buffer_printf(out, ",\"%s\":", columns[c].key);
        json_append_double(out, columns[c].value(m));
    }
}

/* The bounds of a slice as members of an object; the last has no upper one. */
static void append_bounds(struct buffer *out, const int64_t *first, int n_slices,
                          int slice)
{
    buffer_printf(out, "%s{\"from\":%" PRId64 ",\"to\":", slice ? "," : "",
                  first[slice]);
    if (slice + 1 < n_slices) {
        buffer_append_int(out, first[slice + 1] - 1);
    } else {
        buffer_append_text(out, "null");
    }
    buffer_append_char(out, ',');
}

static void append_item_slices(struct buffer *out,
                               const struct evaluate_subject *subject)
{
    buffer_append_text(out, ",\"by_item_ratings\":[");
    for (int i = 0; i < EVALUATE_N_ITEM_SLICES; i++) {
        const struct evaluate_errors *errors = &subject->item_slice[i];
        append_bounds(out, evaluate_item_slice_first, EVALUATE_N_ITEM_SLICES, i);
        buffer_printf(out, "\"ratings\":%" PRId64 ",\"rmse\":", errors->n_pairs);
        json_append_double(out, errors->rmse);
        buffer_append_text(out, ",\"rmse_clipped\":");
        json_append_double(out, errors->rmse_clipped);
        buffer_append_text(out, ",\"mae\":");
        json_append_double(out, errors->mae);
        buffer_append_char(out, '}');
    }
    buffer_append_char(out, ']');
}

static void append_intervals(struct buffer *out,
                             const struct evaluate_intervals *intervals)
{
    if (intervals->n_pairs == 0) {
        buffer_append_text(out, ",\"intervals\":null");
        return;
    }
    buffer_printf(out, ",\"intervals\":{\"ratings\":%" PRId64 ",\"mean_score_sd\":",
                  intervals->n_pairs);
    json_append_double(out, intervals->mean_score_sd);
    buffer_append_text(out, ",\"noise\":");
    json_append_double(out, intervals->noise);
    buffer_append_text(out, ",\"levels\":[");
    for (int l = 0; l < EVALUATE_N_LEVELS; l++) {
        buffer_append_text(out, l ? ",{\"level\":" : "{\"level\":");
        json_append_double(out, evaluate_level[l]);
        buffer_append_text(out, ",\"within\":");
        json_append_double(out, intervals->within[l]);
        buffer_append_text(out, ",\"mean_width\":");
        json_append_double(out, intervals->mean_width[l]);
        buffer_append_char(out, '}');
    }
    buffer_append_text(out, "]}");
}

static void append_subject(struct buffer *out, const struct evaluate_subject *subject)
{
    buffer_append_text(out, "{\"name\":");
    json_append_string(out, slice_of(subject->name));
    buffer_append_char(out, ',');
    append_metrics(out, &subject->all);
    buffer_append_text(out, ",\"by_activity\":[");
    for (int i = 0; i < EVALUATE_N_SLICES; i++) {
        append_bounds(out, evaluate_slice_first, EVALUATE_N_SLICES, i);
        append_metrics(out, &subject->slice[i]);
        buffer_append_char(out, '}');
    }
    buffer_append_char(out, ']');
    append_item_slices(out, subject);
    buffer_append_char(out, '}');
}

static int print_json(const struct evaluate_report *report, const struct job *job,
                      const struct model *model)
{
    struct buffer out = {0};
    buffer_append_text(&out, "{\"model\":{\"file\":");
    json_append_string(&out, slice_of(job->model_path));
    buffer_printf(&out,
                  ",\"kind\":\"%s\",\"hash\":\"%016" PRIx64
                  "\",\"factors\":%d,\"users\":%d,\"items\":%d}",
                  model_kind_name(model->kind), model->hash, model->n_factors,
                  model->n_users, model->n_items);
    buffer_printf(
        &out,
        ",\"k\":%" PRId64 ",\"recall_k\":%" PRId64
        ",\"catalogue\":%d,\"test_ratings\":%" PRId64 ",\"unknown_users\":%" PRId64
        ",\"unknown_item_ratings\":%" PRId64 ",\"test_ratings_in_training\":%" PRId64,
        job->config.k, job->config.recall_k, report->n_catalogue, report->n_test,
        report->n_unknown_users, report->n_unknown_items, report->n_in_training);
    buffer_append_text(&out, ",\"threshold\":");
    json_append_double(&out, job->config.threshold);
    buffer_append_text(&out, ",\"item_bias\":");
    json_append_double(&out, job->config.item_bias);
    append_intervals(&out, &report->intervals);
    buffer_append_text(&out, ",\"subjects\":[");
    for (int i = 0; i < EVALUATE_N_SUBJECTS; i++) {
        buffer_append_text(&out, i ? "," : "");
        append_subject(&out, &report->subject[i]);
    }
    buffer_append_text(&out, "]}\n");
    const int rc = out.failed ? -1 : 0;
    fwrite(out.data, 1, out.failed ? 0 : out.len, stdout);
    buffer_free(&out);
    return rc;
}

static int run(const struct job *job)
{
    struct model *model = NULL;
    struct ratings *train = NULL, *test = NULL;
    struct evaluate_report report;
    struct error error = {0};
    int status = EXIT_FAILED;
    if (model_load(job->model_path, &model, &error) != 0 ||
        ratings_load(job->train_path, &train, &error) != 0 ||
        ratings_load(job->test_path, &test, &error) != 0 ||
        evaluate(model, train, test, &job->config, &report, &error) != 0) {
        complain("evaluate", "%s", error.message);
        goto out;
    }
    if (report.n_in_training) {
        complain("evaluate",
                 "%" PRId64 " of %" PRId64 " test ratings are training ratings too: "
                 "errors look better than they are (split first: abtest split)",
                 report.n_in_training, report.n_test);
    }
    if (job->as_json && print_json(&report, job, model) != 0) {
        complain("evaluate", "no memory for the answer");
        goto out;
    }
    if (!job->as_json) {
        print_text(&report, job, model);
    }
    status = EXIT_DONE;
out:
    ratings_free(test);
    ratings_free(train);
    model_free(model);
    return status;
}

int cmd_evaluate(int argc, char **argv)
{
    struct job job = {.config = evaluate_config_default()};
    const struct option_spec options[] = {
        {"ratings", OPTION_TEXT, &job.train_path, "FILE",
         "the ratings that the model was trained on", 0, 0},
        {"test", OPTION_TEXT, &job.test_path, "FILE", "ratings that it has not seen", 0,
         0},
        {"k", OPTION_INT, &job.config.k, "N", "length of the lists", 1, 1000},
        {"recall-k", OPTION_INT, &job.config.recall_k, "N", "cut-off of recall", 1,
         1000},
        {"threshold", OPTION_NUMBER, &job.config.threshold, "R",
         "a test rating above it is a positive", -1e9, 1e9},
        {"item-bias", OPTION_NUMBER, &job.config.item_bias, "W",
         "weight of the item bias in the ranking", -1e6, 1e6},
        {"threads", OPTION_INT, &job.config.n_threads, "N", "0: one a core", 0, 1024},
        {"json", OPTION_FLAG, &job.as_json, NULL, "answer in JSON", 0, 0},
    };
    const struct command_usage usage = {
        .command = "evaluate",
        .arguments = "MODEL --ratings TRAIN --test TEST [options]",
        .summary =
            "Measures a model on ratings that it has not seen: error of the predicted "
            "ratings,\nquality of the ranking of all items that a user has not rated "
            "in "
            "training, variety of the\nlists; beside it two baselines, popularity and "
            "the mean rating of each item.\ndocs/evaluation.md defines every number.",
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
    if (!job.train_path || !job.test_path) {
        complain("evaluate", "needs --ratings TRAIN and --test TEST");
        return EXIT_USAGE;
    }
    return finish_output("evaluate", run(&job));
}

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/cell.h"
#include "abtest/commands.h"
#include "abtest/options.h"
#include "common/json_text.h"
#include "trainer/trainer.h"

#define TITLE_WIDTH 40

struct job {
    const char *model_path, *ratings_path, *titles_path, *user;
    int64_t k;
    double item_bias;
    bool as_json;
    bool wants_uncertainty;

    struct model *model;
    struct draws draws;      /* with --uncertainty */
    struct ratings *ratings; /* or NULL */
    struct titles *titles;   /* or NULL */
    int32_t model_user;
    int32_t rating_user; /* or ID_NONE */
};

/* One item of either list, best first. */
struct pick {
    double value; /* rating or score */
    double sd;    /* how sure the score is; NAN: not asked */
    int64_t n_ratings;
    struct slice id;
};

struct picks {
    struct pick *list;
    int64_t n;     /* in `list` */
    int64_t shown; /* min(n, k) */
};

/* Higher value first; among equals the item that more people rated, then the id. */
static int compare_picks(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    if (x->value != y->value) {
        return x->value < y->value ? 1 : -1;
    }
    if (x->n_ratings != y->n_ratings) {
        return x->n_ratings < y->n_ratings ? 1 : -1;
    }
    return slice_compare(x->id, y->id);
}

static void sort_picks(struct picks *picks, int64_t k)
{
    qsort(picks->list, (size_t)picks->n, sizeof *picks->list, compare_picks);
    picks->shown = picks->n < k ? picks->n : k;
}

static int collect_liked(const struct job *job, struct picks *liked)
{
    const struct ratings *r = job->ratings;
    if (!r || job->rating_user == ID_NONE) {
        return 0;
    }
    const int64_t first = r->user_start[job->rating_user];
    liked->n = r->user_start[job->rating_user + 1] - first;
    liked->list = malloc(((size_t)liked->n + 1) * sizeof *liked->list);
    if (!liked->list) {
        return -1;
    }
    for (int64_t j = 0; j < liked->n; j++) {
        const int32_t item = r->user_item[first + j];
        liked->list[j] = (struct pick){(double)r->user_rating[first + j], (double)NAN,
                                       r->item_start[item + 1] - r->item_start[item],
                                       id_map_id(r->items, item)};
    }
    sort_picks(liked, job->k);
    return 0;
}

static bool has_rated(const struct job *job, struct slice id)
{
    if (!job->ratings || job->rating_user == ID_NONE) {
        return false;
    }
    const int32_t item = id_map_find(job->ratings->items, id);
    return item != ID_NONE && !isnan(ratings_get(job->ratings, job->rating_user, item));
}

static int collect_predicted(const struct job *job, struct picks *predicted)
{
    const struct model *m = job->model;
    predicted->list = malloc(((size_t)m->n_items + 1) * sizeof *predicted->list);
    if (!predicted->list) {
        return -1;
    }
    for (int32_t i = 0; i < m->n_items; i++) {
        const struct slice id = model_item_id(m, i);
        if (!has_rated(job, id)) {
            predicted->list[predicted->n++] =
                (struct pick){model_score(m, job->model_user, i, job->item_bias),
                              (double)NAN, m->item_count[i], id};
        }
    }
    sort_picks(predicted, job->k);
    for (int64_t j = 0; j < predicted->shown && job->wants_uncertainty; j++) {
        struct pick *pick = &predicted->list[j];
        pick->sd =
            draws_score_sd(&job->draws, job->model_user, model_find_item(m, pick->id));
    }
    return 0;
}

static struct slice title_of(const struct job *job, struct slice id)
{
    return job->titles ? titles_find(job->titles, id) : (struct slice){0};
}

static void append_pick(const struct job *job, struct buffer *out,
                        const struct picks *picks, int64_t j, int digits)
{
    if (j >= picks->shown) {
        cell_append(out, (struct slice){0}, TITLE_WIDTH + 7);
        return;
    }
    const struct pick *pick = &picks->list[j];
    const struct slice title = title_of(job, pick->id);
    cell_append(out, title.len ? title : pick->id, TITLE_WIDTH);
    buffer_printf(out, " %6.*f", digits, pick->value);
    if (!isnan(pick->sd)) {
        buffer_printf(out, " +-%.3f", pick->sd);
    }
}

static void append_text(const struct job *job, struct buffer *out,
                        const struct picks *liked, const struct picks *predicted)
{
    buffer_append_text(out, "user ");
    cell_append(out, slice_of(job->user), (int)strlen(job->user) + 1);
    buffer_printf(out, "%s, item bias %g\n", job->model_path, job->item_bias);
    if (job->wants_uncertainty) {
        buffer_printf(
            out,
            "+-: standard deviation of the score over %d draws; a rating lies "
            "+-%.3f around it\n",
            job->draws.n_draws, job->draws.noise);
    }
    buffer_append_text(out, "\n  #  ");
    if (job->ratings) {
        cell_append(out, slice_of("liked"), TITLE_WIDTH);
        buffer_append_text(out, " rating  |  ");
    }
    cell_append(out, slice_of("predicted"), TITLE_WIDTH);
    buffer_append_text(out, "  score\n");
    const int64_t n = liked->shown > predicted->shown ? liked->shown : predicted->shown;
    for (int64_t j = 0; j < n; j++) {
        buffer_printf(out, "%3" PRId64 "  ", j + 1);
        if (job->ratings) {
            append_pick(job, out, liked, j, 1);
            buffer_append_text(out, "  |  ");
        }
        append_pick(job, out, predicted, j, 3);
        buffer_append_char(out, '\n');
    }
}

static void append_json_picks(const struct job *job, struct buffer *out,
                              const struct picks *picks, const char *value_name)
{
    buffer_append_char(out, '[');
    for (int64_t j = 0; j < picks->shown; j++) {
        const struct slice title = title_of(job, picks->list[j].id);
        buffer_append_text(out, j ? ",{\"item\":" : "{\"item\":");
        json_append_string(out, picks->list[j].id);
        buffer_printf(out, ",\"%s\":", value_name);
        json_append_double(out, picks->list[j].value);
        if (!isnan(picks->list[j].sd)) {
            buffer_append_text(out, ",\"score_sd\":");
            json_append_double(out, picks->list[j].sd);
        }
        if (title.len) {
            buffer_append_text(out, ",\"title\":");
            json_append_string(out, title);
        }
        buffer_append_char(out, '}');
    }
    buffer_append_char(out, ']');
}

static void append_json(const struct job *job, struct buffer *out,
                        const struct picks *liked, const struct picks *predicted)
{
    buffer_append_text(out, "{\"user\":");
    json_append_string(out, slice_of(job->user));
    buffer_printf(out, ",\"model\":\"%s:%016" PRIx64 "\",\"item_bias\":",
                  model_kind_name(job->model->kind), job->model->hash);
    json_append_double(out, job->item_bias);
    if (job->wants_uncertainty) {
        buffer_append_text(out, ",\"noise\":");
        json_append_double(out, job->draws.noise);
    }
    buffer_append_text(out, ",\"liked\":");
    if (job->ratings) {
        append_json_picks(job, out, liked, "rating");
    } else {
        buffer_append_text(out, "null");
    }
    buffer_append_text(out, ",\"predicted\":");
    append_json_picks(job, out, predicted, "score");
    buffer_append_text(out, "}\n");
}

static int load(struct job *job)
{
    struct error error = {0};
    if (model_load(job->model_path, &job->model, &error) != 0 ||
        (job->ratings_path &&
         ratings_load(job->ratings_path, &job->ratings, &error) != 0) ||
        (job->titles_path &&
         titles_load(job->titles_path, &job->titles, &error) != 0)) {
        complain("recommend", "%s", error.message);
        return -1;
    }
    if (job->wants_uncertainty && draws_of(job->model, &job->draws, &error) != 0) {
        complain("recommend", "%s: %s", job->model_path, error.message);
        return -1;
    }
    job->model_user = model_find_user(job->model, slice_of(job->user));
    if (job->model_user < 0) {
        complain("recommend",
                 "user \"%s\" is not among the %d users of %s (abtest fold-in adds new "
                 "users to a model)",
                 job->user, job->model->n_users, job->model_path);
        return -1;
    }
    job->rating_user =
        job->ratings ? id_map_find(job->ratings->users, slice_of(job->user)) : ID_NONE;
    return 0;
}

static int run(struct job *job)
{
    struct picks liked = {0}, predicted = {0};
    struct buffer out = {0};
    int status = EXIT_FAILED;
    if (load(job) != 0) {
        goto out;
    }
    if (collect_liked(job, &liked) != 0 || collect_predicted(job, &predicted) != 0) {
        complain("recommend", "no memory for the lists");
        goto out;
    }
    (job->as_json ? append_json : append_text)(job, &out, &liked, &predicted);
    if (out.failed) {
        complain("recommend", "no memory for the answer");
        goto out;
    }
    fwrite(out.data, 1, out.len, stdout);
    status = EXIT_DONE;
out:
    buffer_free(&out);
    free(liked.list);
    free(predicted.list);
    titles_free(job->titles);
    ratings_free(job->ratings);
    model_free(job->model);
    return status;
}

int cmd_recommend(int argc, char **argv)
{
    struct job job = {.k = 20, .item_bias = 1};
    const struct option_spec options[] = {
        {"user", OPTION_TEXT, &job.user, "ID", "whom to recommend to", 0, 0},
        {"k", OPTION_INT, &job.k, "N", "length of the lists", 1, 1e6},
        {"item-bias", OPTION_NUMBER, &job.item_bias, "W",
         "weight of the learned item bias: 1 as trained, 0 without", -1e6, 1e6},
        {"ratings", OPTION_TEXT, &job.ratings_path, "FILE",
         "what users have rated: shown, and left out of the prediction", 0, 0},
        {"titles", OPTION_TEXT, &job.titles_path, "FILE", "movies.csv: names for ids",
         0, 0},
        {"uncertainty", OPTION_FLAG, &job.wants_uncertainty, NULL,
         "how sure each score is; for models of Gibbs draws", 0, 0},
        {"json", OPTION_FLAG, &job.as_json, NULL, "answer in JSON", 0, 0},
    };
    const struct command_usage usage = {
        .command = "recommend",
        .arguments = "MODEL --user ID [options]",
        .summary = "Shows what a user liked best beside what the model predicts the "
                   "user will like.\nWithout --ratings nothing is known about the "
                   "first, and items that the user has seen\nmay be predicted.",
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
    if (!job.user) {
        complain("recommend", "needs --user ID");
        return EXIT_USAGE;
    }
    return finish_output("recommend", run(&job));
}

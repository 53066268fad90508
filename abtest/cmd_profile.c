#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "abtest/plot.h"
#include "common/json_text.h"
#include "trainer/trainer.h"

struct job {
    const char *path;
    struct plot_choice plot;
    bool as_json;
};

static void print_activity(const char *who, const struct profile_activity *a)
{
    printf("\n%s\n  ratings each       mean %.1f, median %g, most %d, least %d\n", who,
           a->mean, a->median, a->ranked[0], a->ranked[a->n - 1]);
    printf("  concentration      %" PRId64 " (%.1f %%) make 80 %% of the ratings; Gini "
           "%.3f\n",
           a->n_for_80_percent, 100 * (double)a->n_for_80_percent / (double)a->n,
           a->gini);
    if (a->has_power_law) {
        const struct power_law *p = &a->power_law;
        printf("  power law          exponent %.3f +- %.3f from %" PRId64
               " ratings on (%" PRId64 " of %" PRId64 "; KS distance %.3f)\n",
               p->alpha, p->se, p->x_min, p->n_tail, a->n, p->ks);
    } else {
        puts("  power law          the tail is too short to fit one");
    }
}

static void print_text(const struct job *job, const struct profile *p)
{
    int64_t most = 1;
    printf("%s: %" PRId64 " ratings, %" PRId64 " users, %" PRId64
           " items, %.3f %% of all pairs\n\n",
           job->path, p->n_ratings, p->users.n, p->items.n, 100 * p->density);
    printf("rating   mean %.3f, standard deviation %.3f, from %g to %g\n", p->mean,
           p->sd, p->lowest, p->highest);
    for (int i = 0; i < p->n_levels; i++) {
        most = p->level[i].n > most ? p->level[i].n : most;
    }
    for (int i = 0; i < p->n_levels; i++) {
        const int width = (int)(50 * p->level[i].n / most);
        printf("%6.4g %9" PRId64 " %5.1f %% %.*s\n", p->level[i].rating, p->level[i].n,
               100 * (double)p->level[i].n / (double)p->n_ratings, width,
               "##################################################");
    }
    print_activity("users", &p->users);
    print_activity("items", &p->items);
}

static void append_activity(struct buffer *out, const char *who,
                            const struct profile_activity *a)
{
    buffer_printf(out,
                  ",\"%s\":{\"n\":%" PRId64 ",\"most\":%d,\"least\":%d,"
                  "\"n_for_80_percent\":%" PRId64 ",\"mean\":",
                  who, a->n, a->ranked[0], a->ranked[a->n - 1], a->n_for_80_percent);
    json_append_double(out, a->mean);
    buffer_append_text(out, ",\"median\":");
    json_append_double(out, a->median);
    buffer_append_text(out, ",\"gini\":");
    json_append_double(out, a->gini);
    buffer_append_text(out, ",\"power_law\":");
    if (a->has_power_law) {
        buffer_append_text(out, "{\"alpha\":");
        json_append_double(out, a->power_law.alpha);
        buffer_append_text(out, ",\"se\":");
        json_append_double(out, a->power_law.se);
        buffer_append_text(out, ",\"ks\":");
        json_append_double(out, a->power_law.ks);
        buffer_printf(out, ",\"x_min\":%" PRId64 ",\"n_tail\":%" PRId64 "}",
                      a->power_law.x_min, a->power_law.n_tail);
    } else {
        buffer_append_text(out, "null");
    }
    buffer_append_char(out, '}');
}

static int print_json(const struct job *job, const struct profile *p)
{
    struct buffer out = {0};
    buffer_append_text(&out, "{\"file\":");
    json_append_string(&out, slice_of(job->path));
    buffer_printf(&out, ",\"ratings\":%" PRId64 ",\"density\":", p->n_ratings);
    json_append_double(&out, p->density);
    buffer_append_text(&out, ",\"mean\":");
    json_append_double(&out, p->mean);
    buffer_append_text(&out, ",\"sd\":");
    json_append_double(&out, p->sd);
    buffer_append_text(&out, ",\"distribution\":[");
    for (int i = 0; i < p->n_levels; i++) {
        buffer_append_text(&out, i ? ",{\"rating\":" : "{\"rating\":");
        json_append_double(&out, p->level[i].rating);
        buffer_printf(&out, ",\"n\":%" PRId64 "}", p->level[i].n);
    }
    buffer_append_char(&out, ']');
    append_activity(&out, "users", &p->users);
    append_activity(&out, "items", &p->items);
    buffer_append_text(&out, "}\n");
    const int rc = out.failed ? -1 : 0;
    fwrite(out.data, 1, out.failed ? 0 : out.len, stdout);
    buffer_free(&out);
    return rc;
}

/* ---- the picture ---- */

enum { N_FIT = 2 };

/* Columns behind the panels; freed together. */
struct columns {
    double *level_x, *level_y;
    double *rank[2], *count[2]; /* users, items */
    double fit_x[2][N_FIT], fit_y[2][N_FIT];
    char fit_name[2][64];
};

/* Every point of the first thousand ranks, then fewer and fewer: equal distances on a
 * log axis. Returns how many of n ranks are drawn. */
static int64_t thin_ranks(const struct profile_activity *a, double *rank, double *count)
{
    int64_t n = 0;
    for (int64_t j = 0; j < a->n; j += 1 + j / 500) {
        rank[n] = (double)(j + 1);
        count[n++] = a->ranked[j];
    }
    return n;
}

static void fit_line(const struct profile_activity *a, int which, struct columns *c)
{
    /* P(X >= x) = r / n, so the r-th largest of n_tail falls as r^(-1 / (alpha - 1)).
     */
    const struct power_law *p = &a->power_law;
    const double slope = -1 / (p->alpha - 1);
    c->fit_x[which][0] = 1;
    c->fit_x[which][1] = (double)p->n_tail;
    c->fit_y[which][1] = (double)p->x_min;
    c->fit_y[which][0] = (double)p->x_min * pow(1 / (double)p->n_tail, slope);
    snprintf(c->fit_name[which], sizeof c->fit_name[which], "exponent %.2f, x >= %lld",
             p->alpha, (long long)p->x_min);
}

static void describe_activity(const struct profile_activity *a, int which,
                              struct columns *c, struct plot_panel *panel)
{
    *panel =
        (struct plot_panel){.title = which ? "Item popularity" : "User activity",
                            .x_label = which ? "rank of the item" : "rank of the user",
                            .y_label = "ratings",
                            .log_x = true,
                            .log_y = true,
                            .n_series = 1};
    panel->series[0] =
        (struct plot_series){.name = which ? "items" : "users",
                             .style = PLOT_POINTS,
                             .color = 0,
                             .n = thin_ranks(a, c->rank[which], c->count[which]),
                             .x = c->rank[which],
                             .y = c->count[which]};
    if (a->has_power_law) {
        fit_line(a, which, c);
        panel->series[panel->n_series++] =
            (struct plot_series){.name = c->fit_name[which],
                                 .style = PLOT_DASHED,
                                 .color = 1,
                                 .n = N_FIT,
                                 .x = c->fit_x[which],
                                 .y = c->fit_y[which]};
    }
}

static int draw(const struct job *job, const struct profile *p)
{
    struct columns c = {0};
    struct plot_panel panels[3] = {{0}};
    const struct plot_page page = {.n_panels = 3, .n_columns = 3, .panels = panels};
    int status = EXIT_FAILED;
    c.level_x = malloc(PROFILE_MAX_LEVELS * sizeof *c.level_x);
    c.level_y = malloc(PROFILE_MAX_LEVELS * sizeof *c.level_y);
    for (int i = 0; i < 2; i++) {
        const size_t n = (size_t)(i ? p->items.n : p->users.n);
        c.rank[i] = malloc(n * sizeof *c.rank[i]);
        c.count[i] = malloc(n * sizeof *c.count[i]);
    }
    if (!c.level_x || !c.level_y || !c.rank[0] || !c.rank[1] || !c.count[0] ||
        !c.count[1]) {
        complain("profile", "no memory for the picture");
        goto out;
    }
    for (int i = 0; i < p->n_levels; i++) {
        c.level_x[i] = p->level[i].rating;
        c.level_y[i] = (double)p->level[i].n;
    }
    panels[0] = (struct plot_panel){.title = "Ratings",
                                    .x_label = "rating",
                                    .y_label = "ratings given",
                                    .n_series = 1};
    if (p->n_levels > 1) { /* half a bar beyond the first and the last */
        const double step =
            (c.level_x[p->n_levels - 1] - c.level_x[0]) / (p->n_levels - 1);
        panels[0].x_low = c.level_x[0] - 0.75 * step;
        panels[0].x_high = c.level_x[p->n_levels - 1] + 0.75 * step;
    }
    panels[0].series[0] = (struct plot_series){
        .style = PLOT_BARS, .n = p->n_levels, .x = c.level_x, .y = c.level_y};
    describe_activity(&p->users, 0, &c, &panels[1]);
    describe_activity(&p->items, 1, &c, &panels[2]);
    status = plot_show(&page, &job->plot, "profile");
out:
    for (int i = 0; i < 2; i++) {
        free(c.rank[i]);
        free(c.count[i]);
    }
    free(c.level_x);
    free(c.level_y);
    return status;
}

static int run(const struct job *job)
{
    struct ratings *ratings = NULL;
    struct profile profile = {0};
    struct error error = {0};
    int status = EXIT_FAILED;
    if (ratings_load(job->path, &ratings, &error) != 0 ||
        profile_make(ratings, &profile, &error) != 0) {
        complain("profile", "%s", error.message);
        goto out;
    }
    if (job->as_json && print_json(job, &profile) != 0) {
        complain("profile", "no memory for the answer");
        goto out;
    }
    if (!job->as_json) {
        print_text(job, &profile);
    }
    status = job->plot.path ? draw(job, &profile) : EXIT_DONE;
out:
    profile_release(&profile);
    ratings_free(ratings);
    return status;
}

int cmd_profile(int argc, char **argv)
{
    struct job job = {0};
    const struct option_spec options[] = {
        PLOT_OPTIONS(&job.plot),
        {"json", OPTION_FLAG, &job.as_json, NULL, "answer in JSON", 0, 0},
    };
    const struct command_usage usage = {
        .command = "profile",
        .arguments = "RATINGS [options]",
        .summary =
            "Tells what a file of ratings holds: counts, the distribution of the "
            "ratings, how\nunequally users and items share them, with the "
            "exponent of the tail (maximum\nlikelihood; Clauset, Shalizi & "
            "Newman 2009).",
        .options = options,
        .n_options = sizeof options / sizeof options[0],
        .min_arguments = 1,
        .max_arguments = 1,
    };
    int n_arguments = 0;
    const int parsed = options_parse(&usage, argc, argv, &job.path, &n_arguments);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    job.plot.stdout_is_data = job.as_json;
    const int checked = plot_check(&job.plot, "profile");
    return checked == OPTIONS_RUN ? finish_output("profile", run(&job)) : checked;
}

#include "abtest/analyze_plot.h"

#include <math.h>
#include <stdio.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "abtest/plot.h"

/* Relative changes beyond these would hide all others; intervals are cut there. */
#define FOREST_LEAST (-100.0) /* percent */
#define FOREST_MOST  300.0

/* Colours of plot.h's palette. */
enum { BLUE = 0, VERMILLION = 1, GREEN = 2, PINK = 3, GREY = -2 };

/* ---- the forest: one row a metric and treatment, the first on top ---- */

enum judgement { NO_DIFFERENCE, BETTER, WORSE, DIFFERENT, N_JUDGEMENTS };

static enum judgement judge(const struct analysis_experiment *spec,
                            const struct metric_result *metric,
                            const struct contrast *contrast)
{
    const double p = analysis_decisive_p(spec, contrast);
    const double effect = contrast->fixed.effect_size * metric->spec->direction;
    if (!(p < spec->alpha)) {
        return NO_DIFFERENCE;
    }
    return effect > 0 ? BETTER : effect < 0 ? WORSE : DIFFERENT;
}

static double percent_within(double share)
{
    return isfinite(share) ? fmin(fmax(100 * share, FOREST_LEAST), FOREST_MOST) : share;
}

/* Points while they are gathered. */
struct points {
    int64_t n;
    double *x, *y, *low, *high;
};

static int points_room(struct arena *arena, int64_t n, struct points *points)
{
    double *room = arena_zeroed(arena, (size_t)n * 4, sizeof *room);
    *points = (struct points){0};
    if (!room) {
        return -1;
    }
    *points = (struct points){
        .x = room, .y = room + n, .low = room + 2 * n, .high = room + 3 * n};
    return 0;
}

/* Where an end of the interval is missing, the point has none on that side. */
static void add_point(struct points *points, double x, double y, double low,
                      double high)
{
    points->x[points->n] = x;
    points->y[points->n] = y;
    points->low[points->n] = low;
    points->high[points->n] = high;
    points->n++;
}

static void show(struct plot_series *series, const struct points *points)
{
    series->n = points->n;
    series->x = points->x;
    series->y = points->y;
    series->low = points->low;
    series->high = points->high;
}

/* "clicks" or "clicks: arm", and what there is to say where no point can stand. */
static int name_row(struct arena *arena, const struct experiment_result *r,
                    const struct metric_result *metric, const struct contrast *contrast,
                    struct slice *label)
{
    const bool has_many = r->spec->n_arms > 2;
    const char *text =
        arena_printf(arena, "%s%s%s%s", metric->spec->name, has_many ? ": " : "",
                     has_many ? r->spec->arms[contrast->arm].name : "",
                     contrast->fixed.is_testable ? "" : " (not testable)");
    *label = text ? slice_of(text) : (struct slice){NULL, 0};
    return text ? 0 : -1;
}

static int forest_rows(struct arena *arena, const struct experiment_result *r,
                       int n_rows, struct slice *labels,
                       struct points points[N_JUDGEMENTS])
{
    int row = 0;
    for (int m = 0; m < r->spec->n_metrics; m++) {
        for (int a = 0; a + 1 < r->spec->n_arms; a++, row++) {
            const struct contrast *contrast = &r->metrics[m].contrasts[a];
            const struct finding *fixed = &contrast->fixed;
            const double x = percent_within(fixed->rel_effect_size);
            const double low = percent_within(fixed->rel_ci_lower);
            const double high = percent_within(fixed->rel_ci_upper);
            if (name_row(arena, r, &r->metrics[m], contrast, &labels[row]) != 0) {
                return -1;
            }
            if (isfinite(x)) {
                add_point(&points[judge(r->spec, &r->metrics[m], contrast)], x,
                          n_rows - row, isfinite(low) ? low : x,
                          isfinite(high) ? high : x);
            }
        }
    }
    return 0;
}

static void stretch(double value, double *low, double *high)
{
    if (isfinite(value)) {
        *low = fmin(*low, value);
        *high = fmax(*high, value);
    }
}

/* Holds zero and all intervals, with a margin. */
static void set_forest_range(const struct points points[N_JUDGEMENTS],
                             struct plot_panel *panel)
{
    double low = 0, high = 0;
    for (int j = 0; j < N_JUDGEMENTS; j++) {
        for (int64_t i = 0; i < points[j].n; i++) {
            stretch(points[j].low[i], &low, &high);
            stretch(points[j].high[i], &low, &high);
        }
    }
    const double margin = high > low ? 0.06 * (high - low) : 1;
    panel->x_low = low - margin;
    panel->x_high = high + margin;
}

static int forest(struct arena *arena, const struct experiment_result *r,
                  struct plot_panel *panel)
{
    static const char *const names[N_JUDGEMENTS] = {"no difference shown", "better",
                                                    "worse", "different"};
    static const int colors[N_JUDGEMENTS] = {BLUE, GREEN, VERMILLION, PINK};
    const int n_rows = r->spec->n_metrics * (r->spec->n_arms - 1);
    struct slice *labels = arena_zeroed(arena, (size_t)n_rows, sizeof *labels);
    struct points points[N_JUDGEMENTS];
    *panel = (struct plot_panel){
        .title = arena_printf(
            arena, "%s: all metrics against %s%s", r->spec->name, r->spec->arms[0].name,
            r->verdict == VERDICT_DO_NOT_TRUST ? " (do not trust)" : ""),
        .x_label = arena_printf(arena, "relative change, %%, with its %g %% interval",
                                100 * (1 - r->spec->alpha)),
        .mark_zero_x = true,
        .rows = labels,
        .n_rows = n_rows,
        .key = PLOT_KEY_ABOVE,
        .y_low = 0.25,
        .y_high = n_rows + 0.75,
        .n_series = N_JUDGEMENTS,
    };
    for (int j = 0; j < N_JUDGEMENTS; j++) {
        if (points_room(arena, n_rows, &points[j]) != 0) {
            return -1;
        }
    }
    if (!labels || !panel->title || !panel->x_label ||
        forest_rows(arena, r, n_rows, labels, points) != 0) {
        return -1;
    }
    set_forest_range(points, panel);
    for (int j = 0; j < N_JUDGEMENTS; j++) {
        panel->series[j] = (struct plot_series){
            .style = PLOT_ERROR_X, .color = colors[j], .name = names[j]};
        show(&panel->series[j], &points[j]);
    }
    return 0;
}

/* ---- effect over time ---- */

struct time_unit {
    const char *name;
    double us;
};

static struct time_unit unit_for(double span_us)
{
    static const struct time_unit units[] = {
        {"days", 86400e6}, {"hours", 3600e6}, {"minutes", 60e6}, {"seconds", 1e6}};
    int u = 0;
    while (u < 3 && span_us < 2 * units[u].us) {
        u++;
    }
    return units[u];
}

/* Early intervals are wide enough to hide all that follows: the range holds the points
 * with at least a tenth of the units, as in the HTML report. */
static void set_range(const struct series_point *points, int n, double scale,
                      struct plot_panel *panel)
{
    double low = 0, high = 0;
    for (int i = 0; i < n; i++) {
        if (points[i].n_units * 10 >= points[n - 1].n_units) {
            stretch(points[i].ci_lower, &low, &high);
            stretch(points[i].ci_upper, &low, &high);
        }
    }
    stretch(points[n - 1].always_lower, &low, &high);
    stretch(points[n - 1].always_upper, &low, &high);
    if (low < high) {
        panel->y_low = scale * (low - 0.06 * (high - low));
        panel->y_high = scale * (high + 0.06 * (high - low));
    }
}

static int fill_effect(struct arena *arena, const struct experiment_result *r,
                       const struct contrast *contrast, double scale,
                       struct plot_panel *panel)
{
    const struct series_point *points = contrast->series;
    const double start = (double)r->first_ts_us;
    const struct time_unit unit =
        unit_for((double)points[r->n_series - 1].ts_us - start);
    struct points always, fixed;
    panel->x_label = arena_printf(arena, "%s since the first exposure", unit.name);
    if (!panel->x_label || points_room(arena, r->n_series, &always) != 0 ||
        points_room(arena, r->n_series, &fixed) != 0) {
        return -1;
    }
    for (int i = 0; i < r->n_series; i++) {
        const struct series_point *p = &points[i];
        const double x = ((double)p->ts_us - start) / unit.us;
        const double y = scale * p->effect_size;
        if (isfinite(p->always_lower) && isfinite(p->always_upper)) {
            add_point(&always, x, y, scale * p->always_lower, scale * p->always_upper);
        }
        if (isfinite(p->ci_lower) && isfinite(p->ci_upper)) {
            add_point(&fixed, x, y, scale * p->ci_lower, scale * p->ci_upper);
        }
    }
    show(&panel->series[0], &always);
    show(&panel->series[1], &fixed);
    show(&panel->series[2], &fixed);
    set_range(points, r->n_series, scale, panel);
    return 0;
}

static int effect_over_time(struct arena *arena, const struct experiment_result *r,
                            const struct contrast *contrast, struct plot_panel *panel)
{
    const struct analysis_metric *metric = r->metrics[r->spec->primary].spec;
    const bool is_share = metric->kind == ANALYSIS_PROPORTION;
    *panel = (struct plot_panel){
        .title = arena_printf(arena, "%s: %s over time, %s against %s", r->spec->name,
                              metric->name, r->spec->arms[contrast->arm].name,
                              r->spec->arms[0].name),
        .y_label = is_share ? "difference, percentage points" : "difference",
        .mark_zero_y = true,
        .key = PLOT_KEY_ABOVE,
        .n_series = 3,
        .series = {{.style = PLOT_BAND, .color = GREY, .name = "valid at every look"},
                   {.style = PLOT_BAND, .color = BLUE, .name = "valid for one look"},
                   {.style = PLOT_LINE, .color = BLUE, .name = "difference"}},
    };
    return panel->title ? fill_effect(arena, r, contrast, is_share ? 100 : 1, panel)
                        : -1;
}

/* ---- the page ---- */

static bool has_estimate(const struct experiment_result *r)
{
    for (int m = 0; m < r->spec->n_metrics; m++) {
        for (int a = 0; a + 1 < r->spec->n_arms; a++) {
            if (isfinite(r->metrics[m].contrasts[a].fixed.rel_effect_size)) {
                return true;
            }
        }
    }
    return false;
}

static bool has_series(const struct experiment_result *r, int contrast)
{
    if (r->spec->primary < 0) {
        return false;
    }
    const struct series_point *points =
        r->metrics[r->spec->primary].contrasts[contrast].series;
    for (int i = 0; points && i < r->n_series; i++) {
        if (isfinite(points[i].ci_lower) && isfinite(points[i].ci_upper)) {
            return true;
        }
    }
    return false;
}

static int describe(struct arena *arena, const struct analysis *analysis,
                    struct plot_panel *panels, int *n_panels)
{
    *n_panels = 0;
    for (int e = 0; e < analysis->n_experiments; e++) {
        const struct experiment_result *r = &analysis->experiments[e];
        if (has_estimate(r) && forest(arena, r, &panels[(*n_panels)++]) != 0) {
            return -1;
        }
        for (int a = 0; a + 1 < r->spec->n_arms; a++) {
            if (has_series(r, a) &&
                effect_over_time(arena, r, &r->metrics[r->spec->primary].contrasts[a],
                                 &panels[(*n_panels)++]) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

int analyze_plot(const struct analysis *analysis, const struct plot_choice *choice)
{
    struct arena arena = {0};
    size_t room = 1;
    int most_rows = 0, status = EXIT_FAILED;
    for (int e = 0; e < analysis->n_experiments; e++) {
        const struct analysis_experiment *spec = analysis->experiments[e].spec;
        const int n_rows = spec->n_metrics * (spec->n_arms - 1);
        room += (size_t)(spec->n_arms > 0 ? spec->n_arms : 1);
        most_rows = n_rows > most_rows ? n_rows : most_rows;
    }
    struct plot_panel *panels = arena_zeroed(&arena, room, sizeof *panels);
    struct plot_page page = {.panels = panels,
                             .n_columns = 2,
                             .panel_height = most_rows > 12 ? 180 + 20 * most_rows : 0};
    if (!panels || describe(&arena, analysis, panels, &page.n_panels) != 0) {
        complain("analyze", "no memory for the picture");
    } else if (page.n_panels == 0) {
        complain("analyze", "there is nothing to draw: no experiment has two arms with "
                            "units and a metric");
    } else {
        page.n_columns = page.n_panels > 1 ? 2 : 1;
        status = plot_show(&page, choice, "analyze");
    }
    arena_free(&arena);
    return status;
}

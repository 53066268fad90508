#include "abtest/power_plot.h"

#include <math.h>
#include <stdio.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "abtest/plot.h"

enum { N_POINTS = 81, N_CURVES = 5 };

/* Curves stand for these multiples of the planned effect. */
static const double multiples[N_CURVES] = {2, 1.5, 1, 0.75, 0.5};

struct curves {
    char names[N_CURVES][64];
    char y_label[64], detectable_label[64], target_name[64], answer_text[96];
    double x[N_POINTS];
    double power[N_CURVES][N_POINTS];
    double detectable[N_POINTS];
    double ends[2], targets[2];   /* the line at the power sought */
    double answer_x, answer_y[2]; /* power, effect */
    struct slice answer;
};

static double scale_of(const struct power_problem *p)
{
    return p->plan.metric == POWER_PROPORTION ? 100 : 1;
}

/* From a sixteenth of the units to eight times as many, evenly on the logarithm: half
 * the effect needs four times the units, twice the effect a quarter. */
static void fill(const struct power_problem *p, struct curves *c)
{
    struct power_plan plan = p->plan;
    plan.alpha /= p->comparisons;
    const double from = fmax(2, p->n_control / 16), to = fmax(64, p->n_control * 8);
    for (int j = 0; j < N_POINTS; j++) {
        struct error ignored; /* what cannot be computed leaves a gap */
        const double n = from * pow(to / from, (double)j / (N_POINTS - 1));
        c->x[j] = n;
        for (int i = 0; i < N_CURVES; i++) {
            if (power_of(&plan, multiples[i] * p->effect, n, &c->power[i][j],
                         &ignored) != 0) {
                c->power[i][j] = (double)NAN;
            }
        }
        if (power_detectable(&plan, n, p->power, &c->detectable[j], &ignored) != 0) {
            c->detectable[j] = (double)NAN;
        }
        c->detectable[j] *= scale_of(p);
    }
    c->ends[0] = from;
    c->ends[1] = to;
    c->targets[0] = c->targets[1] = p->power;
    c->answer_x = p->n_control;
    c->answer_y[0] = p->power;
    c->answer_y[1] = scale_of(p) * p->effect;
}

static void name(const struct power_problem *p, struct curves *c)
{
    const char *unit = p->plan.metric == POWER_PROPORTION ? " points" : "";
    for (int i = 0; i < N_CURVES; i++) {
        snprintf(c->names[i], sizeof c->names[i], "effect %+.4g%s",
                 scale_of(p) * multiples[i] * p->effect, unit);
    }
    snprintf(c->y_label, sizeof c->y_label, "power at alpha %.4g",
             p->plan.alpha / p->comparisons);
    snprintf(c->detectable_label, sizeof c->detectable_label, "effect%s%s",
             unit[0] ? ", percentage" : "", unit);
    snprintf(c->target_name, sizeof c->target_name, "power %.4g", p->power);
    snprintf(c->answer_text, sizeof c->answer_text, "%.10g units", p->n_control);
    c->answer = slice_of(c->answer_text);
}

static struct plot_series line(const char *text, enum plot_style style, int color,
                               int64_t n, const double *x, const double *y)
{
    return (struct plot_series){
        .name = text, .style = style, .color = color, .n = n, .x = x, .y = y};
}

/* The point that the plan names, with its units beside it. */
static void mark_answer(const struct curves *c, int which, struct plot_panel *panel)
{
    struct plot_series dot =
        line("", PLOT_ERROR_X, 7, 1, &c->answer_x, &c->answer_y[which]);
    dot.low = dot.high = &c->answer_x; /* no interval: a large dot */
    panel->series[panel->n_series++] = dot;
    struct plot_series label =
        line("", PLOT_LABELS, 7, 1, &c->answer_x, &c->answer_y[which]);
    label.labels = &c->answer;
    panel->series[panel->n_series++] = label;
}

static void describe(const struct curves *c, struct plot_panel panels[2])
{
    const char *units = "units in the control arm";
    panels[0] = (struct plot_panel){.title = "Power against sample size",
                                    .x_label = units,
                                    .y_label = c->y_label,
                                    .log_x = true,
                                    .x_low = c->ends[0],
                                    .x_high = c->ends[1],
                                    .y_low = 0,
                                    .y_high = 1.02,
                                    .key = "bottom right"};
    panels[0].series[panels[0].n_series++] =
        line("", PLOT_DASHED, -2, 2, c->ends, c->targets);
    for (int i = 0; i < N_CURVES; i++) {
        panels[0].series[panels[0].n_series++] =
            line(c->names[i], PLOT_LINE, i, N_POINTS, c->x, c->power[i]);
    }
    mark_answer(c, 0, &panels[0]);
    panels[1] = (struct plot_panel){.title = "Smallest effect that is detected",
                                    .x_label = units,
                                    .y_label = c->detectable_label,
                                    .log_x = true,
                                    .x_low = c->ends[0],
                                    .x_high = c->ends[1]};
    panels[1].series[panels[1].n_series++] =
        line(c->target_name, PLOT_LINE, 0, N_POINTS, c->x, c->detectable);
}

int power_plot(const struct power_problem *problem, const struct plot_choice *choice)
{
    struct curves curves;
    struct plot_panel panels[2];
    const struct plot_page page = {.n_panels = 2, .n_columns = 2, .panels = panels};
    fill(problem, &curves);
    name(problem, &curves);
    describe(&curves, panels);
    if (problem->effect > 0) { /* the curve of what is detectable goes upward */
        mark_answer(&curves, 1, &panels[1]);
    }
    return plot_show(&page, choice, "power");
}

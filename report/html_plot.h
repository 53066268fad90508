/* html_plot.h - pictures for the HTML report: inline SVG that stretches with the page,
 * labels as HTML text so that they stay readable at any width.
 *
 * Colours and line widths come from the page's style sheet, so pictures follow light,
 * dark and print. Every picture carries its meaning as text for those who cannot see
 * it.
 */
#ifndef REPORT_HTML_PLOT_H
#define REPORT_HTML_PLOT_H

#include "common/buffer.h"
#include "stats/stats.h"

struct plot_scale {
    double lower, upper; /* lower < upper */
};

/* A scale that holds [lower, upper] with a margin; NAN bounds are left aside. */
struct plot_scale plot_scale_of(double lower, double upper);

/* Widens *lower and *upper so that they hold `value`, unless it is not finite. */
void plot_stretch(double value, double *lower, double *upper);

/* Tick values: at most 8 written to `ticks`, round numbers inside the scale. Returns
 * how many. */
int plot_ticks(struct plot_scale scale, double ticks[8]);

/* One row of a forest plot: interval, estimate, and a line at zero. `label` says it in
 * words. */
void plot_interval(struct buffer *out, struct plot_scale scale, double value,
                   double lower, double upper, const char *label);

/* The axis under or over such rows; values are shares, printed in percent. */
void plot_axis(struct buffer *out, struct plot_scale scale);

/* Effect over time of one contrast; `kind` says how values are printed. */
void plot_series(struct buffer *out, const struct experiment_result *result,
                 enum analysis_kind kind, const struct contrast *contrast,
                 const char *label);

/* Units that came in each step, by arm, as stacked bars. */
void plot_enrolment(struct buffer *out, const struct experiment_result *result);

#endif

#include "report/html_plot.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "report/html_text.h"
#include "report/report_formats.h"

#define WIDTH  1000.0 /* of a picture's own coordinates; the page stretches them */
#define HEIGHT 300.0

void plot_stretch(double value, double *lower, double *upper)
{
    if (isfinite(value)) {
        *lower = fmin(*lower, value);
        *upper = fmax(*upper, value);
    }
}

struct plot_scale plot_scale_of(double lower, double upper)
{
    double low = INFINITY, high = -INFINITY;
    plot_stretch(lower, &low, &high);
    plot_stretch(upper, &low, &high);
    if (!(low <= high)) {
        return (struct plot_scale){-1, 1};
    }
    const double margin = high > low ? 0.06 * (high - low) : fmax(0.1, fabs(low));
    return (struct plot_scale){low - margin, high + margin};
}

int plot_ticks(struct plot_scale scale, double ticks[8])
{
    const double span = scale.upper - scale.lower;
    double step = pow(10, floor(log10(span / 2)));
    if (span / step > 6) {
        step *= span / step > 12 ? 5 : 2;
    }
    const double first = ceil(scale.lower / step);
    int n = 0;
    while (n < 8 && (first + n) * step <= scale.upper) {
        ticks[n] = (first + n) * step + 0.0;
        n++;
    }
    return n;
}

static double x_of(struct plot_scale scale, double value)
{
    const double x = WIDTH * (value - scale.lower) / (scale.upper - scale.lower);
    return fmin(fmax(x, 0), WIDTH);
}

static double y_of(struct plot_scale scale, double value)
{
    const double y = HEIGHT * (scale.upper - value) / (scale.upper - scale.lower);
    return fmin(fmax(y, -HEIGHT), 2 * HEIGHT);
}

void plot_interval(struct buffer *out, struct plot_scale scale, double value,
                   double lower, double upper, const char *label)
{
    buffer_append_text(out, "<svg class=\"row\" viewBox=\"0 0 1000 24\" "
                            "preserveAspectRatio=\"none\" role=\"img\" aria-label=\"");
    html_text(out, slice_of(label));
    buffer_printf(out, "\"><path class=\"zero\" d=\"M%.2f 0v24\"/>", x_of(scale, 0));
    if (isfinite(lower) && isfinite(upper)) {
        buffer_printf(out, "<path class=\"ci\" d=\"M%.2f 12H%.2f\"/>",
                      x_of(scale, lower), x_of(scale, upper));
    }
    if (isfinite(value)) {
        buffer_printf(out, "<path class=\"dot\" d=\"M%.2f 12h.01\"/>",
                      x_of(scale, value));
    }
    buffer_append_text(out, "</svg>");
}

/* Decimals that tell neighbouring ticks apart. */
static int decimals_of(double step)
{
    const int decimals = (int)ceil(-log10(step) - 1e-9);
    return decimals < 0 ? 0 : decimals > 12 ? 12 : decimals;
}

void plot_axis(struct buffer *out, struct plot_scale scale)
{
    double ticks[8];
    const int n = plot_ticks(scale, ticks);
    const int decimals = n > 1 ? decimals_of(100 * (ticks[1] - ticks[0])) : 0;
    buffer_append_text(out, "<div class=\"axis\" aria-hidden=\"true\">");
    /* Labels that would run into each other on a narrow page are left out. */
    const int every = n > 4 ? 2 : 1;
    const int zero =
        n > 0 ? (int)lround(-ticks[0] / fmax(n > 1 ? ticks[1] - ticks[0] : 1, DBL_MIN))
              : 0;
    for (int i = 0; i < n; i++) {
        if ((i - zero) % every == 0) {
            buffer_printf(out, "<span style=\"left:%.2f%%\">%s%.*f&nbsp;%%</span>",
                          x_of(scale, ticks[i]) / 10, ticks[i] > 0 ? "+" : "", decimals,
                          100 * ticks[i]);
        }
    }
    buffer_append_text(out, "</div>");
}

static double step_x(const struct experiment_result *result, int step)
{
    return result->n_series > 1 ? WIDTH * step / (result->n_series - 1) : WIDTH / 2;
}

/* The area between two bounds, over the points that have both. */
static void write_band(struct buffer *out, const struct experiment_result *result,
                       const struct series_point *points, struct plot_scale scale)
{
    char separator = 'M';
    buffer_append_text(out, "<path class=\"band\" d=\"");
    for (int i = 0; i < result->n_series; i++) {
        if (isfinite(points[i].ci_lower) && isfinite(points[i].ci_upper)) {
            buffer_printf(out, "%c%.1f %.1f", separator, step_x(result, i),
                          y_of(scale, points[i].ci_upper));
            separator = 'L';
        }
    }
    for (int i = result->n_series - 1; i >= 0; i--) {
        if (isfinite(points[i].ci_lower) && isfinite(points[i].ci_upper)) {
            buffer_printf(out, "L%.1f %.1f", step_x(result, i),
                          y_of(scale, points[i].ci_lower));
        }
    }
    buffer_append_text(out, separator == 'L' ? "Z\"/>" : "\"/>");
}

static double point_value(const struct series_point *point, int which)
{
    return which == 0   ? point->effect_size
           : which == 1 ? point->always_lower
                        : point->always_upper;
}

/* A log of one step has no line to draw: its interval and its difference. */
static void write_single(struct buffer *out, const struct series_point *point,
                         struct plot_scale scale)
{
    if (isfinite(point->ci_lower) && isfinite(point->ci_upper)) {
        buffer_printf(out, "<path class=\"ci\" d=\"M500 %.1fV%.1f\"/>",
                      y_of(scale, point->ci_upper), y_of(scale, point->ci_lower));
    }
    if (isfinite(point->always_lower) && isfinite(point->always_upper)) {
        buffer_printf(out, "<path class=\"always\" d=\"M505 %.1fV%.1f\"/>",
                      y_of(scale, point->always_upper),
                      y_of(scale, point->always_lower));
    }
    if (isfinite(point->effect_size)) {
        buffer_printf(out, "<path class=\"dot\" d=\"M500 %.1fh.01\"/>",
                      y_of(scale, point->effect_size));
    }
}

static void write_line(struct buffer *out, const struct experiment_result *result,
                       const struct series_point *points, struct plot_scale scale,
                       int which)
{
    bool is_open = false;
    buffer_printf(out, "<path class=\"%s\" d=\"", which == 0 ? "line" : "always");
    for (int i = 0; i < result->n_series; i++) {
        const double value = point_value(&points[i], which);
        if (!isfinite(value)) {
            is_open = false;
            continue;
        }
        buffer_printf(out, "%c%.1f %.1f", is_open ? 'L' : 'M', step_x(result, i),
                      y_of(scale, value));
        is_open = true;
    }
    buffer_append_text(out, "\"/>");
}

/* Early intervals are wide enough to hide all that follows; the scale is that of the
 * points with at least a tenth of the units. */
static struct plot_scale series_scale(const struct experiment_result *result,
                                      const struct series_point *points)
{
    double lower = 0, upper = 0;
    const int64_t n_last = points[result->n_series - 1].n_units;
    for (int i = 0; i < result->n_series; i++) {
        if (points[i].n_units * 10 >= n_last) {
            plot_stretch(points[i].effect_size, &lower, &upper);
            plot_stretch(points[i].ci_lower, &lower, &upper);
            plot_stretch(points[i].ci_upper, &lower, &upper);
        }
    }
    plot_stretch(points[result->n_series - 1].always_lower, &lower, &upper);
    plot_stretch(points[result->n_series - 1].always_upper, &lower, &upper);
    return plot_scale_of(lower, upper);
}

static void write_y_labels(struct buffer *out, enum analysis_kind kind,
                           struct plot_scale scale)
{
    double ticks[8];
    const int n = plot_ticks(scale, ticks);
    const double unit = kind == ANALYSIS_PROPORTION ? 100 : 1;
    const int decimals = n > 1 ? decimals_of(unit * (ticks[1] - ticks[0])) : 0;
    buffer_append_text(out, "<div class=\"y\" aria-hidden=\"true\">");
    for (int i = 0; i < n; i++) {
        buffer_printf(out, "<span style=\"top:%.2f%%\">%s%.*f%s</span>",
                      100 * y_of(scale, ticks[i]) / HEIGHT, ticks[i] > 0 ? "+" : "",
                      decimals, unit * ticks[i],
                      kind == ANALYSIS_PROPORTION ? "&nbsp;pts" : "");
    }
    buffer_append_text(out, "</div>");
}

static void write_x_labels(struct buffer *out, const struct experiment_result *result)
{
    char from[REPORT_WORD_SIZE], to[REPORT_WORD_SIZE];
    const int64_t first = result->first_ts_us / result->series_step_us;
    report_time((first + 1) * result->series_step_us, from);
    report_time((first + result->n_series) * result->series_step_us, to);
    buffer_printf(out,
                  "<div class=\"x\" aria-hidden=\"true\"><span>%.16s</span>"
                  "<span>%.16s</span></div>",
                  from, to);
}

void plot_series(struct buffer *out, const struct experiment_result *result,
                 enum analysis_kind kind, const struct contrast *contrast,
                 const char *label)
{
    const struct series_point *points = contrast->series;
    const struct plot_scale scale = series_scale(result, points);
    buffer_append_text(out, "<div class=\"chart\">");
    write_y_labels(out, kind, scale);
    buffer_append_text(out,
                       "<svg viewBox=\"0 0 1000 300\" preserveAspectRatio=\"none\" "
                       "role=\"img\" aria-label=\"");
    html_text(out, slice_of(label));
    buffer_printf(out, "\"><path class=\"zero\" d=\"M0 %.1fH1000\"/>", y_of(scale, 0));
    if (result->n_series == 1) {
        write_single(out, points, scale);
    } else {
        write_band(out, result, points, scale);
        write_line(out, result, points, scale, 1);
        write_line(out, result, points, scale, 2);
        write_line(out, result, points, scale, 0);
    }
    buffer_append_text(out, "</svg>");
    write_x_labels(out, result);
    buffer_append_text(out, "</div>");
}

void plot_enrolment(struct buffer *out, const struct experiment_result *result)
{
    const int n_arms = result->spec->n_arms;
    int64_t most = 1;
    for (int i = 0; i < result->n_series; i++) {
        int64_t sum = 0;
        for (int a = 0; a < n_arms; a++) {
            sum += result->enrolled[i * n_arms + a];
        }
        most = sum > most ? sum : most;
    }
    buffer_printf(
        out,
        "<div class=\"chart low\"><div class=\"y\" aria-hidden=\"true\"><span "
        "style=\"top:0%%\">%" PRId64 "</span><span "
        "style=\"top:100%%\">0</span></div><svg viewBox=\"0 0 1000 300\" "
        "preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Units first "
        "exposed in each step, at most %" PRId64 "\">",
        most, most);
    const double width = WIDTH / result->n_series;
    for (int i = 0; i < result->n_series; i++) {
        double base = HEIGHT;
        for (int a = 0; a < n_arms; a++) {
            const double height =
                HEIGHT * (double)result->enrolled[i * n_arms + a] / (double)most;
            base -= height;
            buffer_printf(out,
                          "<rect class=\"arm%d\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" "
                          "height=\"%.2f\"/>",
                          a % 6, i * width + 0.1 * width, base, 0.8 * width, height);
        }
    }
    buffer_append_text(out, "</svg>");
    write_x_labels(out, result);
    buffer_append_text(out, "</div>");
}

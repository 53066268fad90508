#include "abtest/plot_script.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Okabe & Ito (2008): eight colours that the colour-blind tell apart, black last; their
 * yellow, which vanishes on white, is a brown here. */
static const char *const palette[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                      "#E69F00", "#56B4E9", "#7A4B00", "#000000"};
#define GREY "#8A8A8A"

/* A gnuplot string in single quotes, where only the quote itself is special. */
static void append_quoted(struct buffer *out, struct slice text)
{
    buffer_append_char(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];
        if (c == '\'') {
            buffer_append_text(out, "''");
        } else {
            buffer_append_char(out, (unsigned char)c < 0x20 || c == 0x7F ? ' ' : c);
        }
    }
    buffer_append_char(out, '\'');
}

/* A string inside a data block: double quotes, nothing can be escaped in it. */
static void append_data_text(struct buffer *out, struct slice text)
{
    buffer_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];
        buffer_append_char(out, (unsigned char)c < 0x20 || c == 0x7F ? ' '
                                : c == '"' || c == '\\'              ? '\''
                                                                     : c);
    }
    buffer_append_char(out, '"');
}

static void append_set_text(struct buffer *out, const char *what, const char *text)
{
    if (text) {
        buffer_printf(out, "set %s ", what);
        append_quoted(out, slice_of(text));
        buffer_append_char(out, '\n');
    } else {
        buffer_printf(out, "unset %s\n", what);
    }
}

/* A terminal is too narrow for panels side by side. */
static int columns_of(const struct plot_page *page, enum plot_format format)
{
    return format == PLOT_FORMAT_TERMINAL || page->n_columns < 1 ? 1 : page->n_columns;
}

static int rows_of(const struct plot_page *page, enum plot_format format)
{
    const int n_columns = columns_of(page, format);
    return (page->n_panels + n_columns - 1) / n_columns;
}

static void append_terminal(struct buffer *out, const struct plot_page *page,
                            enum plot_format format)
{
    const int n_columns = columns_of(page, format);
    const int n_rows = rows_of(page, format);
    const int width = (page->panel_width ? page->panel_width : 640) * n_columns;
    const int height = (page->panel_height ? page->panel_height : 420) * n_rows +
                       (page->title ? 30 : 0);
    struct winsize size = {.ws_row = 24, .ws_col = 79};
    switch (format) {
    case PLOT_FORMAT_TERMINAL:
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 40) {
            size = (struct winsize){.ws_row = 24, .ws_col = 79};
        }
        buffer_printf(out, "set terminal dumb %d %d noenhanced %s\n", size.ws_col - 1,
                      24 * n_rows, isatty(STDOUT_FILENO) ? "ansi" : "mono");
        break;
    case PLOT_FORMAT_SVG:
        buffer_printf(out,
                      "set terminal svg size %d,%d dynamic noenhanced font "
                      "'Helvetica,Arial,sans-serif,13' background '#ffffff'\n",
                      width, height);
        break;
    case PLOT_FORMAT_PNG:
        buffer_printf(out,
                      "set terminal pngcairo size %d,%d noenhanced font 'sans,11' "
                      "background '#ffffff'\n",
                      width, height);
        break;
    case PLOT_FORMAT_PDF:
        buffer_printf(out,
                      "set terminal pdfcairo size %.2fin,%.2fin noenhanced font "
                      "'sans,11' background '#ffffff'\n",
                      width / 96.0, height / 96.0);
        break;
    case PLOT_FORMAT_NONE:
        break;
    }
}

static void append_point(struct buffer *out, const struct plot_series *s, int64_t j)
{
    if (!isfinite(s->x[j]) || !isfinite(s->y[j])) {
        return;
    }
    buffer_printf(out, "%.10g %.10g", s->x[j], s->y[j]);
    if (s->low && s->high) {
        buffer_printf(out, " %.10g %.10g", s->low[j], s->high[j]);
    }
    if (s->labels) {
        buffer_append_char(out, ' ');
        append_data_text(out, s->labels[j]);
    }
    buffer_append_char(out, '\n');
}

static int64_t n_points(const struct plot_series *s)
{
    int64_t n = 0;
    for (int64_t j = 0; j < s->n; j++) {
        n += isfinite(s->x[j]) && isfinite(s->y[j]);
    }
    return n;
}

static void append_data(struct buffer *out, const struct plot_panel *panel, int number)
{
    for (int i = 0; i < panel->n_series; i++) {
        buffer_printf(out, "$p%d_%d << END_OF_SERIES\n", number, i);
        for (int64_t j = 0; j < panel->series[i].n; j++) {
            append_point(out, &panel->series[i], j);
        }
        buffer_append_text(out, "END_OF_SERIES\n");
    }
}

/* How gnuplot draws the series; "%s" is its colour. */
static void append_style(struct buffer *out, const struct plot_series *s,
                         const char *color)
{
    const char *format = NULL;
    switch (s->style) {
    case PLOT_LINE:
        format = "using 1:2 with lines lw 2 lc rgb '%s'";
        break;
    case PLOT_LINE_POINTS:
        format = "using 1:2 with linespoints lw 2 pt 7 ps 0.5 lc rgb '%s'";
        break;
    case PLOT_DASHED:
        format = "using 1:2 with lines lw 2 dt 2 lc rgb '%s'";
        break;
    case PLOT_POINTS:
        format = "using 1:2 with points pt 7 ps 0.4 lc rgb '%s'";
        break;
    case PLOT_DOTS:
        format = "using 1:2 with points pt 7 ps 0.25 lc rgb '%s'";
        break;
    case PLOT_BARS:
        format = "using 1:2 with boxes fs solid 1 noborder lc rgb '%s'";
        break;
    case PLOT_BAND:
        format = "using 1:3:4 with filledcurves fs transparent solid 0.2 noborder "
                 "lc rgb '%s'";
        break;
    case PLOT_ERROR_X:
        format = "using 1:2:3:4 with xerrorbars pt 7 ps 0.8 lw 2 lc rgb '%s'";
        break;
    case PLOT_ERROR_Y:
        format = "using 1:2:3:4 with yerrorbars pt 7 ps 0.8 lw 2 lc rgb '%s'";
        break;
    case PLOT_LABELS:
        format = "using 1:2:3 with labels left offset 0.6,0 tc rgb '%s'";
        break;
    }
    const char *at = strstr(format, "%s");
    buffer_append(out, format, (size_t)(at - format));
    buffer_append_text(out, color);
    buffer_append_text(out, at + 2);
}

static const char *color_of(const struct plot_series *s, int position)
{
    const int n = (int)(sizeof palette / sizeof palette[0]);
    if (s->color == -2) {
        return GREY;
    }
    return palette[(s->color < 0 ? position : s->color) % n];
}

static void append_y_tics(struct buffer *out, const struct plot_panel *panel)
{
    if (panel->no_y_tics) {
        buffer_append_text(out, "unset ytics\n");
    } else if (panel->rows) {
        buffer_append_text(out, "set ytics (");
        for (int i = 0; i < panel->n_rows; i++) {
            buffer_append_text(out, i ? ", " : "");
            append_quoted(out, panel->rows[i]);
            buffer_printf(out, " %d", panel->n_rows - i);
        }
        buffer_append_text(out, ") nomirror\n");
    } else {
        buffer_append_text(out, "set ytics nomirror autofreq\n");
    }
}

static void append_zero_axis(struct buffer *out, const char *axis, bool is_marked)
{
    if (is_marked) {
        buffer_printf(out, "set %szeroaxis lt 1 dt 2 lw 1.5 lc rgb '" GREY "'\n", axis);
    } else {
        buffer_printf(out, "unset %szeroaxis\n", axis);
    }
}

static void append_range(struct buffer *out, const char *axis, double low, double high,
                         const char *automatic)
{
    if (low < high) {
        buffer_printf(out, "set %s [%.10g:%.10g]\n", axis, low, high);
    } else {
        buffer_printf(out, "set %s %s\n", axis, automatic);
    }
}

static void append_name(struct buffer *out, const struct plot_series *s)
{
    if (s->name && s->name[0]) {
        buffer_append_text(out, " title ");
        append_quoted(out, slice_of(s->name));
    } else {
        buffer_append_text(out, " notitle");
    }
}

/* On the terminal every series of points has a letter of its own, and a band, which
 * would hide what lies in it, is drawn as its edges. */
static void append_series(struct buffer *out, const struct plot_series *s, int position,
                          enum plot_format format)
{
    static const char marks[] = "o+x#%&=~";
    const char *color = color_of(s, position);
    const bool is_dots = s->style == PLOT_POINTS || s->style == PLOT_DOTS;
    if (format == PLOT_FORMAT_TERMINAL && is_dots) {
        buffer_printf(out, "using 1:2 with points pt '%c' lc rgb '%s'",
                      marks[(size_t)position % (sizeof marks - 1)], color);
        append_name(out, s);
        return;
    }
    if (format == PLOT_FORMAT_TERMINAL && s->style == PLOT_BAND) {
        buffer_printf(out, "using 1:3 with lines lc rgb '%s'", color);
        append_name(out, s);
        buffer_printf(out, ", '' using 1:4 with lines lc rgb '%s' notitle", color);
        return;
    }
    append_style(out, s, color);
    if (s->style == PLOT_LABELS) { /* points in PNG and PDF, pixels in SVG */
        buffer_append_text(out,
                           format == PLOT_FORMAT_SVG ? " font ',12'" : " font ',9'");
    }
    if (is_dots && s->name && s->name[0]) { /* too small in the key */
        buffer_printf(out, " notitle, keyentry with points pt 7 ps 0.9 lc rgb '%s'",
                      color);
    }
    append_name(out, s);
}

/* On the terminal nothing can be turned by 90 degrees, so the title says what y is. */
static void append_words(struct buffer *out, const struct plot_panel *panel,
                         enum plot_format format)
{
    const bool is_terminal = format == PLOT_FORMAT_TERMINAL;
    append_set_text(out, "xlabel", panel->x_label);
    append_set_text(out, "ylabel", is_terminal ? NULL : panel->y_label);
    append_set_text(out, "title", panel->title);
    if (is_terminal && panel->y_label) {
        buffer_append_text(out, "set title ");
        append_quoted(out, slice_of(panel->title ? panel->title : ""));
        buffer_append_text(out, panel->title ? ".\"\\n\"." : ".");
        append_quoted(out, slice_of("y: "));
        buffer_append_char(out, '.');
        append_quoted(out, slice_of(panel->y_label));
        buffer_append_char(out, '\n');
    }
}

static void append_panel(struct buffer *out, const struct plot_panel *panel, int number,
                         enum plot_format format)
{
    bool has_key = false, has_bars = false;
    int n_drawn = 0;
    append_words(out, panel, format);
    buffer_printf(out, "%s logscale x\n%s logscale y\n", panel->log_x ? "set" : "unset",
                  panel->log_y ? "set" : "unset");
    buffer_append_text(out,
                       panel->no_x_tics ? "unset xtics\n" : "set xtics nomirror\n");
    append_y_tics(out, panel);
    append_zero_axis(out, "y", panel->mark_zero_x); /* x = 0 is where the y axis is */
    append_zero_axis(out, "x", panel->mark_zero_y);
    for (int i = 0; i < panel->n_series; i++) {
        const struct plot_series *s = &panel->series[i];
        has_key = has_key || (s->name && s->name[0]);
        has_bars = has_bars || s->style == PLOT_BARS;
    }
    if (has_key) {
        buffer_printf(out, "set key %s\n",
                      format == PLOT_FORMAT_TERMINAL ? "tmargin center horizontal"
                      : panel->key                   ? panel->key
                                                     : "top right");
    } else {
        buffer_append_text(out, "unset key\n");
    }
    append_range(out, "xrange", panel->x_low, panel->x_high,
                 panel->mark_zero_x         ? "[*<0:0<*]"
                 : has_bars || panel->log_x ? "[*:*]"
                                            : "[*:*] noextend");
    append_range(out, "yrange", panel->y_low, panel->y_high,
                 has_bars             ? "[0:*]"
                 : panel->mark_zero_y ? "[*<0:0<*]"
                                      : "[*:*]");
    for (int i = 0; i < panel->n_series; i++) {
        const struct plot_series *s = &panel->series[i];
        if (n_points(s) > 0) {
            buffer_printf(out, "%s$p%d_%d ", n_drawn++ ? ", " : "plot ", number, i);
            append_series(out, s, i, format);
        }
    }
    /* A panel without a point still takes its place on the page. */
    buffer_append_text(out, n_drawn ? "\n" : "plot [0:1] [0:1] NaN notitle\n");
}

void plot_append_script(struct buffer *out, const struct plot_page *page,
                        const char *output, enum plot_format format)
{
    buffer_append_text(out, "set encoding utf8\nset datafile separator whitespace\n");
    append_terminal(out, page, format);
    if (format != PLOT_FORMAT_TERMINAL) {
        append_set_text(out, "output", output);
    }
    buffer_append_text(out, "set border 3 lc rgb '#606060'\n"
                            "set tics out textcolor rgb '#303030'\n"
                            "set boxwidth 0.8 relative\n");
    if (format != PLOT_FORMAT_TERMINAL) { /* there it would be drawn like the data */
        buffer_append_text(out, "set grid lc rgb '#E4E4E4' lw 1 lt 1\n");
    }
    for (int i = 0; i < page->n_panels; i++) {
        append_data(out, &page->panels[i], i);
    }
    if (page->n_panels > 1 || page->title) {
        buffer_printf(out, "set multiplot layout %d,%d", rows_of(page, format),
                      columns_of(page, format));
        if (page->title) {
            buffer_append_text(out, " title ");
            append_quoted(out, slice_of(page->title));
        }
        buffer_append_char(out, '\n');
    }
    for (int i = 0; i < page->n_panels; i++) {
        append_panel(out, &page->panels[i], i, format);
    }
    if (page->n_panels > 1 || page->title) {
        buffer_append_text(out, "unset multiplot\n");
    }
    buffer_append_text(out, "unset output\n");
}

/* plot.h - pictures, described as data and drawn by gnuplot.
 *
 * A page is a grid of panels, a panel holds series. The same description is written as
 * a picture (svg, png or pdf by the file's suffix), drawn with characters on the
 * terminal ("-"), or printed as TSV where gnuplot is missing, so that nobody is left
 * without the numbers.
 */
#ifndef ABTEST_PLOT_H
#define ABTEST_PLOT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"
#include "common/slice.h"

enum plot_style {
    PLOT_LINE,
    PLOT_LINE_POINTS,
    PLOT_DASHED,  /* for fits and references */
    PLOT_POINTS,  /* filled circles */
    PLOT_DOTS,    /* small and translucent, for thousands */
    PLOT_BARS,    /* from zero */
    PLOT_BAND,    /* filled between low and high */
    PLOT_ERROR_X, /* point with a horizontal interval: low, high are x */
    PLOT_ERROR_Y, /* point with a vertical interval: low, high are y */
    PLOT_LABELS,  /* the label at the point */
};

struct plot_series {
    const char *name; /* in the key and the TSV; NULL or "" leaves it out of the key */
    enum plot_style style;
    int color; /* index into the palette, 0-7; -1: the series' position; -2: grey */
    int64_t n;
    const double *x, *y;        /* (n); points with a NAN are left out */
    const double *low, *high;   /* (n) where the style has an interval, else NULL */
    const struct slice *labels; /* (n) for PLOT_LABELS and the TSV, else NULL */
};

enum { PLOT_MAX_SERIES = 32 };

/* A key that is in nobody's way. */
#define PLOT_KEY_ABOVE "tmargin center horizontal"

struct plot_panel {
    const char *title, *x_label, *y_label; /* NULL: none */
    bool log_x, log_y;
    bool no_x_tics, no_y_tics;     /* where the numbers mean nothing */
    bool mark_zero_x, mark_zero_y; /* a line at x = 0, at y = 0 */
    const struct slice *rows; /* (n_rows) names of y = n_rows ... 1; NULL: numbers */
    int n_rows;
    const char *key;      /* gnuplot's place, "top left"; NULL: top right */
    double x_low, x_high; /* range; x_low = x_high: from the points */
    double y_low, y_high;
    int n_series;
    struct plot_series series[PLOT_MAX_SERIES];
};

struct plot_page {
    const char *title; /* NULL: none */
    int n_panels, n_columns;
    const struct plot_panel *panels;
    int panel_width, panel_height; /* pixels at 96 dpi; 0: 640 x 420 */
};

/* What was asked for on the command line. */
struct plot_choice {
    const char *path;    /* --plot: .svg, .png, .pdf, or "-"; NULL: no picture */
    int64_t panel;       /* --panel: only this one, from 1; 0: all */
    bool stdout_is_data; /* set by the command: standard output is for programs */
};

/* The options, for a command's table. */
#define PLOT_OPTIONS(choice)                                                           \
    {"plot",                                                                           \
     OPTION_TEXT,                                                                      \
     &(choice)->path,                                                                  \
     "FILE",                                                                           \
     "draw into FILE.svg, .png or .pdf; - draws on the terminal",                      \
     0,                                                                                \
     0},                                                                               \
    {                                                                                  \
        "panel", OPTION_INT, &(choice)->panel, "N",                                    \
            "draw only the N-th part of the picture; 0: all", 0, 1000                  \
    }

/* Whether the choice can be had, asked before the work whose picture it is. Returns
 * OPTIONS_RUN, or EXIT_USAGE after a complaint on behalf of `command`; no picture is
 * fine. */
int plot_check(const struct plot_choice *choice, const char *command);

/* Draws. A file is replaced when it is whole. Fails with ERROR_NOT_FOUND (no gnuplot on
 * the PATH: print the TSV), ERROR_IO or ERROR_NOMEM. `path` as plot_check lets
 * it pass. The same
 * page gives the same SVG and PNG bytes for one version of gnuplot. */
MUST_CHECK int plot_draw(const struct plot_page *page, const char *path,
                         struct error *error);

/* panel<TAB>series<TAB>x<TAB>y<TAB>low<TAB>high<TAB>label, with a header. */
void plot_print_tsv(const struct plot_page *page, FILE *to);

/* Draws what was chosen of the page. Where gnuplot is missing, complains on behalf of
 * `command`, prints the TSV to standard output (standard error where that is for
 * programs) and counts as done. Returns an exit status. */
int plot_show(const struct plot_page *page, const struct plot_choice *choice,
              const char *command);

#endif

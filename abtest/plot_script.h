/* plot_script.h - a page of plot.h in gnuplot's language (5.4). Private to plot.c. */
#ifndef ABTEST_PLOT_SCRIPT_H
#define ABTEST_PLOT_SCRIPT_H

#include "abtest/plot.h"
#include "common/buffer.h"

enum plot_format {
    PLOT_FORMAT_NONE,
    PLOT_FORMAT_TERMINAL, /* with characters, as wide as the terminal */
    PLOT_FORMAT_SVG,
    PLOT_FORMAT_PNG,
    PLOT_FORMAT_PDF,
};

/* Appends the script that writes the page to the file `output` (standard output for
 * PLOT_FORMAT_TERMINAL). A lack of memory shows in out->failed. */
void plot_append_script(struct buffer *out, const struct plot_page *page,
                        const char *output, enum plot_format format);

#endif

/* progress.h - a bar on standard error for long work, when that is a terminal. */
#ifndef ABTEST_PROGRESS_H
#define ABTEST_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; /* "reading", borrowed */
    bool is_shown;    /* standard error is a terminal */
    bool has_bar;     /* a bar stands on the current line */
    int64_t begin_ns;
    int64_t drawn_ns;
};

void progress_start(struct progress *progress, const char *what);

/* Draws at most ten times a second: share of the work done in [0, 1] (negative when
 * unknown), and how much of what was done ("ratings"). Shows a rate and, from the
 * share, the time left. */
void progress_draw(struct progress *progress, double share, int64_t n_done,
                   const char *unit);

/* Wipes the bar, so that a line may be printed. Draws nothing when there is none. */
void progress_wipe(struct progress *progress);

#endif

#include "abtest/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"

#define BAR_WIDTH   30
#define INTERVAL_NS 100000000

void progress_start(struct progress *progress, const char *what)
{
    *progress = (struct progress){
        .what = what,
        .is_shown = isatty(STDERR_FILENO) == 1,
        .begin_ns = clock_monotonic_ns(),
    };
}

/* 950, 12.3 k, 4.56 M: three digits are enough to watch. */
static void print_rate(double per_second, const char *unit)
{
    if (per_second >= 1e6) {
        fprintf(stderr, " %.2f M %s/s", per_second * 1e-6, unit);
    } else if (per_second >= 1e3) {
        fprintf(stderr, " %.1f k %s/s", per_second * 1e-3, unit);
    } else {
        fprintf(stderr, " %.0f %s/s", per_second, unit);
    }
}

void progress_draw(struct progress *progress, double share, int64_t n_done,
                   const char *unit)
{
    const int64_t now = clock_monotonic_ns();
    if (!progress->is_shown || now - progress->drawn_ns < INTERVAL_NS) {
        return;
    }
    progress->drawn_ns = now;
    progress->has_bar = true;
    const double seconds = (double)(now - progress->begin_ns) * 1e-9;
    fprintf(stderr, "\r\033[K%s", progress->what);
    if (share >= 0) {
        const int filled = (int)(BAR_WIDTH * (share < 1 ? share : 1));
        fprintf(stderr, " [%.*s%*s] %3.0f %%", filled, "##############################",
                BAR_WIDTH - filled, "", 100 * share);
    }
    if (seconds > 0) {
        print_rate((double)n_done / seconds, unit);
    }
    if (share > 0 && share < 1) {
        fprintf(stderr, ", %.0f s left", seconds * (1 - share) / share);
    }
    fflush(stderr);
}

void progress_wipe(struct progress *progress)
{
    if (progress->has_bar) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        progress->has_bar = false;
    }
}

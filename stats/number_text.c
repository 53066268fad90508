#include "stats/number_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void none(char text[NUMBER_TEXT_SIZE])
{
    memcpy(text, NUMBER_TEXT_NONE, sizeof NUMBER_TEXT_NONE);
}

void number_text_value(enum analysis_kind kind, double value,
                       char text[NUMBER_TEXT_SIZE])
{
    if (!isfinite(value)) {
        none(text);
    } else if (kind == ANALYSIS_PROPORTION) {
        snprintf(text, NUMBER_TEXT_SIZE, "%.2f %%", 100 * value);
    } else {
        snprintf(text, NUMBER_TEXT_SIZE, "%.4g", value);
    }
}

void number_text_effect(enum analysis_kind kind, double effect,
                        char text[NUMBER_TEXT_SIZE])
{
    if (!isfinite(effect)) {
        none(text);
    } else if (kind == ANALYSIS_PROPORTION) {
        snprintf(text, NUMBER_TEXT_SIZE, "%+.2f points", 100 * effect);
    } else {
        snprintf(text, NUMBER_TEXT_SIZE, "%+.4g", effect);
    }
}

void number_text_interval(enum analysis_kind kind, double lower, double upper,
                          char text[NUMBER_TEXT_SIZE])
{
    if (!isfinite(lower) || !isfinite(upper)) {
        none(text);
    } else if (kind == ANALYSIS_PROPORTION) {
        snprintf(text, NUMBER_TEXT_SIZE, "%+.2f to %+.2f points", 100 * lower,
                 100 * upper);
    } else {
        snprintf(text, NUMBER_TEXT_SIZE, "%+.4g to %+.4g", lower, upper);
    }
}

void number_text_relative(double relative, char text[NUMBER_TEXT_SIZE])
{
    if (!isfinite(relative)) {
        none(text);
    } else {
        snprintf(text, NUMBER_TEXT_SIZE, "%+.1f %%", 100 * relative);
    }
}

void number_text_time(int64_t ts_us, char text[NUMBER_TEXT_SIZE])
{
    struct tm broken = {0};
    const time_t seconds = (time_t)(ts_us / 1000000 - (ts_us % 1000000 < 0));
    if (!gmtime_r(&seconds, &broken) ||
        !strftime(text, NUMBER_TEXT_SIZE, "%Y-%m-%d %H:%M:%S UTC", &broken)) {
        snprintf(text, NUMBER_TEXT_SIZE, "%" PRId64 " us", ts_us);
    }
}

void number_text_p(double p_value, double log10_p_value, char text[NUMBER_TEXT_SIZE])
{
    if (isnan(p_value)) {
        snprintf(text, NUMBER_TEXT_SIZE, "not testable");
    } else if (p_value < 1e-300 && !isfinite(log10_p_value)) {
        snprintf(text, NUMBER_TEXT_SIZE, "p < 1e-300");
    } else if (p_value < 1e-300) {
        snprintf(text, NUMBER_TEXT_SIZE, "p = 10^%.1f", log10_p_value);
    } else {
        snprintf(text, NUMBER_TEXT_SIZE, "p = %.4g", p_value);
    }
}

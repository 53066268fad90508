/* number_text.h - numbers as people read them: rates in percent, differences of rates
 * in percentage points, p-values that never print as 0.
 */
#ifndef STATS_NUMBER_TEXT_H
#define STATS_NUMBER_TEXT_H

#include "stats/analysis_spec.h"

#define NUMBER_TEXT_SIZE 48  /* bytes that hold any of these, with the NUL */
#define NUMBER_TEXT_NONE "-" /* what a NAN prints as */

/* "44.90 %" for a proportion, four significant digits for the rest. */
void number_text_value(enum analysis_kind kind, double value,
                       char text[NUMBER_TEXT_SIZE]);

/* "+26.62 points" for a proportion, a signed number for the rest. */
void number_text_effect(enum analysis_kind kind, double effect,
                        char text[NUMBER_TEXT_SIZE]);

/* "+18.89 to +33.92 points". */
void number_text_interval(enum analysis_kind kind, double lower, double upper,
                          char text[NUMBER_TEXT_SIZE]);

/* "+59.3 %" from 0.593. */
void number_text_relative(double relative, char text[NUMBER_TEXT_SIZE]);

/* "2026-11-23 14:36:53 UTC" from microseconds since 1970. */
void number_text_time(int64_t ts_us, char text[NUMBER_TEXT_SIZE]);

/* "p = 2.521e-11"; "p = 10^-412.3" where a double cannot hold it, "p < 1e-300" where
 * its logarithm is not known either (not finite); "not testable". */
void number_text_p(double p_value, double log10_p_value, char text[NUMBER_TEXT_SIZE]);

#endif

/* report_formats.h - one function per format, and the words they share: private to
 * report/.
 */
#ifndef REPORT_REPORT_FORMATS_H
#define REPORT_REPORT_FORMATS_H

#include "report/report.h"

/* Each appends to *out; a lack of memory shows in out->failed. */
void report_text(const struct analysis *analysis, const struct report_style *style,
                 struct buffer *out);
void report_json(const struct analysis *analysis, struct buffer *out);
void report_csv(const struct analysis *analysis, struct buffer *out);
void report_markdown(const struct analysis *analysis, struct buffer *out);
void report_html(const struct analysis *analysis, struct buffer *out);

#define REPORT_WORD_SIZE 64 /* bytes that hold any of these words, with the NUL */

/* "2026-11-23 14:36:53 UTC" */
void report_time(int64_t ts_us, char text[REPORT_WORD_SIZE]);

/* "7 d", "36 h", "90 s"; "without limit" for 0. */
void report_window(int64_t window_us, char text[REPORT_WORD_SIZE]);

/* "satisfied: share of users with the event, within 7 d of the first exposure" */
void report_metric_words(const struct analysis_metric *metric, struct buffer *out);

/* How the first column of a metric's value is called: "rate", "mean", ... */
const char *report_value_word(enum analysis_kind kind);

/* The finding whose methods are those of all groups that could be compared; NULL when
 * none could. */
const struct finding *segmentation_method(const struct segmentation *segmentation,
                                          int n_arms);

/* "SHIP", ...: the verdict as a stamp. */
const char *report_verdict_word(enum verdict verdict);

#endif

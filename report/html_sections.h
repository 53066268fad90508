/* html_sections.h - the sections of the HTML report, one function each.
 *
 * Each appends a heading and what belongs under it, or nothing when the experiment has
 * nothing of the kind. report_html.c orders them.
 */
#ifndef REPORT_HTML_SECTIONS_H
#define REPORT_HTML_SECTIONS_H

#include "common/buffer.h"
#include "stats/stats.h"

/* html_metrics.c: every metric. */
void html_forest(struct buffer *out, const struct experiment_result *r);
void html_adjusted(struct buffer *out, const struct experiment_result *r);
void html_metric_arms(struct buffer *out, const struct experiment_result *r);

/* html_methods.c: which method gave which number, and what each method is. */
void html_metric_methods(struct buffer *out, const struct experiment_result *r);
void html_methods(struct buffer *out, const struct analysis *analysis);

/* html_looks.c: what decides, and the group-sequential design of the config. */
void html_looks(struct buffer *out, const struct experiment_result *r);
void html_planned(struct buffer *out, const struct experiment_result *r);

/* html_groups.c: groups of units, and the lists. */
void html_segments(struct buffer *out, const struct experiment_result *r);
void html_items(struct buffer *out, const struct experiment_result *r);

/* html_time.c: how the answer came about. */
void html_days(struct buffer *out, const struct experiment_result *r);
void html_series(struct buffer *out, const struct experiment_result *r);
void html_units(struct buffer *out, const struct experiment_result *r);
void html_aa(struct buffer *out, const struct experiment_result *r);

#endif

/* text_parts.h - what the files of the text report share. */
#ifndef REPORT_TEXT_PARTS_H
#define REPORT_TEXT_PARTS_H

#include "common/buffer.h"
#include "report/report.h"

struct page {
    struct buffer *out;
    const struct report_style *style;
};

/* ANSI colours: only ever a help, the words say the same. */
void text_colour(const struct page *page, const char *code);

/* An empty line, then the words in bold. */
void text_heading(const struct page *page, const char *format, ...) PRINTF_LIKE(2, 3);

/* text_metrics.c: one metric, its arms and contrasts. */
void text_metric(const struct page *page, const struct experiment_result *r,
                 const struct metric_result *metric);

/* text_groups.c: groups of units, and the lists; nothing where there are none. */
void text_segments(const struct page *page, const struct experiment_result *r);
void text_items(const struct page *page, const struct experiment_result *r);

#endif

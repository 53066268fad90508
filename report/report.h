/* report.h - an analysis as people and programs read it. Sees common/ and stats/.
 *
 * Every format says the same numbers and sentences; the same analysis gives the same
 * bytes. The JSON is described by docs/report.schema.json, all of it by docs/report.md.
 */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include <stdbool.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/slice.h"
#include "stats/stats.h"

enum report_format {
    REPORT_TEXT,
    REPORT_JSON,
    REPORT_CSV,
    REPORT_MARKDOWN,
    REPORT_HTML,
};

/* For REPORT_TEXT. NULL means no colours. */
struct report_style {
    bool is_coloured; /* for a terminal */
};

/* Index by name ("text", "json", "csv", "markdown", "html"), or -1. */
int report_format_find(struct slice name);

/* Appends the report to *out. Fails with ERROR_NOMEM. */
MUST_CHECK int report_write(const struct analysis *analysis, enum report_format format,
                            const struct report_style *style, struct buffer *out,
                            struct error *error);

#endif

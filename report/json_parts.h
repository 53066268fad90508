/* json_parts.h - the parts of the JSON report that several of its files write. */
#ifndef REPORT_JSON_PARTS_H
#define REPORT_JSON_PARTS_H

#include "report/json_writer.h"
#include "stats/stats.h"

/* One comparison; NAN is null. */
void json_finding(struct json_writer *json, const char *key,
                  const struct finding *finding);

/* Opens an object about one arm; the caller closes it. */
void json_open_arm(struct json_writer *json, const struct experiment_result *r,
                   int arm);

/* One finding a treatment, with its corrected p-value. */
void json_contrasts(struct json_writer *json, const struct experiment_result *r,
                    const struct finding *findings, const double *p_adjusted);

/* One element of the array of metrics. */
void json_metric(struct json_writer *json, const struct experiment_result *r,
                 const struct metric_result *metric);

/* What holds when it is looked at more than once: "msprt", "planned_looks",
 * "decided_by". */
void json_looks(struct json_writer *json, const struct experiment_result *r,
                const struct contrast *contrast);

/* "segments": the primary metric by groups of units. */
void json_segments(struct json_writer *json, const struct experiment_result *r);

/* "lists": what was shown; nothing without items. */
void json_items(struct json_writer *json, const struct experiment_result *r);

#endif

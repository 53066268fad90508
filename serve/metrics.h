/* metrics.h - counters for GET /metrics. Each worker writes its own, anybody reads.
 *
 * Text format: Prometheus 0.0.4. Counters start at 0 with the process and never fall;
 * an arm keeps its counters over a reload that keeps its name.
 */
#ifndef SERVE_METRICS_H
#define SERVE_METRICS_H

#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/slice.h"

#define METRICS_MAX_ARMS                                                               \
    256 /* of all experiments ever served; more are not counted                        \
         */
#define METRICS_NO_SLOT (-1)

struct metrics;

struct metrics *metrics_new(int n_workers, struct error *error);
void metrics_free(struct metrics *metrics);

/* An answer left: `route` as routes_index() says, -1 when it was refused before. */
void metrics_answer(struct metrics *metrics, int worker, int route, int status,
                    size_t bytes);

/* Where an arm is counted; METRICS_NO_SLOT when there are too many. */
int metrics_slot(struct metrics *metrics, struct slice experiment, struct slice arm);

/* An exposure was logged; latency_us is negative when a client reported it. */
void metrics_exposure(struct metrics *metrics, int worker, int slot,
                      int64_t latency_us);

/* Appends everything counted here. */
void metrics_write(struct metrics *metrics, struct buffer *out);

/* For metrics that are counted elsewhere: "# HELP", "# TYPE" and one value. `type` is
 * "counter" or "gauge". */
void metrics_write_one(struct buffer *out, const char *name, const char *type,
                       const char *help, double value);

#endif

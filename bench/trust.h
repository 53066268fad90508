/* trust.h - the lines of bench_trust's tables, and its sections that go through the
 * log.
 */
#ifndef BENCH_TRUST_H
#define BENCH_TRUST_H

#include <stdbool.h>

#include "common/error.h"

#define TRUST_SEED 20260

/* A share that must be `promised`, within the band of n_trials coins; or at most it. */
void trust_report(const char *what, double n_hits, double n_trials, double promised,
                  bool is_limit);

/* A share with nothing promised, to compare with. */
void trust_show(const char *what, double n_hits, double n_trials);

/* Sorts p_values and asks whether they are uniform. */
void trust_report_uniform(const char *what, double *p_values, int n);

/* Ends the program. */
void trust_die(const char *what, const struct error *error);

/* n A/A experiments, read once when they are over, by n_jobs processes. */
void trust_section_log(int n, const char *scratch, int n_jobs);

/* n A/A experiments, read 100 times while they run. */
void trust_section_monitor(int n, const char *scratch, int n_jobs);

#endif

/* methods.h - what each method is and where it is defined, for the end of a report. */
#ifndef REPORT_METHODS_H
#define REPORT_METHODS_H

#include "stats/stats.h"

struct method {
    const char *name;       /* how the method's full name begins */
    const char *definition; /* one sentence */
    const char *source;     /* author, journal, year */
    const char *url;
};

/* All known methods; *n of them. */
const struct method *methods_all(int *n);

/* Index of the method whose full name begins like `name` of a result; -1: none. */
int methods_find(const char *name);

/* Sets used[i] for each known method (see methods_all) that a number in `result` names.
 */
void methods_mark(const struct experiment_result *result, bool *used);

#endif

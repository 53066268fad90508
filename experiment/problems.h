/* problems.h - collecting everything that is wrong with a config before giving up.
 *
 * Private to experiment/. Running out of memory while noting a problem raises
 * `no_memory`, which the reader checks once at the end.
 */
#ifndef EXPERIMENT_PROBLEMS_H
#define EXPERIMENT_PROBLEMS_H

#include <stdbool.h>

#include "common/error.h"
#include "experiment/config.h"

struct problem_list {
    struct config_problems *problems; /* where they go; owned by the caller */
    int capacity;
    bool no_memory;
};

/* Notes a mistake, or with `problems_warn` something legal but unwise, at `line`. */
void problems_add(struct problem_list *list, int line, const char *format, ...)
    PRINTF_LIKE(3, 4);
void problems_warn(struct problem_list *list, int line, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Orders the problems from index `first` on by line; those of one line keep their
 * order. */
void problems_sort(struct problem_list *list, int first);

/* Turns what was found from index `first` on into the caller's error: 0 when there is
 * no error among it, else -1 with ERROR_INVALID (the first, and how many more) or
 * ERROR_NOMEM. */
MUST_CHECK int problems_conclude(const struct problem_list *list, int first,
                                 const char *name, struct error *error);

#endif

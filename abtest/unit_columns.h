/* unit_columns.h - what is known of the units besides the log: a CSV file, a model.
 *
 * The file's first line names its columns; one of them is "user" (or the first is it).
 * Each user has one line at most. A column of numbers is a covariate for CUPED, any
 * other a segment. Empty cells are unknown. Users of the log that the file does not
 * have are unknown in every column.
 */
#ifndef ABTEST_UNIT_COLUMNS_H
#define ABTEST_UNIT_COLUMNS_H

#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"
#include "stats/stats.h"
#include "trainer/trainer.h"

#define UNIT_COLUMNS_MAX 32

struct unit_columns {
    struct buffer text;
    struct arena arena;
    const char *names[UNIT_COLUMNS_MAX];
    bool is_text[UNIT_COLUMNS_MAX];
    int n_columns, user_column;
    struct slice *cells; /* (n_rows, n_columns) */
    size_t n_rows;
    struct model *model; /* for CUPAC; NULL without */
    double *item_mean;   /* (n_factors + 1) mean factors and bias of the items */
};

/* Reads `file` and `model_file`, each unless NULL. Errors name file and line. Release
 * *columns with unit_columns_free, failed or not. */
MUST_CHECK int unit_columns_load(const char *file, const char *model_file,
                                 struct unit_columns *columns, struct error *error);
void unit_columns_free(struct unit_columns *columns);

/* What one table borrows while it is analyzed. */
struct table_columns {
    struct arena arena;
    size_t n_matched; /* lines of the file whose user is a unit of the table */
};

/* Gives `table`, rows of experiment `index` of the join's spec, its covariates and
 * segments: those of the columns, units seen before their first exposure or not, and
 * the arms of the spec's other experiments. */
MUST_CHECK int unit_columns_attach(const struct unit_columns *columns,
                                   const struct join *join,
                                   const struct analysis_spec *spec, int index,
                                   struct unit_table *table, struct table_columns *room,
                                   struct error *error);

#endif

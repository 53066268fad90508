/* table.h - cells that are laid out when all are known: aligned text or Markdown. */
#ifndef REPORT_TABLE_H
#define REPORT_TABLE_H

#include "common/buffer.h"

#define TABLE_MAX_COLUMNS 16

/* A zeroed table is empty; `align` has one letter a column, 'l' or 'r'. */
struct table {
    const char *align;
    struct buffer text; /* all cells, each ended by a NUL */
    int n_cells;
};

/* Cells fill the table row by row; the first row is the head. */
void table_cell(struct table *table, const char *format, ...) PRINTF_LIKE(2, 3);

/* Appends the table and frees the cells. Text: `indent` spaces, two spaces between
 * columns. */
void table_write_text(struct table *table, int indent, struct buffer *out);
void table_write_markdown(struct table *table, struct buffer *out);

#endif

/* html_parts.h - the pieces every table of the HTML report is made of.
 *
 * A table is opened, given its column heads, filled row by row and closed; it scrolls
 * sideways by itself on a narrow screen, and its caption names it to screen readers.
 * Texts are escaped here.
 */
#ifndef REPORT_HTML_PARTS_H
#define REPORT_HTML_PARTS_H

#include <stdbool.h>

#include "common/buffer.h"

void html_table_open(struct buffer *out, const char *class_name, const char *caption);

/* Ends the body and the table. */
void html_table_close(struct buffer *out);

/* Heads of columns; a '#' before a head aligns it like numbers. Opens the body. */
void html_column_heads(struct buffer *out, const char *const *heads, int n);

/* Opens a row with its head; the caller appends </tr>. */
void html_row_head(struct buffer *out, const char *text);

void html_cell(struct buffer *out, const char *text, bool is_number);

/* One cell: a number, and under it in small what it needs beside it. */
/* A method's name as a link to its definition at the end of the page (html_methods);
 * plain where it has none, nothing for NULL. */
void html_method(struct buffer *out, const char *name);

void html_two_lines(struct buffer *out, const char *first, const char *second);

#endif

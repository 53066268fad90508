#include "report/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CELL_SIZE 512 /* bytes of one cell; longer text is cut */

void table_cell(struct table *table, const char *format, ...)
{
    char text[CELL_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buffer_append(&table->text, text, strlen(text) + 1);
    table->n_cells++;
}

/* Characters on a terminal: code points, for continuation bytes take no room. */
static int width_of(const char *text)
{
    int width = 0;
    for (; *text; text++) {
        width += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return width;
}

static void pad(struct buffer *out, int n)
{
    for (; n > 0; n--) {
        buffer_append_char(out, ' ');
    }
}

static void free_cells(struct table *table)
{
    buffer_free(&table->text);
    table->n_cells = 0;
}

void table_write_text(struct table *table, int indent, struct buffer *out)
{
    const int n_columns = (int)strlen(table->align);
    int width[TABLE_MAX_COLUMNS] = {0};
    if (table->text.failed) {
        out->failed = true;
        free_cells(table);
        return;
    }
    const char *cell = table->text.data;
    for (int i = 0; i < table->n_cells; i++, cell += strlen(cell) + 1) {
        const int w = width_of(cell);
        if (w > width[i % n_columns]) {
            width[i % n_columns] = w;
        }
    }
    cell = table->text.data;
    for (int i = 0; i < table->n_cells; i++, cell += strlen(cell) + 1) {
        const int column = i % n_columns;
        const int space = width[column] - width_of(cell);
        pad(out, column == 0 ? indent : 2);
        if (table->align[column] == 'r') {
            pad(out, space);
        }
        buffer_append_text(out, cell);
        if (column == n_columns - 1) {
            while (out->len && out->data[out->len - 1] == ' ') {
                out->len--;
            }
            buffer_append_char(out, '\n');
        } else if (table->align[column] == 'l') {
            pad(out, space);
        }
    }
    free_cells(table);
}

/* A bar would end the cell. */
static void append_markdown(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|') {
            buffer_append_char(out, '\\');
        }
        buffer_append_char(out, *text);
    }
}

void table_write_markdown(struct table *table, struct buffer *out)
{
    const int n_columns = (int)strlen(table->align);
    if (table->text.failed) {
        out->failed = true;
        free_cells(table);
        return;
    }
    const char *cell = table->text.data;
    for (int i = 0; i < table->n_cells; i++, cell += strlen(cell) + 1) {
        buffer_append_text(out, i % n_columns == 0 ? "| " : " | ");
        append_markdown(out, cell);
        if (i % n_columns == n_columns - 1) {
            buffer_append_text(out, " |\n");
        }
        if (i == n_columns - 1) {
            for (int c = 0; c < n_columns; c++) {
                buffer_append_text(out, table->align[c] == 'r' ? "|---:" : "|---");
            }
            buffer_append_text(out, "|\n");
        }
    }
    free_cells(table);
}

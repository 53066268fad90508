#include "trainer/csv.h"

#include <string.h>

int csv_bad_record(const struct csv_cursor *c, struct error *error, const char *what)
{
    error_set(error, ERROR_INVALID, "%s:%lld: %s", c->path, (long long)c->record_line,
              what);
    return -1;
}

struct csv_cursor csv_start(const struct buffer *text, const char *path)
{
    struct csv_cursor c = {text->data, text->data + text->len, path, 1, 1};
    if (text->len >= 3 && memcmp(c.at, "\xEF\xBB\xBF", 3) == 0) {
        c.at += 3; /* the byte order mark that spreadsheets write */
    }
    return c;
}

/* Reads the quoted field whose opening quote is at c->at; the text moves down over the
 * doubled quotes. */
static int read_quoted(struct csv_cursor *c, struct slice *field, struct error *error)
{
    char *to = ++c->at;
    field->data = to;
    for (; c->at < c->end; c->at++) {
        if (*c->at == '"') {
            if (c->at + 1 == c->end || c->at[1] != '"') {
                break;
            }
            c->at++;
        } else if (*c->at == '\n') {
            c->line++;
        }
        *to++ = *c->at;
    }
    if (c->at == c->end) {
        return csv_bad_record(c, error, "a quoted field is never closed");
    }
    field->len = (size_t)(to - field->data);
    c->at++;
    if (c->at < c->end && *c->at != ',' && *c->at != '\n' && *c->at != '\r') {
        return csv_bad_record(c, error,
                              "text after a closing quote (write a quote inside a "
                              "quoted field twice)");
    }
    return 0;
}

static int read_field(struct csv_cursor *c, struct slice *field, struct error *error)
{
    if (c->at < c->end && *c->at == '"') {
        return read_quoted(c, field, error);
    }
    field->data = c->at;
    while (c->at < c->end && *c->at != ',' && *c->at != '\n' && *c->at != '\r') {
        if (*c->at == '"') {
            return csv_bad_record(c, error,
                                  "a quote inside an unquoted field (quote the field "
                                  "and write the quote twice)");
        }
        c->at++;
    }
    field->len = (size_t)(c->at - field->data);
    return 0;
}

int csv_read_record(struct csv_cursor *c, struct slice *fields, int max_fields,
                    int *n_fields, struct error *error)
{
    c->record_line = c->line;
    for (int n = 0;; n++, c->at++) {
        struct slice field = {0};
        if (read_field(c, &field, error) != 0) {
            return -1;
        }
        if (n < max_fields) {
            fields[n] = field;
        }
        *n_fields = n + 1;
        if (c->at == c->end || *c->at != ',') {
            break;
        }
    }
    if (c->at < c->end && *c->at == '\r') {
        c->at++;
        if (c->at < c->end && *c->at != '\n') {
            return csv_bad_record(c, error, "a carriage return inside the line");
        }
    }
    if (c->at < c->end) {
        c->at++;
        c->line++;
    }
    return 0;
}

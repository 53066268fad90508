#include "trainer/rating_reader.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "trainer/input.h"
#include "trainer/number_lines.h"

#define BLOCK_CAPACITY ((size_t)1 << 17) /* a share of a second-level cache */
#define MAX_FIELDS     4
#define MAX_NUMBER_LEN 64

struct rating_reader {
    struct input *input;
    char *path;
    /* (BLOCK_CAPACITY and slack): whole lines, then the start of the next */
    char *block;
    char *at;        /* the next line */
    char *lines_end; /* behind the last newline in the block */
    char *data_end;
    bool at_end;
    bool skip_bad;
    char separator;  /* ',', '\t' or ':' (twice); 0 until the first line was seen */
    int64_t n_lines; /* lines handed out or passed over */
    int64_t n_bad;
    struct number_lines numbers;
    char *header;
    size_t header_len;
    struct error first_bad;
    char unquoted[MAX_FIELDS][RATING_MAX_ID_LEN + 1];
};

int rating_reader_open(const char *path, bool skip_bad, struct rating_reader **reader,
                       struct error *error)
{
    struct rating_reader *made = calloc(1, sizeof *made);
    if (made) {
        made->path = strdup(path);
        made->block = calloc(BLOCK_CAPACITY + NUMBER_LINES_SLACK, 1);
    }
    if (!made || !made->path || !made->block) {
        error_set(error, ERROR_NOMEM, "%s: no memory to read it", path);
        rating_reader_close(made);
        return -1;
    }
    made->at = made->lines_end = made->data_end = made->block;
    made->skip_bad = skip_bad;
    made->numbers.word = UINT64_MAX;
    if (input_open(path, &made->input, error) != 0) {
        rating_reader_close(made);
        return -1;
    }
    *reader = made;
    return 0;
}

void rating_reader_close(struct rating_reader *reader)
{
    if (reader) {
        input_close(reader->input);
        free(reader->header);
        free(reader->block);
        free(reader->path);
        free(reader);
    }
}

struct slice rating_reader_header(const struct rating_reader *reader)
{
    return (struct slice){reader->header, reader->header_len};
}

int64_t rating_reader_n_bad(const struct rating_reader *reader)
{
    return reader->n_bad;
}

const char *rating_reader_first_bad(const struct rating_reader *reader)
{
    return reader->first_bad.message;
}

int64_t rating_reader_position(const struct rating_reader *reader)
{
    return input_position(reader->input);
}

int64_t rating_reader_size(const struct rating_reader *reader)
{
    return input_size(reader->input);
}

/* The last newline in [begin, end), or NULL. */
static char *last_newline(char *begin, char *end)
{
    while (end > begin) {
        if (*--end == '\n') {
            return end;
        }
    }
    return NULL;
}

/* Reads until the block holds at least one whole line. Returns 1, or 0 at the end. */
static int fill_block(struct rating_reader *reader, struct error *error)
{
    const size_t rest = (size_t)(reader->data_end - reader->at);
    memmove(reader->block, reader->at, rest);
    reader->at = reader->block;
    reader->data_end = reader->block + rest;
    for (size_t searched = rest;;) {
        char *newline = last_newline(reader->block + searched, reader->data_end);
        if (newline) {
            reader->lines_end = newline + 1;
            return 1;
        }
        searched = (size_t)(reader->data_end - reader->block);
        if (searched > RATING_MAX_LINE_LEN) {
            error_set(error, ERROR_INVALID,
                      "%s:%lld: longer than %d bytes; is this a ratings file?",
                      reader->path, (long long)reader->n_lines + 1,
                      RATING_MAX_LINE_LEN);
            return -1;
        }
        if (reader->at_end) {
            if (searched == 0) {
                return 0;
            }
            *reader->data_end++ = '\n'; /* the block has room for it */
            continue;
        }
        size_t got = 0;
        if (input_read(reader->input, reader->data_end, BLOCK_CAPACITY - searched, &got,
                       error) != 0) {
            return -1;
        }
        reader->data_end += got;
        reader->at_end = got == 0;
    }
}

static bool is_digit(char c)
{
    return (unsigned)(c - '0') < 10;
}

/* Value of the canonical decimal number that `id` is, or -1. */
static int32_t id_number(struct slice id)
{
    int32_t value = 0;
    if (id.len == 0 || id.len > 9 || (id.data[0] == '0' && id.len > 1)) {
        return -1;
    }
    for (size_t i = 0; i < id.len; i++) {
        if (!is_digit(id.data[i])) {
            return -1;
        }
        value = value * 10 + (id.data[i] - '0');
    }
    return value;
}

static int bad_line(struct rating_reader *reader, struct error *error,
                    const char *format, ...) PRINTF_LIKE(3, 4);

static int bad_line(struct rating_reader *reader, struct error *error,
                    const char *format, ...)
{
    char what[256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    error_set(error, ERROR_INVALID, "%s:%lld: %s", reader->path,
              (long long)reader->n_lines, what);
    return -1;
}

/* Takes the RFC 4180 quoted field that `*p` begins with into `to`. Leaves *p behind
 * the closing quote; returns NULL, or what is wrong. */
static const char *take_quoted(const char **p, const char *end, char *to,
                               struct slice *field)
{
    size_t len = 0;
    for (const char *at = *p + 1; at < end; at++) {
        if (*at == '"') {
            if (at + 1 == end || at[1] != '"') {
                *p = at + 1;
                *field = (struct slice){to, len};
                return NULL;
            }
            at++;
        }
        if (len == RATING_MAX_ID_LEN) {
            return "a quoted field is too long";
        }
        to[len++] = *at;
    }
    return "a quote is not closed on its line";
}

/* Splits [p, end) into at most MAX_FIELDS fields. Returns NULL, or what is wrong. */
static const char *split_fields(struct rating_reader *reader, const char *p,
                                const char *end, struct slice fields[MAX_FIELDS],
                                int *n_fields)
{
    const ptrdiff_t separator_len = reader->separator == ':' ? 2 : 1;
    int n = 0;
    for (;;) {
        if (n == MAX_FIELDS) {
            return "more than four fields";
        }
        if (p < end && *p == '"') {
            const char *wrong = take_quoted(&p, end, reader->unquoted[n], &fields[n]);
            if (wrong) {
                return wrong;
            }
        } else {
            const char *const start = p;
            while (p < end && (*p != reader->separator ||
                               (separator_len == 2 && (p + 1 == end || p[1] != ':')))) {
                p++;
            }
            fields[n] = (struct slice){start, (size_t)(p - start)};
        }
        n++;
        if (p == end) {
            *n_fields = n;
            return NULL;
        }
        if (*p != reader->separator || end - p < separator_len ||
            p[separator_len - 1] != reader->separator) {
            return "text behind a closing quote";
        }
        p += separator_len;
    }
}

/* Reads a finite decimal number; strtod alone would also take "nan", "0x10", " 1". */
static bool parse_rating(struct slice field, float *rating)
{
    char text[MAX_NUMBER_LEN + 1];
    bool has_digit = false;
    if (field.len == 0 || field.len > MAX_NUMBER_LEN) {
        return false;
    }
    for (size_t i = 0; i < field.len; i++) {
        const char c = field.data[i];
        has_digit = has_digit || is_digit(c);
        if (!is_digit(c) && !strchr("+-.eE", c)) {
            return false;
        }
        text[i] = c;
    }
    text[field.len] = '\0';
    char *end = NULL;
    const float value = (float)strtod(text, &end);
    if (!has_digit || *end || !isfinite(value)) {
        return false;
    }
    *rating = value;
    return true;
}

static int check_id(struct rating_reader *reader, const char *what, struct slice id,
                    struct error *error)
{
    if (id.len == 0) {
        return bad_line(reader, error, "the %s id is empty", what);
    }
    if (id.len > RATING_MAX_ID_LEN) {
        return bad_line(reader, error, "the %s id has %zu bytes, more than %d", what,
                        id.len, RATING_MAX_ID_LEN);
    }
    if (memchr(id.data, '\0', id.len)) {
        return bad_line(reader, error, "the %s id holds a zero byte", what);
    }
    return 0;
}

/* The careful parser of the line [p, end), whose newline is gone. */
static int parse_line(struct rating_reader *reader, const char *p, const char *end,
                      struct rating_line *line, struct error *error)
{
    struct slice fields[MAX_FIELDS];
    int n_fields = 0;
    if (end - p > RATING_MAX_LINE_LEN) {
        return bad_line(reader, error, "longer than %d bytes", RATING_MAX_LINE_LEN);
    }
    const char *wrong = split_fields(reader, p, end, fields, &n_fields);
    if (wrong) {
        return bad_line(reader, error, "%s", wrong);
    }
    if (n_fields < 3) {
        return bad_line(reader, error,
                        "%d field%s, not user, item, rating[, timestamp]", n_fields,
                        n_fields == 1 ? "" : "s");
    }
    if (check_id(reader, "user", fields[0], error) != 0 ||
        check_id(reader, "item", fields[1], error) != 0) {
        return -1;
    }
    if (!parse_rating(fields[2], &line->rating)) {
        return bad_line(reader, error, "rating \"%.*s\" is not a finite decimal number",
                        fields[2].len < 40 ? (int)fields[2].len : 40, fields[2].data);
    }
    line->user = fields[0];
    line->item = fields[1];
    line->user_number = id_number(fields[0]);
    line->item_number = id_number(fields[1]);
    return 0;
}

/* Finds the separator from the first line, and keeps that line if it is a header.
 * Returns 1 when it was one, 0 when not, -1 without memory. */
static int first_line(struct rating_reader *reader, const char *p, const char *end,
                      struct error *error)
{
    const size_t len = (size_t)(end - p);
    struct slice fields[MAX_FIELDS];
    int n_fields = 0;
    reader->separator = ',';
    if (memchr(p, '\t', len)) {
        reader->separator = '\t';
    } else if (!memchr(p, ',', len) && memchr(p, ':', len)) {
        reader->separator = ':';
    }
    reader->numbers.separator = reader->separator;
    if (split_fields(reader, p, end, fields, &n_fields) || n_fields < 3 ||
        fields[2].len == 0 || !isalpha((unsigned char)fields[2].data[0]) ||
        (fields[2].len >= 3 && (strncasecmp(fields[2].data, "nan", 3) == 0 ||
                                strncasecmp(fields[2].data, "inf", 3) == 0))) {
        return 0;
    }
    reader->header = malloc(len ? len : 1);
    if (!reader->header) {
        error_set(error, ERROR_NOMEM, "%s: no memory for its header", reader->path);
        return -1;
    }
    memcpy(reader->header, p, len);
    reader->header_len = len;
    return 1;
}

/* The line at reader->at, looked at with care: 1 a rating, 0 nothing here, -1. */
static int next_careful(struct rating_reader *reader, struct rating_line *line,
                        struct error *error)
{
    const char *p = reader->at;
    const char *end = memchr(p, '\n', (size_t)(reader->lines_end - p));
    assert(end);
    reader->at += end - p + 1;
    end -= end > p && end[-1] == '\r';
    if (reader->n_lines == 1) {
        if (end - p >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) {
            p += 3;
        }
    }
    if (p == end) {
        return 0;
    }
    if (!reader->separator) {
        const int header = first_line(reader, p, end, error);
        if (header != 0) {
            return header < 0 ? -1 : 0;
        }
    }
    struct error wrong = {0};
    if (parse_line(reader, p, end, line, &wrong) == 0) {
        line->text = (struct slice){p, (size_t)(end - p)};
        return 1;
    }
    if (!reader->skip_bad) {
        if (error) {
            *error = wrong;
        }
        return -1;
    }
    if (reader->n_bad++ == 0) {
        reader->first_bad = wrong;
    }
    return 0;
}

int rating_reader_next(struct rating_reader *reader, struct rating_line *line,
                       struct error *error)
{
    for (;;) {
        if (reader->at == reader->lines_end) {
            const int filled = fill_block(reader, error);
            if (filled <= 0) {
                return filled;
            }
        }
        line->number = ++reader->n_lines;
        if (reader->separator && reader->separator != ':') {
            const char *end = number_line(&reader->numbers, reader->at, line);
            if (end) {
                line->text = (struct slice){reader->at, (size_t)(end - reader->at)};
                line->text.len -= line->text.len && end[-1] == '\r';
                reader->at += end - reader->at + 1;
                return 1;
            }
        }
        const int got = next_careful(reader, line, error);
        if (got != 0) {
            return got;
        }
    }
}

int rating_reader_take_numbers(struct rating_reader *reader, int32_t *user,
                               int32_t *item, float *rating, int capacity)
{
    const char *at = reader->at;
    const struct number_columns to = {user, item, rating};
    if (!reader->separator || reader->separator == ':') {
        return 0;
    }
    const size_t n = number_lines_take(&reader->numbers, &at, reader->lines_end, &to,
                                       (size_t)capacity);
    reader->at += at - reader->at;
    reader->n_lines += (int64_t)n;
    return (int)n;
}

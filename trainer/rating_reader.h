/* rating_reader.h - the lines of a ratings file: user, item, rating, one at a time.
 *
 * Reads userId,movieId,rating[,timestamp] separated by commas, tabs or "::"
 * (MovieLens .dat), whichever the first line has; plain, gzip or zstd; with or without
 * a header line (a first line whose third field starts with a letter), a byte order
 * mark, CRLF, a newline at the end, and RFC 4180 quotes within a line. Blank lines are
 * passed over. Strict otherwise: ids are 1 to RATING_MAX_ID_LEN bytes, a rating is a
 * finite decimal number, and there is nothing behind the timestamp.
 */
#ifndef TRAINER_RATING_READER_H
#define TRAINER_RATING_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/slice.h"

#define RATING_MAX_ID_LEN   512
#define RATING_MAX_LINE_LEN 65536

struct rating_line {
    struct slice user, item; /* unquoted; valid until the next call */
    int32_t user_number;     /* the id's value when it is a decimal number in */
    int32_t item_number;     /* [0, 10^9) without leading zeros, else -1 */
    float rating;
    struct slice text; /* the line as it stands, without its newline; as above */
    int64_t number;    /* of the line, from 1 */
};

struct rating_reader;

/* `skip_bad`: count bad lines instead of failing at the first. Fails as input_open. */
MUST_CHECK int rating_reader_open(const char *path, bool skip_bad,
                                  struct rating_reader **reader, struct error *error);
void rating_reader_close(struct rating_reader *reader);

/* Returns 1 and a rating, 0 at the end, or -1: ERROR_INVALID with file:line for a bad
 * line, ERROR_IO or ERROR_DAMAGED for a file that cannot be read. */
MUST_CHECK int rating_reader_next(struct rating_reader *reader,
                                  struct rating_line *line, struct error *error);

/* Takes many lines at once while they hold numbers only, ids of up to 8 digits: the
 * ids' values and the ratings, (capacity) each. Returns how many it took. Where that is
 * 0 the next line is another or the file ends: rating_reader_next knows. */
int rating_reader_take_numbers(struct rating_reader *reader, int32_t *user,
                               int32_t *item, float *rating, int capacity);

/* The header line without its newline, or an empty slice; known after the first
 * rating_reader_next. Valid while the reader lives. */
struct slice rating_reader_header(const struct rating_reader *reader);

int64_t rating_reader_n_bad(const struct rating_reader *reader);
/* What was wrong with the first line that was skipped; empty when none was. */
const char *rating_reader_first_bad(const struct rating_reader *reader);

/* Bytes of the file consumed, and in all (-1 when unknown). */
int64_t rating_reader_position(const struct rating_reader *reader);
int64_t rating_reader_size(const struct rating_reader *reader);

#endif

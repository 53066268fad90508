/* number_lines.h - inside rating_reader.h: lines of digits only, which nearly all lines
 * of nearly all ratings files are: 1,31,2.5,1260759144.
 *
 * Ids of 1 to 8 digits without leading zeros, a rating with up to four digits before
 * and behind the point, then perhaps a timestamp of digits and a carriage return. What
 * is taken here means the same to the careful parser; the rest is left to it.
 */
#ifndef TRAINER_NUMBER_LINES_H
#define TRAINER_NUMBER_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "trainer/rating_reader.h"

#define NUMBER_LINES_SLACK 16 /* bytes behind the last newline that may be read */

/* What is known before a line; at first the separator (',' or a tab) and, for no user,
 * .word = UINT64_MAX, which nothing equals under a mask of 0. */
struct number_lines {
    char separator;
    /* The id of the last line's user, if it was a number of up to 7 digits: its first
     * bytes with the separator. */
    uint64_t word, mask;
    size_t len;
    int32_t number;
};

/* The line at p, which a newline ends. Returns that newline and fills user, item, their
 * numbers and the rating of *line, or returns NULL when the line is of another kind;
 * those fields then hold nothing. */
const char *number_line(struct number_lines *lines, const char *p,
                        struct rating_line *line);

/* Where the fields of many lines go; (capacity) each. */
struct number_columns {
    int32_t *user, *item; /* the ids' values */
    float *rating;
};

/* Takes lines from *at on until one is of another kind, `capacity` are taken or `end`,
 * behind a newline, is reached. Moves *at behind them and returns how many they are. */
size_t number_lines_take(struct number_lines *lines, const char **at, const char *end,
                         const struct number_columns *to, size_t capacity);

#endif

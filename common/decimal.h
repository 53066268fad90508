/* decimal.h - numbers as decimal text and back, for hot paths: the shortest text that
 * reads back as the same number, and the nearest double of a text.
 *
 * Writing: R. Giulietti, "The Schubfach way to render doubles" (2021). Reading: the
 * digits times a 128-bit power of ten, as in D. Lemire, "Number parsing at a gigabyte
 * per second", Software: Practice and Experience 51 (2021) 1700; the few texts that
 * this cannot decide go to strtod. Depends on no locale. Nothing here allocates or
 * fails.
 */
#ifndef COMMON_DECIMAL_H
#define COMMON_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

#define DECIMAL_SIZE 32 /* bytes that hold whatever is written here */

/* These write no NUL and return the length. */

size_t decimal_write_int(char to[DECIMAL_SIZE], int64_t value);

/* A finite double or float, as printf's %.Ng with the smallest N >= 15 (for a float: 6)
 * that reads back the same would, but with fewer digits where fewer do. */
size_t decimal_write_double(char to[DECIMAL_SIZE], double value);
size_t decimal_write_float(char to[DECIMAL_SIZE], float value);

/* Reads the JSON number that begins at `at` and stops at or before `end`. Returns where
 * it ended and the nearest double in *value, or NULL when there is no JSON number, it
 * is longer than 1,000 bytes, or its double would be infinite. */
const char *decimal_read(const char *at, const char *end, double *value);

#endif

/* input.h - the bytes of a file, plain or compressed, front to back.
 *
 * gzip and zstd are recognised by their first bytes, not by the file's name, so a
 * renamed file still reads. A damaged or cut-off compressed file is an error, never a
 * short read.
 */
#ifndef TRAINER_INPUT_H
#define TRAINER_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct input;

/* Opens `path`, or standard input for "-". Fails with ERROR_NOT_FOUND, ERROR_IO or
 * ERROR_NOMEM. The caller closes with input_close. */
MUST_CHECK int input_open(const char *path, struct input **input, struct error *error);
void input_close(struct input *input);

/* Reads up to `capacity` (> 0) uncompressed bytes; *got = 0 only at the end. Fails with
 * ERROR_IO, or ERROR_DAMAGED naming the compressed offset. */
MUST_CHECK int input_read(struct input *input, char *to, size_t capacity, size_t *got,
                          struct error *error);

/* Bytes of the file (as stored) consumed so far, and in all: -1 when not a regular
 * file. For progress. */
int64_t input_position(const struct input *input);
int64_t input_size(const struct input *input);

#endif

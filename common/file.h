/* file.h - whole files: read one, replace one so that a crash leaves the old or the
 * new. */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"

/* Reads all of `path` into `contents` (cleared first; the caller frees it with
 * buffer_free). Files above `max_bytes` are refused, so that a wrong argument does not
 * eat the memory. Fails with ERROR_NOT_FOUND, ERROR_IO, ERROR_INVALID (too large) or
 * ERROR_NOMEM. */
MUST_CHECK int file_read(const char *path, size_t max_bytes, struct buffer *contents,
                         struct error *error);

/* Replaces `path` by `data`: written to a temporary beside it, fsynced, renamed, the
 * directory fsynced. On failure the old file is as it was and the temporary is gone.
 * A file that is there keeps its mode; of a symbolic link, the file that it leads to is
 * replaced; a device or FIFO (/dev/null, /dev/stdout) is written to as it stands. */
MUST_CHECK int file_replace(const char *path, struct slice data, struct error *error);

/* The same of what write_to writes, which returns 0, or -1 with errno. */
MUST_CHECK int file_replace_by(const char *path, int (*write_to)(void *context, int fd),
                               void *context, struct error *error);

/* All of `data`; 0, or -1 with errno. */
MUST_CHECK int file_write(int fd, struct slice data);

/* Whether file_replace has a chance, for who would rather know before hours of work.
 * Fails with ERROR_IO (no such directory, no right to write) or ERROR_NOMEM. */
MUST_CHECK int file_check_replaceable(const char *path, struct error *error);

/* Makes a temporary file without a name, in the directory that TMPDIR names, else in
 * /var/tmp: it goes when it is closed. *room is how many bytes it should have at most:
 * half of what is free there. Returns a descriptor for reading and writing, or -1 with
 * ERROR_IO or ERROR_NOMEM. */
MUST_CHECK int file_temporary(int64_t *room, struct error *error);

/* Has the kernel begin to write to the disk what was written to `fd`, waiting for
 * nothing, so that a sync later finds little left to do. Tells of no failure and takes
 * none away from that sync: sync_file_range asks for errors only where it waits. */
void file_start_writing(int fd);

/* fsyncs the directory that holds `path`, so that a new name in it survives a power
 * cut. */
MUST_CHECK int file_sync_directory_of(const char *path, struct error *error);

#endif

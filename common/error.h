/* error.h - what a fallible function tells its caller.
 *
 * A function that can fail takes `struct error *error` last and returns 0 or -1. On -1
 * it has called error_set where the failure was detected, in the user's terms: file and
 * line, the value, the limit, and the remedy where there is one. Callers that do not
 * want the message pass NULL. Nothing here allocates, so out-of-memory can be reported
 * too.
 */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_arg)                                           \
    __attribute__((format(printf, format_index, first_arg)))

enum error_code {
    ERROR_NONE = 0,
    ERROR_INVALID,   /* the caller's or the user's input is wrong */
    ERROR_NOT_FOUND, /* a file, key or name that must exist does not */
    ERROR_IO,        /* the system refused a read, write, sync or rename */
    ERROR_NOMEM,     /* memory ran out */
    ERROR_NUMERIC,   /* a computation cannot be done with these numbers */
    ERROR_DAMAGED,   /* stored bytes fail their checksum or format */
    ERROR_BUSY,      /* somebody else holds it */
};

struct error {
    enum error_code code;
    char message[512]; /* one line, no trailing newline; cut when longer */
};

/* Sets code and message. `error` may be NULL. Does not change errno. */
void error_set(struct error *error, enum error_code code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Puts "prefix: " before the message that is there, e.g. to add a file name. */
void error_prefix(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);

#endif

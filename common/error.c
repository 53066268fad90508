#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void error_set(struct error *error, enum error_code code, const char *format, ...)
{
    if (!error) {
        return;
    }
    const int saved_errno = errno;
    va_list args;
    va_start(args, format);
    error->code = code;
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    errno = saved_errno;
}

void error_prefix(struct error *error, const char *format, ...)
{
    if (!error) {
        return;
    }
    char old[sizeof error->message];
    va_list args;
    memcpy(old, error->message, sizeof old);
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    const size_t used = strlen(error->message);
    snprintf(error->message + used, sizeof error->message - used, ": %s", old);
}

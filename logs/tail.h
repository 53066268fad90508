/* tail.h - follows a log directory while a server writes to it: what is new since the
 * last look.
 *
 * For people who watch, not for analysis: bad lines are passed over in silence, a
 * segment that was compressed before it was first seen is not read, and when more was
 * written than is worth showing the older part is skipped. So looking has a bounded
 * cost however fast the log grows. One thread at a time.
 */
#ifndef LOGS_TAIL_H
#define LOGS_TAIL_H

#include <stdint.h>

#include "common/error.h"
#include "logs/event.h"

struct log_tail;

/* Starts `back_bytes` before the end of every segment that is there, at the next line,
 * so that the first look has something to show. No look reads more than max_bytes of a
 * segment: when more is new, it starts back_bytes before the end again. The directory
 * need not exist yet. Fails with ERROR_NOMEM. */
MUST_CHECK int log_tail_open(const char *directory, int64_t back_bytes,
                             int64_t max_bytes, struct log_tail **tail,
                             struct error *error);

/* Calls on_event for every new event, segment by segment; the event is valid during the
 * call. Fails with ERROR_IO or ERROR_NOMEM; the next call goes on where this one was.
 */
MUST_CHECK int log_tail_read(struct log_tail *tail,
                             void (*on_event)(void *context, const struct event *event),
                             void *context, struct error *error);

void log_tail_free(struct log_tail *tail); /* NULL is allowed */

#endif

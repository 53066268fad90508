/* logs.h - evidence on disk: exposures and feedback as checksummed JSON lines.
 *
 * The writer gives every worker thread a segment of its own and promises that what was
 * committed is written (and synced, where the policy says so). The reader gives every
 * event back, says what is damaged and where, and needs nothing but the directory. Sees
 * only common/.
 */
#ifndef LOGS_LOGS_H
#define LOGS_LOGS_H

#include "logs/event.h"  /* IWYU pragma: export */
#include "logs/extent.h" /* IWYU pragma: export */
#include "logs/marks.h"  /* IWYU pragma: export */
#include "logs/reader.h" /* IWYU pragma: export */
#include "logs/ship.h"   /* IWYU pragma: export */
#include "logs/tail.h"   /* IWYU pragma: export */
#include "logs/writer.h" /* IWYU pragma: export */

#endif

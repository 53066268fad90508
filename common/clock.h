/* clock.h - the two clocks: wall time for records, monotonic time for durations. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

int64_t clock_wall_us(void); /* microseconds since 1970-01-01 UTC */
int64_t
clock_monotonic_ns(void); /* nanoseconds since an arbitrary start; never goes back */

#endif

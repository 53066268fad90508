/* failing_alloc.h - makes the n-th allocation of our own code fail.
 *
 * Every test is linked with --wrap for malloc, calloc and realloc, so each call in
 * abtest's sources (not those inside other libraries) passes through here. Typical use:
 *
 *     for (long n = 0;; n++) {
 *         failing_alloc_at(n);
 *         const int rc = thing_under_test(&error);
 *         if (!failing_alloc_stop()) { break; }  // it needed fewer than n + 1
 * allocations assert_int_equal(rc, -1); assert_int_equal(error.code, ERROR_NOMEM);
 *     }
 *
 * with the leak checker of the asan preset watching what the failures leave behind.
 */
#ifndef TESTS_FAILING_ALLOC_H
#define TESTS_FAILING_ALLOC_H

#include <stdbool.h>

/* From now on in this thread, lets `n` allocations pass and fails the next one. */
void failing_alloc_at(long n);

/* Back to normal; tells whether an allocation was made to fail. */
bool failing_alloc_stop(void);

#endif

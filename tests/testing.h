/* testing.h - cmocka and what every test needs; include it first. */
#ifndef TESTS_TESTING_H
#define TESTS_TESTING_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>

/* Fails unless |actual - expected| <= tolerance; NAN is close to nothing. */
#define assert_close(actual, expected, tolerance)                                      \
    testing_assert_close((actual), (expected), (tolerance), #actual, __FILE__, __LINE__)

static inline void testing_assert_close(double actual, double expected,
                                        double tolerance, const char *what,
                                        const char *file, int line)
{
    if (!(fabs(actual - expected) <= tolerance)) {
        print_error("%s is %.17g, not %.17g +- %g\n", what, actual, expected,
                    tolerance);
        _fail(file, line);
    }
}

#endif

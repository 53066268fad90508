#include "stats/uniformity.h"

#include <math.h>

#include "stats/order.h"
#include "stats/tail.h"

#define PI        3.14159265358979323846
#define LEAST_X   0.1 /* below it, 1 - Q is less than 1e-50 */
#define MEET_X    1.0 /* where the two series are equally short */
#define MAX_TERM  20
#define MAX_EXACT 100000 /* a term a value, and beyond it nothing is gained */

/* ln P(D+ >= distance) of n values. */
static double log_one_sided(double n, double distance)
{
    double largest = -INFINITY, sum = 0;
    const int n_terms = (int)floor(n * (1 - distance)) + 1;
    for (int i = 0; i < n_terms; i++) {
        const double j = i;
        const double rest = 1 - distance - j / n;
        const double term = lgamma(n + 1) - lgamma(j + 1) - lgamma(n - j + 1) +
                            (j - 1) * log(distance + j / n) +
                            (n > j ? (n - j) * log(fmax(rest, 0)) : 0);
        if (term > largest) {
            sum = sum * exp(largest - term) + 1;
            largest = term;
        } else if (isfinite(term)) {
            sum += exp(term - largest);
        }
    }
    return log(distance) + largest + log(sum);
}

/* ln Q(x), from the first series. */
static double log_upper(double x)
{
    double sum = 1;
    for (int k = 2; k <= MAX_TERM; k++) {
        const double term = exp(-2.0 * (k * k - 1) * x * x);
        sum += k % 2 ? term : -term;
    }
    return log(2 * sum) - 2 * x * x;
}

/* 1 - Q(x), from the second. */
static double lower(double x)
{
    double sum = 0;
    for (int k = 1; k < 2 * MAX_TERM; k += 2) {
        sum += exp(-(k * k) * PI * PI / (8 * x * x));
    }
    return sqrt(2 * PI) / x * sum;
}

static struct tail_p two_sided(double n, double distance)
{
    const double root = sqrt(n), x = (root + 0.12 + 0.11 / root) * distance;
    if (n <= MAX_EXACT && n * distance * distance >= 1) {
        return tail_p_from_log(log(2) + log_one_sided(n, distance));
    }
    if (x < LEAST_X) {
        return tail_p_from_log(0);
    }
    return tail_p_from_log(x < MEET_X ? log1p(-lower(x)) : log_upper(x));
}

int uniformity_test(double *values, uint64_t n_values, struct uniformity *result,
                    struct error *error)
{
    if (n_values == 0) {
        error_set(error, ERROR_INVALID, "there are no values to test for uniformity");
        return -1;
    }
    for (uint64_t i = 0; i < n_values; i++) {
        if (!(values[i] >= 0 && values[i] <= 1)) {
            error_set(error, ERROR_INVALID, "value %llu is %g, not within 0 to 1",
                      (unsigned long long)i + 1, values[i]);
            return -1;
        }
    }
    order_sort(values, n_values);
    const double n = (double)n_values;
    double above = 0, below = 0;
    for (uint64_t i = 0; i < n_values; i++) {
        above = fmax(above, ((double)i + 1) / n - values[i]);
        below = fmax(below, values[i] - (double)i / n);
    }
    const double distance = fmax(above, below);
    const struct tail_p p = two_sided(n, distance);
    *result = (struct uniformity){distance, above, below, p.p_value, p.log10_p_value};
    return 0;
}

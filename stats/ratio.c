#include "stats/ratio.h"

#include <math.h>

void ratio_sum_add(struct ratio_sum *sum, double x, double y)
{
    sum->n_units++;
    const double n = (double)sum->n_units;
    const double gap_x = x - sum->mean_x, gap_y = y - sum->mean_y;
    sum->mean_x += gap_x / n;
    sum->mean_y += gap_y / n;
    sum->squares_x += gap_x * (x - sum->mean_x);
    sum->squares_y += gap_y * (y - sum->mean_y);
    sum->products += gap_x * (y - sum->mean_y);
}

void ratio_sum_merge(struct ratio_sum *sum, const struct ratio_sum *other)
{
    if (other->n_units == 0) {
        return;
    }
    if (sum->n_units == 0) {
        *sum = *other;
        return;
    }
    const double n = (double)sum->n_units, m = (double)other->n_units;
    const double gap_x = other->mean_x - sum->mean_x;
    const double gap_y = other->mean_y - sum->mean_y;
    const double weight = n * (m / (n + m));
    sum->mean_x += gap_x * (m / (n + m));
    sum->mean_y += gap_y * (m / (n + m));
    sum->squares_x += other->squares_x + gap_x * gap_x * weight;
    sum->squares_y += other->squares_y + gap_y * gap_y * weight;
    sum->products += other->products + gap_x * gap_y * weight;
    sum->n_units += other->n_units;
}

struct estimate ratio_estimate(const struct ratio_sum *sum)
{
    const double n = (double)sum->n_units;
    const double ratio =
        n > 0 && sum->mean_y != 0 ? sum->mean_x / sum->mean_y : (double)NAN;
    const double squares =
        sum->squares_x - 2 * ratio * sum->products + ratio * ratio * sum->squares_y;
    return (struct estimate){
        .value = ratio,
        .variance = n > 1 ? fmax(squares, 0) / (n - 1) / n / (sum->mean_y * sum->mean_y)
                          : (double)NAN,
        .df = n - 1,
    };
}

static int check_arm(const char *arm, const struct ratio_sum *sum, struct error *error)
{
    if (sum->n_units == 0) {
        error_set(error, ERROR_INVALID, "%s arm has no units", arm);
        return -1;
    }
    if (!(sum->mean_y > 0) || !isfinite(sum->mean_y) || !isfinite(sum->mean_x)) {
        error_set(error, ERROR_INVALID,
                  "%s arm's denominators have mean %g; it must be above 0", arm,
                  sum->mean_y);
        return -1;
    }
    return 0;
}

int ratio_compare(const struct ratio_sum *control, const struct ratio_sum *treatment,
                  double level, enum alternative alternative, struct effect *result,
                  struct error *error)
{
    if (check_arm("control", control, error) != 0 ||
        check_arm("treatment", treatment, error) != 0 ||
        tail_check_level(level, error) != 0) {
        return -1;
    }
    *result = effect_compare(ratio_estimate(control), ratio_estimate(treatment), level,
                             alternative);
    return 0;
}

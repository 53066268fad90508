/* Compiled with -ffp-contract=fast: a meeting of blocks is one thread's, so that the
 * number of threads still changes nothing. */
#include "trainer/bpr_step.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "trainer/kernel.h"

typedef float vector __attribute__((vector_size(BPR_LANES * sizeof(float))));
typedef float four __attribute__((vector_size(BPR_GROUP * sizeof(float))));
typedef uint32_t four_words __attribute__((vector_size(BPR_GROUP * sizeof(uint32_t))));
typedef int32_t eight_items __attribute__((vector_size(8 * sizeof(int32_t))));

#define MAX_ARGUMENT 30.0F
#define GROUPS_AHEAD 3 /* whose rows are fetched */

/* a where the mask is all ones, b where it is 0. */
INLINE four select(four_words mask, four a, four b)
{
    return (four)((mask & (four_words)a) | (~mask & (four_words)b));
}

/* 1 / (1 + exp(-x)), relative error below 3e-7 for |x| < 30, constant beyond. The
 * polynomial is 2^f on [-1/2, 1/2] (Taylor, degree 6: the first term left out is
 * 1.2e-7). */
INLINE four sigmoid(four x)
{
    const four most = {MAX_ARGUMENT, MAX_ARGUMENT, MAX_ARGUMENT, MAX_ARGUMENT};
    x = select((four_words)(x > most), most, x);
    x = select((four_words)(x < -most), -most, x);
    const four t = x * -1.44269504F;
    const four shifted = t + 12582912.0F; /* 1.5 x 2^23: rounds to a whole number */
    const four f = t - (shifted - 12582912.0F);
    /* In pairs, not one term after the other: each step waits for this. */
    const four f2 = f * f;
    const four high = (1.5403530e-4F * f + 1.3333558e-3F) * f + 9.6181291e-3F;
    const four middle = 5.5504109e-2F * f + 2.4022651e-1F;
    const four low = 6.9314718e-1F * f + 1.0F;
    const four p = (high * f2 + middle) * f2 + low;
    /* The low bits of `shifted` are the whole number. */
    return 1 / (1 + (four)((four_words)p + ((four_words)shifted << 23)));
}

INLINE four halves_added(vector v)
{
    return __builtin_shufflevector(v, v, 0, 1, 2, 3) +
           __builtin_shufflevector(v, v, 4, 5, 6, 7);
}

INLINE float sum_of(four v)
{
    return (v[0] + v[2]) + (v[1] + v[3]);
}

/* The sums of four vectors, each in the order of sum_of. */
INLINE four sums_of(const four *v)
{
    const four low = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5) +
                     __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
    const four high = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5) +
                      __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
    return __builtin_shufflevector(low, high, 0, 1, 4, 5) +
           __builtin_shufflevector(low, high, 2, 3, 6, 7);
}

INLINE vector *row_of(float *rows, int stride, int32_t row)
{
    return (vector *)(void *)(rows + (size_t)row * (size_t)stride);
}

/* One sample's rows. */
struct sample {
    vector *u, *vi, *vj;
};

INLINE struct sample sample_of(const struct bpr_rows *rows, int stride,
                               const struct bpr_group *group, int lane)
{
    return (struct sample){row_of(rows->X, stride, group->user[lane]),
                           row_of(rows->Y, stride, group->item[lane]),
                           row_of(rows->Y, stride, group->item[BPR_GROUP + lane])};
}

/* x of the sample, not yet summed. */
INLINE four partial_score(struct sample s, const int n_vectors)
{
    vector sum = s.u[0] * (s.vi[0] - s.vj[0]);
    for (int f = 1; f < n_vectors; f++) {
        sum += s.u[f] * (s.vi[f] - s.vj[f]);
    }
    return halves_added(sum);
}

INLINE void update(const struct bpr_rates *rates, struct sample s, float g,
                   const int n_vectors)
{
    const vector *rate_user = (const vector *)(const void *)rates->user;
    const vector *rate_item = (const vector *)(const void *)rates->item;
    const vector *decay = (const vector *)(const void *)rates->decay;
    for (int f = 0; f < n_vectors; f++) {
        const vector uf = s.u[f], p = s.vi[f], q = s.vj[f];
        s.u[f] = uf + rate_user[f] * (g * (p - q) - decay[f] * uf);
        s.vi[f] = p + rate_item[f] * (g * uf - decay[f] * p);
        s.vj[f] = q - rate_item[f] * (g * uf + decay[f] * q);
    }
}

INLINE float dot(const vector *u, const vector *v, const int n_vectors)
{
    vector sum = u[0] * v[0];
    for (int f = 1; f < n_vectors; f++) {
        sum += u[f] * v[f];
    }
    return sum_of(halves_added(sum));
}

INLINE void choose(const struct bpr_rows *rows, int stride, struct bpr_group *group,
                   int lane, const int32_t *candidate, int n_candidates,
                   const int n_vectors)
{
    const vector *u = row_of(rows->X, stride, group->user[lane]);
    int32_t best = candidate[0];
    float best_score = dot(u, row_of(rows->Y, stride, best), n_vectors);
    for (int c = 1; c < n_candidates; c++) {
        const float score = dot(u, row_of(rows->Y, stride, candidate[c]), n_vectors);
        if (score > best_score) {
            best = candidate[c];
            best_score = score;
        }
    }
    group->item[BPR_GROUP + lane] = best;
}

INLINE void step_alone(const struct bpr_rates *rates, const struct bpr_rows *rows,
                       const struct bpr_group *group, int lane, double *product,
                       const int n_vectors)
{
    const struct sample s = sample_of(rows, n_vectors * BPR_LANES, group, lane);
    const float x = sum_of(partial_score(s, n_vectors));
    const float sigma = sigmoid((four){x, x, x, x})[0];
    product[lane] *= (double)sigma;
    update(rates, s, 1 - sigma, n_vectors);
}

INLINE void step_together(const struct bpr_rates *rates, const struct bpr_rows *rows,
                          const struct bpr_group *group, double *product,
                          const int n_vectors)
{
    struct sample s[BPR_GROUP];
    four x[BPR_GROUP];
    for (int lane = 0; lane < BPR_GROUP; lane++) {
        s[lane] = sample_of(rows, n_vectors * BPR_LANES, group, lane);
        x[lane] = partial_score(s[lane], n_vectors);
    }
    const four sigma = sigmoid(sums_of(x)), g = 1 - sigma;
    for (int lane = 0; lane < BPR_GROUP; lane++) {
        product[lane] *= (double)sigma[lane];
        update(rates, s[lane], g[lane], n_vectors);
    }
}

/* Whether an item stands in a group twice: each is held against those one to four
 * places behind it, in a ring. */
INLINE bool shares_item(const struct bpr_group *group)
{
    eight_items v;
    uint64_t words[4];
    memcpy(&v, group->item, sizeof v);
    const eight_items same =
        (v == __builtin_shufflevector(v, v, 1, 2, 3, 4, 5, 6, 7, 0)) |
        (v == __builtin_shufflevector(v, v, 2, 3, 4, 5, 6, 7, 0, 1)) |
        (v == __builtin_shufflevector(v, v, 3, 4, 5, 6, 7, 0, 1, 2)) |
        (v == __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3));
    memcpy(words, &same, sizeof words);
    return (words[0] | words[1] | words[2] | words[3]) != 0;
}

INLINE void fetch_row(const float *rows, int stride, int32_t row)
{
    const char *at = (const char *)(rows + (size_t)row * (size_t)stride);
    for (size_t b = 0; b < (size_t)stride * sizeof(float); b += 64) {
        __builtin_prefetch(at + b, 1);
    }
}

/* Of a sample that comes soon. */
INLINE void fetch_rows(const struct bpr_rows *rows, int stride,
                       const struct bpr_samples *samples, int n, int lane)
{
    const int n_candidates = samples->n_candidates;
    if (n >= samples->n) {
        return;
    }
    fetch_row(rows->Y, stride, samples->group[n].item[lane]);
    if (!samples->candidate) {
        fetch_row(rows->Y, stride, samples->group[n].item[BPR_GROUP + lane]);
        return;
    }
    for (int c = 0; c < n_candidates; c++) {
        fetch_row(
            rows->Y, stride,
            samples->candidate[((ptrdiff_t)n * BPR_GROUP + lane) * n_candidates + c]);
    }
}

/* All lanes, or one (>= 0) of them. */
INLINE void steps(const struct bpr_rates *rates, const struct bpr_rows *rows,
                  const struct bpr_samples *samples, const int only, double *product,
                  const int n_vectors)
{
    const int stride = n_vectors * BPR_LANES, n_candidates = samples->n_candidates;
    const int first = only < 0 ? 0 : only, end = only < 0 ? BPR_GROUP : only + 1;
    for (int n = 0; n < samples->n; n++) {
        struct bpr_group *group = samples->group + n;
        for (int lane = first; lane < end; lane++) {
            fetch_rows(rows, stride, samples, n + GROUPS_AHEAD, lane);
            if (samples->candidate) {
                choose(rows, stride, group, lane,
                       samples->candidate +
                           ((ptrdiff_t)n * BPR_GROUP + lane) * n_candidates,
                       n_candidates, n_vectors);
            }
        }
        if (only < 0 && !shares_item(group)) {
            step_together(rates, rows, group, product, n_vectors);
            continue;
        }
        for (int lane = first; lane < end; lane++) {
            step_alone(rates, rows, group, lane, product, n_vectors);
        }
    }
}

/* The widths that people use get loops without a counter. */
INLINE void steps_by_width(const struct bpr_rates *rates, const struct bpr_rows *rows,
                           const struct bpr_samples *samples, const int only,
                           double *product)
{
    switch (rates->stride / BPR_LANES) {
    case 1:
        steps(rates, rows, samples, only, product, 1);
        break;
    case 2:
        steps(rates, rows, samples, only, product, 2);
        break;
    case 3:
        steps(rates, rows, samples, only, product, 3);
        break;
    case 5:
        steps(rates, rows, samples, only, product, 5);
        break;
    case 9:
        steps(rates, rows, samples, only, product, 9);
        break;
    default:
        steps(rates, rows, samples, only, product, rates->stride / BPR_LANES);
    }
}

static void together(const struct bpr_rates *rates, const struct bpr_rows *rows,
                     const struct bpr_samples *samples, double *product)
{
    steps_by_width(rates, rows, samples, -1, product);
}

static void alone(const struct bpr_rates *rates, const struct bpr_rows *rows,
                  const struct bpr_samples *samples, int lane, double *product)
{
    steps(rates, rows, samples, lane, product, rates->stride / BPR_LANES);
}

#if defined(__x86_64__)

__attribute__((target("avx2,fma"))) static void
together_avx2(const struct bpr_rates *rates, const struct bpr_rows *rows,
              const struct bpr_samples *samples, double *product)
{
    steps_by_width(rates, rows, samples, -1, product);
}

__attribute__((target("avx2,fma"))) static void
alone_avx2(const struct bpr_rates *rates, const struct bpr_rows *rows,
           const struct bpr_samples *samples, int lane, double *product)
{
    steps(rates, rows, samples, lane, product, rates->stride / BPR_LANES);
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#else

#define together_avx2 together
#define alone_avx2    alone

static bool has_avx2(void)
{
    return false;
}

#endif

void bpr_steps(const struct bpr_rates *rates, const struct bpr_rows *rows,
               const struct bpr_samples *samples, double *product)
{
    (has_avx2() ? together_avx2 : together)(rates, rows, samples, product);
}

void bpr_steps_of_lane(const struct bpr_rates *rates, const struct bpr_rows *rows,
                       const struct bpr_samples *samples, int lane, double *product)
{
    (has_avx2() ? alone_avx2 : alone)(rates, rows, samples, lane, product);
}

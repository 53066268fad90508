/* Compiled with -ffp-contract=fast: a meeting of blocks is one thread's, so that the
 * number of threads still changes nothing. */
#include "trainer/bpr_step.h"

#include <stddef.h>
#include <string.h>

typedef float vector __attribute__((vector_size(BPR_LANES * sizeof(float))));

#define INLINE       static inline __attribute__((always_inline))
#define MAX_ARGUMENT 30.0F

/* 1 / (1 + exp(-x)), relative error below 3e-7 for |x| < 30, constant beyond. The
 * library's expf costs more than the rest of a step. The polynomial is 2^f on [-1/2,
 * 1/2] (Taylor, degree 6: the first term left out is 1.2e-7). */
INLINE float sigmoid(float x)
{
    x = x > MAX_ARGUMENT ? MAX_ARGUMENT : x < -MAX_ARGUMENT ? -MAX_ARGUMENT : x;
    const float t = -x * 1.44269504F;
    const float shifted = t + 12582912.0F; /* 1.5 x 2^23: rounds to a whole number */
    const float f = t - (shifted - 12582912.0F);
    /* In pairs, not one term after the other: each step waits for this. */
    const float f2 = f * f;
    const float high = (1.5403530e-4F * f + 1.3333558e-3F) * f + 9.6181291e-3F;
    const float middle = 5.5504109e-2F * f + 2.4022651e-1F;
    const float low = 6.9314718e-1F * f + 1.0F;
    float p = (high * f2 + middle) * f2 + low;
    uint32_t bits, exponent;
    memcpy(&bits, &p, sizeof bits);
    memcpy(&exponent, &shifted, sizeof exponent);
    bits += exponent << 23; /* the low bits of `shifted` are the whole number */
    memcpy(&p, &bits, sizeof p);
    return 1 / (1 + p);
}

INLINE float sum_lanes(const vector *v)
{
    return (((*v)[0] + (*v)[4]) + ((*v)[2] + (*v)[6])) +
           (((*v)[1] + (*v)[5]) + ((*v)[3] + (*v)[7]));
}

INLINE const vector *row_of(const float *Y, int stride, int32_t row)
{
    return (const vector *)(const void *)(Y + (size_t)row * (size_t)stride);
}

INLINE float dot(const vector *u, const vector *v, const int n_vectors)
{
    vector sum = u[0] * v[0];
    for (int f = 1; f < n_vectors; f++) {
        sum += u[f] * v[f];
    }
    return sum_lanes(&sum);
}

INLINE int32_t best_candidate(const vector *u, const float *Y, int stride,
                              const int32_t *j, int n_candidates, const int n_vectors)
{
    int32_t best = j[0];
    float best_score =
        n_candidates > 1 ? dot(u, row_of(Y, stride, best), n_vectors) : 0;
    for (int c = 1; c < n_candidates; c++) {
        const float score = dot(u, row_of(Y, stride, j[c]), n_vectors);
        if (score > best_score) {
            best = j[c];
            best_score = score;
        }
    }
    return best;
}

INLINE double steps(const struct bpr_rates *rates, const struct bpr_samples *samples,
                    float *user, float *Y, const int n_vectors)
{
    const int stride = n_vectors * BPR_LANES, n_candidates = samples->n_candidates;
    const vector *rate_user = (const vector *)(const void *)rates->user;
    const vector *rate_item = (const vector *)(const void *)rates->item;
    const vector *decay = (const vector *)(const void *)rates->decay;
    vector *u = (vector *)(void *)user;
    double product = 1;
    for (int s = 0; s < samples->n; s++) {
        const int32_t *candidates = samples->j + (ptrdiff_t)s * n_candidates;
        const int32_t worse =
            best_candidate(u, Y, stride, candidates, n_candidates, n_vectors);
        vector *vi = (vector *)(void *)(Y + (size_t)samples->i[s] * (size_t)stride);
        vector *vj = (vector *)(void *)(Y + (size_t)worse * (size_t)stride);
        vector sum = u[0] * (vi[0] - vj[0]);
        for (int f = 1; f < n_vectors; f++) {
            sum += u[f] * (vi[f] - vj[f]);
        }
        const float sigma = sigmoid(sum_lanes(&sum)), g = 1 - sigma;
        product *= (double)sigma;
        for (int f = 0; f < n_vectors; f++) {
            const vector uf = u[f], p = vi[f], q = vj[f];
            u[f] = uf + rate_user[f] * (g * (p - q) - decay[f] * uf);
            vi[f] = p + rate_item[f] * (g * uf - decay[f] * p);
            vj[f] = q - rate_item[f] * (g * uf + decay[f] * q);
        }
    }
    return product;
}

/* The widths that people use get loops without a counter. */
INLINE double steps_by_width(const struct bpr_rates *rates,
                             const struct bpr_samples *samples, float *u, float *Y)
{
    switch (rates->stride / BPR_LANES) {
    case 1:
        return steps(rates, samples, u, Y, 1);
    case 2:
        return steps(rates, samples, u, Y, 2);
    case 3:
        return steps(rates, samples, u, Y, 3);
    case 5:
        return steps(rates, samples, u, Y, 5);
    case 9:
        return steps(rates, samples, u, Y, 9);
    default:
        return steps(rates, samples, u, Y, rates->stride / BPR_LANES);
    }
}

#if defined(__x86_64__)

__attribute__((target("avx2,fma"))) static double
steps_avx2(const struct bpr_rates *rates, const struct bpr_samples *samples, float *u,
           float *Y)
{
    return steps_by_width(rates, samples, u, Y);
}

double bpr_steps(const struct bpr_rates *rates, const struct bpr_samples *samples,
                 float *u, float *Y)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
               ? steps_avx2(rates, samples, u, Y)
               : steps_by_width(rates, samples, u, Y);
}

#else

double bpr_steps(const struct bpr_rates *rates, const struct bpr_samples *samples,
                 float *u, float *Y)
{
    return steps_by_width(rates, samples, u, Y);
}

#endif

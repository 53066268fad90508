/* topk_kernel.h - the inner loops of topk.c, once for each kind of processor. */
#ifndef SERVE_TOPK_KERNEL_H
#define SERVE_TOPK_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "serve/topk.h"

#define TOPK_CHUNK      64   /* items; a mask of them is one word */
#define TOPK_LOOK_AHEAD 4096 /* bytes; a scan asks for codes so far ahead of time */

/* What a scan of one chunk needs. Codes are (n_groups, TOPK_CHUNK, 4): four factors of
 * an item side by side, as the multiply-add instructions want them, each code the
 * factor over the chunk's scale plus 128, best on lines of cache. TOPK_LOOK_AHEAD bytes
 * behind them are the caller's too, though what they hold does not matter. */
struct topk_scan {
    const uint8_t *codes;
    const int8_t *user; /* (n_groups, 4) the user's vector in -63..63 */
    int32_t n_groups;
    int32_t offset;    /* 128 times the sum of `user`, to be taken off */
    float scale;       /* of the product of codes */
    const float *bias; /* (TOPK_CHUNK) */
    float bias_weight;
    float top_bias; /* the largest bias_weight * bias: where even with it all are out,
                     * which is most often, biases need not be read */
    float least;    /* items whose approximate score is below are out */
};

/* Bit i: item i of the chunk is not out. */
typedef uint64_t topk_scan_function(const struct topk_scan *scan);

/* Dot product in single precision, in any order. */
typedef float topk_dot_function(const float *a, const float *b, int32_t n);

struct topk_kernel {
    topk_scan_function *scan;
    topk_dot_function *dot;
};

/* Wants AVX-512 F and VNNI; there is none elsewhere than on x86-64. */
topk_scan_function topk_scan_avx512;

/* The best that this processor has, using no instructions beyond `most`. */
struct topk_kernel topk_kernel_within(enum topk_instructions most);

#endif

/* The kernels of least squares against the formulas written out in double precision. */
#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "trainer/cholesky_internal.h"
#include "trainer/normal.h"

static void fill_rows(float *rows, int n_rows, int n_columns, uint64_t seed)
{
    struct rng rng;
    const int stride = normal_stride(n_columns);
    rng_init(&rng, seed, 0);
    memset(rows, 0, (size_t)n_rows * (size_t)stride * sizeof *rows);
    for (int n = 0; n < n_rows; n++) {
        for (int f = 0; f < n_columns; f++) {
            rows[n * stride + f] = (float)rng_normal(&rng);
        }
    }
}

static void sums_are_those_of_the_outer_products(void **state)
{
    (void)state;
    for (int n_columns = 1; n_columns <= 75; n_columns++) {
        const int stride = normal_stride(n_columns), n_rows = 1 + n_columns * 7 % 64;
        float *rows = normal_alloc((size_t)n_rows * (size_t)stride);
        float *sums = normal_alloc((size_t)stride * (size_t)stride);
        assert_true(rows && sums);
        fill_rows(rows, n_rows, n_columns, (uint64_t)n_columns);

        normal_add(rows, n_rows, n_columns, sums);
        normal_add(rows, n_rows, n_columns, sums);

        for (int i = 0; i < n_columns; i++) {
            for (int j = 0; j <= i; j++) {
                double expected = 0;
                for (int n = 0; n < n_rows; n++) {
                    expected +=
                        2 * (double)rows[n * stride + i] * (double)rows[n * stride + j];
                }
                assert_close((double)sums[i * stride + j], expected, 1e-4);
            }
        }
        normal_free(rows);
        normal_free(sums);
    }
}

/* At every width and at batches of any length: only the cache may notice. */
static void fetching_rows_ahead_leaves_the_same_bytes(void **state)
{
    (void)state;
    enum { N_TABLE = 50 };
    int32_t next[NORMAL_BATCH];
    for (int i = 0; i < NORMAL_BATCH; i++) {
        next[i] = i * 37 % N_TABLE;
    }
    for (int n_columns = 1; n_columns <= 140; n_columns += n_columns < 30 ? 1 : 11) {
        const int stride = normal_stride(n_columns), n_rows = 1 + n_columns * 5 % 64;
        const size_t size = (size_t)stride * (size_t)stride;
        float *rows = normal_alloc((size_t)n_rows * (size_t)stride);
        float *table = normal_alloc(N_TABLE * (size_t)stride);
        float *sums = normal_alloc(2 * size);
        const struct normal_ahead ahead = {table, next, n_columns % 3 ? n_rows : 1};
        assert_true(rows && table && sums);
        fill_rows(rows, n_rows, n_columns, (uint64_t)n_columns);

        normal_add(rows, n_rows, n_columns, sums);
        normal_add_ahead(rows, n_rows, n_columns, sums + size, &ahead);

        assert_memory_equal(sums, sums + size, size * sizeof *sums);
        normal_free(rows);
        normal_free(table);
        normal_free(sums);
    }
}

/* Gauss elimination in double precision on the symmetric matrix that the sums hold. */
static void naive_solve(const float *sums, int n, double ridge, double last_ridge,
                        double *z)
{
    const int stride = normal_stride(n + 1);
    double *a = malloc((size_t)n * (size_t)(n + 1) * sizeof *a);
    assert_non_null(a);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            a[i * (n + 1) + j] =
                (double)(j <= i ? sums[i * stride + j] : sums[j * stride + i]);
        }
        a[i * (n + 1) + i] += i < n - 1 ? ridge : last_ridge;
        a[i * (n + 1) + n] = (double)sums[n * stride + i];
    }
    for (int p = 0; p < n; p++) {
        for (int i = 0; i < n; i++) {
            const double factor = a[i * (n + 1) + p] / a[p * (n + 1) + p];
            for (int j = p; j <= n && i != p; j++) {
                a[i * (n + 1) + j] -= factor * a[p * (n + 1) + j];
            }
        }
    }
    for (int i = 0; i < n; i++) {
        z[i] = a[i * (n + 1) + n] / a[i * (n + 1) + i];
    }
    free(a);
}

static void solutions_are_those_of_elimination(void **state)
{
    (void)state;
    for (int n = 1; n <= 70; n += n < 30 ? 1 : 13) {
        const int stride = normal_stride(n + 1), n_rows = 50;
        const size_t size = (size_t)stride * (size_t)stride;
        float *rows = normal_alloc((size_t)n_rows * (size_t)stride);
        float *sums = normal_alloc(CHOLESKY_LANES * size);
        float *scratch = normal_alloc(cholesky_scratch(n));
        float *z = normal_alloc(CHOLESKY_LANES * (size_t)n);
        double expected[70];
        const float *systems[CHOLESKY_LANES];
        float ridge[CHOLESKY_LANES], last_ridge[CHOLESKY_LANES];
        assert_true(rows && sums && scratch && z);
        for (int l = 0; l < CHOLESKY_LANES; l++) {
            fill_rows(rows, n_rows, n + 1, (uint64_t)n * 100 + (uint64_t)l);
            normal_add(rows, n_rows, n + 1, sums + (size_t)l * size);
            systems[l] = sums + (size_t)l * size;
            ridge[l] = 4 + (float)l;
            last_ridge[l] = 2;
        }

        assert_int_equal(
            cholesky_solve(systems, n, ridge, last_ridge, NULL, scratch, z), 0);

        for (int l = 0; l < CHOLESKY_LANES; l++) {
            naive_solve(systems[l], n, (double)ridge[l], (double)last_ridge[l],
                        expected);
            for (int i = 0; i < n; i++) {
                assert_close((double)z[l * n + i], expected[i], 2e-4);
            }
        }
        normal_free(rows);
        normal_free(sums);
        normal_free(scratch);
        normal_free(z);
    }
}

static void a_lane_that_is_not_positive_definite_is_named(void **state)
{
    (void)state;
    enum { n = 3 };
    const int stride = normal_stride(n + 1);
    const size_t size = (size_t)stride * (size_t)stride;
    float *sums = normal_alloc(CHOLESKY_LANES * size);
    float *scratch = normal_alloc(cholesky_scratch(n));
    float z[CHOLESKY_LANES * n];
    const float *systems[CHOLESKY_LANES];
    float ridge[CHOLESKY_LANES];
    assert_true(sums && scratch);
    for (int l = 0; l < CHOLESKY_LANES; l++) {
        systems[l] = sums + (size_t)l * size;
        ridge[l] = l == 5 || l == 14 ? 0 : 1;
        sums[(size_t)l * size + (size_t)(n * stride) + 1] = 6;
    }

    assert_int_equal(cholesky_solve(systems, n, ridge, ridge, NULL, scratch, z),
                     1 << 5 | 1 << 14);

    assert_close((double)z[0 * n + 1], 6, 1e-6); /* the others are solved */
    assert_close((double)z[7 * n + 0], 0, 1e-6);
    assert_close((double)z[15 * n + 1], 6, 1e-6);
    normal_free(sums);
    normal_free(scratch);
}

/* Draws of [[2, 1], [1, 2]]^-1: variances 2/3, covariance -1/3, means from b = (1, 0).
 */
static void noise_gives_draws_with_the_inverse_as_covariance(void **state)
{
    (void)state;
    enum { n = 2, N_DRAWS = 40000 };
    const int stride = normal_stride(n + 1);
    float *sums = normal_alloc((size_t)stride * (size_t)stride);
    float *scratch = normal_alloc(cholesky_scratch(n));
    float z[CHOLESKY_LANES * n], noise[CHOLESKY_LANES * n];
    const float *systems[CHOLESKY_LANES];
    float ridge[CHOLESKY_LANES];
    double sum[2] = {0, 0}, square[3] = {0, 0, 0};
    struct rng rng;
    assert_true(sums && scratch);
    rng_init(&rng, 3, 3);
    sums[0] = sums[stride] = sums[stride + 1] = 1;
    sums[2 * stride] = 1;
    for (int l = 0; l < CHOLESKY_LANES; l++) {
        systems[l] = sums;
        ridge[l] = 1;
    }

    for (int d = 0; d < N_DRAWS / CHOLESKY_LANES; d++) {
        for (int i = 0; i < CHOLESKY_LANES * n; i++) {
            noise[i] = (float)rng_normal(&rng);
        }
        assert_int_equal(cholesky_solve(systems, n, ridge, ridge, noise, scratch, z),
                         0);
        for (int l = 0; l < CHOLESKY_LANES; l++) {
            const double x = (double)z[l * n], y = (double)z[l * n + 1];
            sum[0] += x;
            sum[1] += y;
            square[0] += x * x;
            square[1] += x * y;
            square[2] += y * y;
        }
    }

    const double mean[2] = {sum[0] / N_DRAWS, sum[1] / N_DRAWS};
    /* 99.9 %: 3.29 x sqrt(2/3 / 40000) = 0.0134, and 3.29 x sqrt(2) x 2/3 / 200 =
     * 0.0155 */
    assert_close(mean[0], 2.0 / 3, 0.0134);
    assert_close(mean[1], -1.0 / 3, 0.0134);
    assert_close(square[0] / N_DRAWS - mean[0] * mean[0], 2.0 / 3, 0.0155);
    assert_close(square[1] / N_DRAWS - mean[0] * mean[1], -1.0 / 3, 0.0155);
    assert_close(square[2] / N_DRAWS - mean[1] * mean[1], 2.0 / 3, 0.0155);
    normal_free(sums);
    normal_free(scratch);
}

/* Both kernels on the same systems, with noise; the fourth has no solution. */
static void assert_same_solutions(cholesky_kernel *one, cholesky_kernel *other,
                                  double tolerance)
{
    for (int n = 1; n <= 70; n++) {
        const int stride = normal_stride(n + 1), n_rows = n + 20;
        const size_t size = (size_t)stride * (size_t)stride;
        const size_t n_z = CHOLESKY_LANES * (size_t)n;
        float *rows = normal_alloc((size_t)n_rows * (size_t)stride);
        float *sums = normal_alloc(CHOLESKY_LANES * size);
        float *scratch = normal_alloc(cholesky_scratch(n));
        float *z = normal_alloc(3 * n_z); /* of both, and the noise */
        const float *systems[CHOLESKY_LANES];
        float ridge[CHOLESKY_LANES];
        assert_true(rows && sums && scratch && z);
        for (int l = 0; l < CHOLESKY_LANES; l++) {
            fill_rows(rows, n_rows, n + 1, (uint64_t)n * 50 + (uint64_t)l);
            normal_add(rows, n_rows, n + 1, sums + (size_t)l * size);
            systems[l] = sums + (size_t)l * size;
            ridge[l] = l == 3 ? -1e6F : 1 + (float)l;
        }
        memcpy(z + 2 * n_z, rows, (size_t)n * sizeof *z);
        struct cholesky_job job = {.sums = systems,
                                   .n = n,
                                   .ridge = ridge,
                                   .last_ridge = ridge,
                                   .noise = z + 2 * n_z,
                                   .scratch = scratch,
                                   .z = z};

        assert_int_equal(one(&job), 1 << 3);
        job.z = z + n_z;
        assert_int_equal(other(&job), 1 << 3);

        for (size_t at = 0; at < n_z; at++) {
            if (at / (size_t)n != 3) {
                assert_close((double)z[at], (double)z[n_z + at], tolerance);
            }
        }
        normal_free(rows);
        normal_free(sums);
        normal_free(scratch);
        normal_free(z);
    }
}

static void avx512_and_avx2_solve_to_the_same_bytes(void **state)
{
    (void)state;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        assert_same_solutions(cholesky_solve_avx512, cholesky_solve_avx2, 0);
        return;
    }
#endif
    skip();
}

static void avx2_solves_as_the_baseline(void **state)
{
    (void)state;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        assert_same_solutions(cholesky_solve_avx2, cholesky_solve_baseline, 2e-3);
        return;
    }
#endif
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_the_outer_products),
        cmocka_unit_test(fetching_rows_ahead_leaves_the_same_bytes),
        cmocka_unit_test(solutions_are_those_of_elimination),
        cmocka_unit_test(a_lane_that_is_not_positive_definite_is_named),
        cmocka_unit_test(avx512_and_avx2_solve_to_the_same_bytes),
        cmocka_unit_test(avx2_solves_as_the_baseline),
        cmocka_unit_test(noise_gives_draws_with_the_inverse_as_covariance),
    };
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}

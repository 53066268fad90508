#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "tests/failing_alloc.h"
#include "trainer/half_step.h"
#include "trainer/heavy_rows.h"
#include "trainer/normal.h"

#define N         3
#define STRIDE    8
#define N_COLS    600000 /* 19 MB of rows: three parts */
#define N_ROWS    12
#define PER_LIGHT 40

/* Rows 2, 5 and 7 have a rating of every column but one in ten, the others few. */
struct set {
    struct half_step step;
    int64_t start[N_ROWS + 1];
    int32_t *col;
    float *rating, *X, *Y, ridge[N_ROWS];
};

static bool is_heavy(int32_t row)
{
    return row == 2 || row == 5 || row == 7;
}

static void set_init(struct set *s)
{
    struct rng rng;
    int64_t n = 0;
    rng_init(&rng, 3, 1);
    s->col = malloc(4 * (size_t)N_COLS * sizeof *s->col);
    s->rating = malloc(4 * (size_t)N_COLS * sizeof *s->rating);
    s->Y = normal_alloc((size_t)N_COLS * STRIDE);
    s->X = normal_alloc((size_t)N_ROWS * STRIDE);
    assert_true(s->col && s->rating && s->X && s->Y);
    for (int32_t c = 0; c < N_COLS; c++) {
        for (int f = 0; f < N; f++) {
            s->Y[(size_t)c * STRIDE + (size_t)f] = (float)rng_normal(&rng);
        }
    }
    for (int32_t row = 0; row < N_ROWS; row++) {
        s->start[row] = n;
        s->ridge[row] = 2 + (float)row;
        for (int32_t c = row; c < N_COLS; c += is_heavy(row) ? 1 : N_COLS / PER_LIGHT) {
            if (!is_heavy(row) || rng_below(&rng, 10) != 0) {
                s->col[n] = c;
                s->rating[n++] = 1 + (float)rng_below(&rng, 5);
            }
        }
    }
    s->start[N_ROWS] = n;
    s->step = (struct half_step){
        .n = N,
        .stride = STRIDE,
        .n_rows = N_ROWS,
        .n_cols = N_COLS,
        .start = s->start,
        .col = s->col,
        .rating = s->rating,
        .Y = s->Y,
        .X = s->X,
        .ridge = s->ridge,
        .last_ridge = s->ridge,
    };
}

static void set_free(struct set *s)
{
    free(s->col);
    free(s->rating);
    normal_free(s->X);
    normal_free(s->Y);
}

static void parts_hold_every_rating_of_the_popular_rows_once(void **state)
{
    (void)state;
    struct set s;
    struct heavy_rows heavy;
    set_init(&s);

    assert_int_equal(heavy_rows_init(&heavy, &s.step), 0);

    assert_int_equal(heavy.n, 3);
    assert_int_equal(heavy.n_parts, 3);
    const int32_t order[N_ROWS] = {2, 5, 7, 0, 1, 3, 4, 6, 8, 9, 10, 11};
    assert_memory_equal(heavy.order, order, sizeof order);
    for (int h = 0; h < 3; h++) {
        const int64_t *bounds = heavy.bounds + (ptrdiff_t)h * 4;
        assert_int_equal(bounds[0], s.start[order[h]]);
        assert_int_equal(bounds[3], s.start[order[h] + 1]);
        for (int p = 1; p < 3; p++) { /* 8 MiB of rows of 32 bytes */
            assert_true(s.col[bounds[p] - 1] < p * 262144);
            assert_true(s.col[bounds[p]] >= p * 262144);
        }
    }
    heavy_rows_free(&heavy);
    set_free(&s);
}

/* (sum y y^T + ridge) x - sum r y = 0, in double precision. */
static void every_row_solves_its_equations(void **state)
{
    (void)state;
    struct set s;
    set_init(&s);

    assert_int_equal(half_step_run(&s.step, "item", 2, NULL), 0);

    for (int32_t row = 0; row < N_ROWS; row++) {
        const float *x = s.X + (size_t)row * STRIDE;
        double rest[N];
        const double n = (double)(s.start[row + 1] - s.start[row]);
        for (int f = 0; f < N; f++) {
            rest[f] = (double)s.ridge[row] * (double)x[f];
        }
        for (int64_t at = s.start[row]; at < s.start[row + 1]; at++) {
            const float *y = s.Y + (size_t)s.col[at] * STRIDE;
            double off = -(double)s.rating[at];
            for (int f = 0; f < N; f++) {
                off += (double)x[f] * (double)y[f];
            }
            for (int f = 0; f < N; f++) {
                rest[f] += off * (double)y[f];
            }
        }
        for (int f = 0; f < N; f++) {
            assert_close(rest[f] / n, 0, 1e-4);
        }
    }
    set_free(&s);
}

static void bytes_are_the_same_with_1_2_and_4_threads(void **state)
{
    (void)state;
    struct set s;
    float one[N_ROWS * STRIDE];
    set_init(&s);
    assert_int_equal(half_step_run(&s.step, "item", 1, NULL), 0);
    memcpy(one, s.X, sizeof one);

    for (int n_threads = 2; n_threads <= 4; n_threads += 2) {
        memset(s.X, 0, sizeof one);
        assert_int_equal(half_step_run(&s.step, "item", n_threads, NULL), 0);
        assert_memory_equal(s.X, one, sizeof one);
    }
    set_free(&s);
}

static void no_memory_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    struct set s;
    struct error error = {0};
    set_init(&s);

    for (long n = 0; n < 2; n++) {
        failing_alloc_at(n);
        const int rc = half_step_run(&s.step, "item", 1, &error);
        assert_true(failing_alloc_stop());
        assert_int_equal(rc, -1);
        assert_int_equal(error.code, ERROR_NOMEM);
    }
    set_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_hold_every_rating_of_the_popular_rows_once),
        cmocka_unit_test(every_row_solves_its_equations),
        cmocka_unit_test(bytes_are_the_same_with_1_2_and_4_threads),
        cmocka_unit_test(no_memory_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("heavy_rows", tests, NULL, NULL);
}

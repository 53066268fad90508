#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "tests/failing_alloc.h"
#include "trainer/quadtree.h"
#include "trainer/trainer.h"

/* Three clusters of N / 3 rows in ten dimensions, far apart. */
enum { N = 150, K = 10 };

static void make_clusters(float *rows)
{
    struct rng rng;
    rng_init(&rng, 4, 0);
    for (int i = 0; i < N; i++) {
        for (int p = 0; p < K; p++) {
            rows[i * K + p] = (float)(rng_normal(&rng) + (p == i % 3 ? 12 : 0));
        }
    }
}

/* Expected: numpy.linalg.svd of the centred rows (numpy 1.24.2). */
static void pca_matches_numpy(void **state)
{
    (void)state;
    const float rows[] = {2, 0, 1, 4, 1, 0, 6, 1, 1, 8, 3, 0, 1, 5, 2};
    const double expected[] = {-1.777659783, -2.390280362, 0.170899983, -1.103153574,
                               1.866006706,  -0.561082522, 3.628120479, 1.696204249,
                               -3.887367385, 2.358312210};
    double out[10], share[2];

    assert_int_equal(pca_project(rows, 5, 3, 2, out, share, NULL), 0);

    for (int j = 0; j < 10; j++) {
        assert_close(out[j], expected[j], 1e-6);
    }
    assert_close(share[0], 0.677250882, 1e-6);
    assert_close(share[1], 0.303952460, 1e-6);
}

static void pca_of_equal_rows_is_zero(void **state)
{
    (void)state;
    const float rows[] = {1, 2, 1, 2, 1, 2};
    double out[6], share[2];

    assert_int_equal(pca_project(rows, 3, 2, 2, out, share, NULL), 0);

    for (int j = 0; j < 6; j++) {
        assert_close(out[j], 0, 1e-12);
    }
    assert_close(share[0], 0, 0);
}

static void pca_refuses_what_is_not_finite(void **state)
{
    (void)state;
    const float rows[] = {1, NAN, 1, 2};
    double out[4], share[2];
    struct error error = {0};

    assert_int_equal(pca_project(rows, 2, 2, 2, out, share, &error), -1);

    assert_int_equal(error.code, ERROR_NUMERIC);
}

static void neighbors_are_the_nearest(void **state)
{
    (void)state;
    static float rows[N * K], squared[N * 7];
    static int32_t index[N * 7], again[N * 7];
    const struct neighbors first = {index, squared}, second = {again, squared};
    make_clusters(rows);

    assert_int_equal(neighbors_find(rows, N, K, 7, 1, &first, NULL), 0);
    assert_int_equal(neighbors_find(rows, N, K, 7, 3, &second, NULL), 0);

    assert_memory_equal(index, again, sizeof index);
    for (int i = 0; i < N; i++) {
        double last = 0, d[N];
        int n_nearer = 0;
        for (int j = 0; j < N; j++) {
            d[j] = 0;
            for (int p = 0; p < K; p++) {
                const double e = (double)rows[i * K + p] - (double)rows[j * K + p];
                d[j] += e * e;
            }
        }
        for (int m = 0; m < 7; m++) {
            assert_int_not_equal(index[i * 7 + m], i);
            assert_close(squared[i * 7 + m], d[index[i * 7 + m]], 1e-3);
            assert_true((double)squared[i * 7 + m] >= last);
            last = (double)squared[i * 7 + m];
        }
        for (int j = 0; j < N; j++) {
            n_nearer += j != i && d[j] < last - 1e-3;
        }
        assert_true(n_nearer <= 6);
    }
}

static void repulsion_matches_the_sum_over_all_points(void **state)
{
    (void)state;
    static double points[2 * 300];
    struct quadtree tree = {0};
    struct rng rng;
    rng_init(&rng, 9, 0);
    for (int i = 0; i < 600; i++) {
        points[i] = 5 * rng_normal(&rng);
    }
    memcpy(points + 10, points, 2 * sizeof *points); /* two points in one place */
    assert_int_equal(quadtree_build(&tree, points, 300, NULL), 0);
    for (int i = 0; i < 300; i++) {
        double exact[2] = {0, 0}, found[2] = {0, 0}, rough[2] = {0, 0}, sum = 0;
        for (int j = 0; j < 300; j++) {
            const double dx = points[2 * i] - points[2 * j];
            const double dy = points[2 * i + 1] - points[2 * j + 1];
            const double q = 1 / (1 + dx * dx + dy * dy);
            sum += j == i ? 0 : q;
            exact[0] += q * q * dx;
            exact[1] += q * q * dy;
        }

        const double z = quadtree_repel(&tree, points + 2 * i, 0, found);
        const double rough_z = quadtree_repel(&tree, points + 2 * i, 0.5, rough);

        assert_close(z, sum, 1e-9 * sum);
        assert_close(found[0], exact[0], 1e-9);
        assert_close(found[1], exact[1], 1e-9);
        assert_close(rough_z, sum, 0.05 * sum);
        assert_close(rough[0], exact[0], 0.1 + 0.1 * fabs(exact[0]));
    }
    quadtree_free(&tree);
}

static void points_in_one_place_end_the_tree(void **state)
{
    (void)state;
    const double points[] = {1, 1, 1, 1, 1 + 1e-15, 1, 1, 1};
    struct quadtree tree = {0};
    double force[2] = {0, 0};

    assert_int_equal(quadtree_build(&tree, points, 4, NULL), 0);

    assert_close(quadtree_repel(&tree, points, 0.5, force), 3, 1e-9);
    assert_close(force[0], 0, 1e-9);
    quadtree_free(&tree);
}

static void tsne_keeps_clusters_together(void **state)
{
    (void)state;
    static float rows[N * K];
    static double y[2 * N], again[2 * N];
    struct tsne_config config = tsne_config_default();
    double divergence = 0;
    int n_right = 0;
    config.perplexity = 15;
    config.n_iterations = 300;
    make_clusters(rows);

    assert_int_equal(tsne_embed(rows, N, K, &config, y, &divergence, NULL), 0);

    for (int i = 0; i < N; i++) {
        int nearest = -1;
        double best = INFINITY;
        for (int j = 0; j < N; j++) {
            const double d = hypot(y[2 * i] - y[2 * j], y[2 * i + 1] - y[2 * j + 1]);
            if (j != i && d < best) {
                best = d;
                nearest = j;
            }
        }
        n_right += nearest % 3 == i % 3;
    }
    assert_int_equal(n_right, N);
    assert_true(divergence > 0 && divergence < 1);
    config.n_threads = 3;
    assert_int_equal(tsne_embed(rows, N, K, &config, again, NULL, NULL), 0);
    assert_memory_equal(y, again, sizeof y);
}

static void tsne_takes_the_smallest_and_the_degenerate(void **state)
{
    (void)state;
    const float equal[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, line[] = {1, 2, 3, 4, 9};
    struct tsne_config config = tsne_config_default();
    struct error error = {0};
    double y[10];
    config.n_iterations = 50;

    assert_int_equal(tsne_embed(equal, 5, 2, &config, y, NULL, &error), 0);
    config.use_cosine = true;
    assert_int_equal(tsne_embed(equal, 5, 2, &config, y, NULL, &error), 0);
    config.use_cosine = false;
    assert_int_equal(tsne_embed(line, 5, 1, &config, y, NULL, &error), 0);
    for (int i = 0; i < 10; i++) {
        assert_true(isfinite(y[i]));
    }
    assert_int_equal(tsne_embed(equal, 3, 2, &config, y, NULL, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
    config.theta = 0.9;
    assert_int_equal(tsne_embed(equal, 5, 2, &config, y, NULL, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
}

static void lack_of_memory_is_reported(void **state)
{
    (void)state;
    static float rows[N * K];
    static double y[2 * N];
    struct tsne_config config = tsne_config_default();
    config.n_iterations = 10;
    config.use_cosine = true;
    make_clusters(rows);
    for (long n = 0;; n++) {
        struct error error = {0};
        failing_alloc_at(n);
        const int rc = tsne_embed(rows, N, K, &config, y, NULL, &error);
        if (!failing_alloc_stop()) {
            assert_int_equal(rc, 0);
            assert_true(n > 15);
            break;
        }
        assert_int_equal(rc, -1);
        assert_int_equal(error.code, ERROR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pca_matches_numpy),
        cmocka_unit_test(pca_of_equal_rows_is_zero),
        cmocka_unit_test(pca_refuses_what_is_not_finite),
        cmocka_unit_test(neighbors_are_the_nearest),
        cmocka_unit_test(repulsion_matches_the_sum_over_all_points),
        cmocka_unit_test(points_in_one_place_end_the_tree),
        cmocka_unit_test(tsne_keeps_clusters_together),
        cmocka_unit_test(tsne_takes_the_smallest_and_the_degenerate),
        cmocka_unit_test(lack_of_memory_is_reported),
    };
    return cmocka_run_group_tests_name("embed", tests, NULL, NULL);
}

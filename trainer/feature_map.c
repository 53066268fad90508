#include "trainer/feature_map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* M is held as `solution`, (n_outputs, n_columns) row-major: LAPACK's right sides,
 * column by column. */
struct feature_map {
    const struct item_features *features;
    const double *weights;
    double *factor; /* (n_columns, n_columns): Cholesky's, column-major upper */
    double *solution;
    int n_columns, n_outputs;
};

/* F^T W F + ridge I, row-major lower triangle, which is LAPACK's upper one. */
static void fill_matrix(const struct feature_map *map, double ridge)
{
    const struct item_features *f = map->features;
    const size_t n = (size_t)map->n_columns;
    for (int32_t i = 0; i < f->n_items; i++) {
        for (int64_t p = f->start[i]; p < f->start[i + 1]; p++) {
            for (int64_t q = f->start[i]; q <= p; q++) {
                map->factor[(size_t)f->column[p] * n + (size_t)f->column[q]] +=
                    map->weights[i];
            }
        }
    }
    for (size_t c = 0; c < n; c++) {
        map->factor[c * n + c] += ridge;
    }
}

/* Row by row, in an order of its own: LAPACK's would depend on how many threads the
 * library takes. Returns the order of the minor that is not positive, or 0. */
static int factorize(double *A, int n)
{
    for (int i = 0; i < n; i++) {
        double *row = A + (size_t)i * (size_t)n;
        for (int j = 0; j <= i; j++) {
            const double *other = A + (size_t)j * (size_t)n;
            double sum = row[j];
            for (int k = 0; k < j; k++) {
                sum -= row[k] * other[k];
            }
            if (i == j && !(sum > 0)) {
                return i + 1;
            }
            row[j] = i == j ? sqrt(sum) : sum / other[j];
        }
    }
    return 0;
}

/* z := (L L^T)^-1 z. */
static void solve(const double *L, int n, double *z)
{
    for (int i = 0; i < n; i++) {
        const double *row = L + (size_t)i * (size_t)n;
        for (int k = 0; k < i; k++) {
            z[i] -= row[k] * z[k];
        }
        z[i] /= row[i];
    }
    for (int i = n - 1; i >= 0; i--) {
        const double *row = L + (size_t)i * (size_t)n;
        z[i] /= row[i];
        for (int k = 0; k < i; k++) {
            z[k] -= row[k] * z[i];
        }
    }
}

int feature_map_new(const struct item_features *features, const double *weights,
                    double ridge, int n_outputs, struct feature_map **map,
                    struct error *error)
{
    const size_t n = (size_t)features->n_columns;
    struct feature_map *made = calloc(1, sizeof *made);
    if (made) {
        made->factor = calloc(n * n, sizeof *made->factor);
        made->solution = calloc(n * (size_t)n_outputs, sizeof *made->solution);
    }
    if (!made || !made->factor || !made->solution) {
        error_set(error, ERROR_NOMEM, "no memory to learn from %zu features", n);
        feature_map_free(made);
        return -1;
    }
    made->features = features;
    made->weights = weights;
    made->n_columns = features->n_columns;
    made->n_outputs = n_outputs;
    fill_matrix(made, ridge);
    if (factorize(made->factor, made->n_columns) != 0) {
        error_set(error, ERROR_NUMERIC,
                  "the map from %zu features cannot be solved for; raise its ridge "
                  "above %g",
                  n, ridge);
        feature_map_free(made);
        return -1;
    }
    *map = made;
    return 0;
}

void feature_map_free(struct feature_map *map)
{
    if (map) {
        free(map->factor);
        free(map->solution);
        free(map);
    }
}

void feature_map_learn(struct feature_map *map, const float *rows, int stride,
                       int bias_at)
{
    const struct item_features *f = map->features;
    const size_t n = (size_t)map->n_columns;
    memset(map->solution, 0, n * (size_t)map->n_outputs * sizeof *map->solution);
    for (int32_t i = 0; i < f->n_items; i++) {
        const float *row = rows + (size_t)i * (size_t)stride;
        for (int o = 0; o < map->n_outputs && map->weights[i] > 0; o++) {
            const double z = (double)row[o + 1 < map->n_outputs ? o : bias_at];
            for (int64_t p = f->start[i]; p < f->start[i + 1]; p++) {
                map->solution[(size_t)o * n + (size_t)f->column[p]] +=
                    map->weights[i] * z;
            }
        }
    }
    for (int o = 0; o < map->n_outputs; o++) {
        solve(map->factor, map->n_columns, map->solution + (size_t)o * n);
    }
}

void feature_map_apply(const struct feature_map *map, float *centre)
{
    const struct item_features *f = map->features;
    const size_t n = (size_t)map->n_columns, n_outputs = (size_t)map->n_outputs;
    for (int32_t i = 0; i < f->n_items; i++) {
        for (size_t o = 0; o < n_outputs; o++) {
            double sum = 0;
            for (int64_t p = f->start[i]; p < f->start[i + 1]; p++) {
                sum += map->solution[o * n + (size_t)f->column[p]];
            }
            centre[(size_t)i * n_outputs + o] = (float)sum;
        }
    }
}

double feature_map_square(const struct feature_map *map, int o)
{
    const double *column = map->solution + (size_t)o * (size_t)map->n_columns;
    double sum = 0;
    for (int c = 0; c < map->n_columns; c++) {
        sum += column[c] * column[c];
    }
    return sum;
}

void feature_map_copy(const struct feature_map *map, float *rows)
{
    for (int c = 0; c < map->n_columns; c++) {
        for (int o = 0; o < map->n_outputs; o++) {
            *rows++ =
                (float)map->solution[(size_t)o * (size_t)map->n_columns + (size_t)c];
        }
    }
}

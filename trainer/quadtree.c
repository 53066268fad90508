#include "trainer/quadtree.h"

#include <math.h>
#include <stdlib.h>

/* Points closer than the root's width / 2^MAX_DEPTH share a leaf. */
#define MAX_DEPTH 40

void quadtree_free(struct quadtree *tree)
{
    free(tree->cells);
    *tree = (struct quadtree){0};
}

/* Room for four more cells. */
static int reserve(struct quadtree *tree, int32_t capacity, struct error *error)
{
    if (capacity <= tree->capacity) {
        return 0;
    }
    const int32_t doubled =
        2 * tree->capacity > capacity ? 2 * tree->capacity : capacity;
    struct quadtree_cell *cells =
        realloc(tree->cells, (size_t)doubled * sizeof *tree->cells);
    if (!cells) {
        error_set(error, ERROR_NOMEM, "quadtree: no memory for %d cells", doubled);
        return -1;
    }
    tree->cells = cells;
    tree->capacity = doubled;
    return 0;
}

/* Where a square is while the tree is walked down. */
struct square {
    double x, y, half; /* centre, half a side */
};

/* Which quarter holds the point; moves the square there. */
static int32_t descend(struct square *at, const double *point)
{
    const int32_t quarter = (point[0] > at->x) + 2 * (point[1] > at->y);
    at->half /= 2;
    at->x += point[0] > at->x ? at->half : -at->half;
    at->y += point[1] > at->y ? at->half : -at->half;
    return quarter;
}

/* Gives the leaf four quarters and moves its points, all at its centre of mass, into
 * theirs. */
static int split(struct quadtree *tree, int32_t cell, struct square at,
                 struct error *error)
{
    if (reserve(tree, tree->n_cells + 4, error) != 0) {
        return -1;
    }
    const int32_t first = tree->n_cells;
    const struct quadtree_cell moved = tree->cells[cell];
    const double centre[2] = {moved.x, moved.y};
    for (int32_t q = 0; q < 4; q++) {
        tree->cells[first + q] = (struct quadtree_cell){.width2 = at.half * at.half};
    }
    tree->n_cells += 4;
    tree->cells[cell].children = first;
    struct quadtree_cell *child = &tree->cells[first + descend(&at, centre)];
    child->x = moved.x;
    child->y = moved.y;
    child->count = moved.count;
    return 0;
}

static int insert(struct quadtree *tree, struct square at, const double *point,
                  struct error *error)
{
    int32_t cell = 0;
    for (int depth = 0;; depth++) {
        struct quadtree_cell *c = &tree->cells[cell];
        const int is_leaf = c->children == 0;
        const int is_same = c->x == point[0] && c->y == point[1];
        if (is_leaf && c->count > 0 && !is_same && depth < MAX_DEPTH &&
            split(tree, cell, at, error) != 0) {
            return -1;
        }
        c = &tree->cells[cell]; /* splitting may have moved the cells */
        c->count++;
        if (c->count == 1) {
            c->x = point[0];
            c->y = point[1];
        } else if (!is_same || !is_leaf) {
            c->x += (point[0] - c->x) / c->count;
            c->y += (point[1] - c->y) / c->count;
        }
        if (c->children == 0) {
            return 0;
        }
        const int32_t children = c->children;
        cell = children + descend(&at, point);
    }
}

int quadtree_build(struct quadtree *tree, const double *points, int32_t n,
                   struct error *error)
{
    double low[2] = {points[0], points[1]}, high[2] = {points[0], points[1]};
    for (int32_t i = 1; i < n; i++) {
        for (int d = 0; d < 2; d++) {
            low[d] = fmin(low[d], points[2 * i + d]);
            high[d] = fmax(high[d], points[2 * i + d]);
        }
    }
    const double half =
        fmax(high[0] - low[0], high[1] - low[1]) / 2 * (1 + 1e-9) + 1e-300;
    const struct square root = {(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, half};
    if (reserve(tree, 1, error) != 0) {
        return -1;
    }
    tree->n_cells = 1;
    tree->cells[0] = (struct quadtree_cell){.width2 = 4 * half * half};
    for (int32_t i = 0; i < n; i++) {
        if (insert(tree, root, points + 2 * (size_t)i, error) != 0) {
            return -1;
        }
    }
    return 0;
}

double quadtree_repel(const struct quadtree *tree, const double *point, double theta,
                      double *force)
{
    int32_t stack[4 * MAX_DEPTH + 8];
    int depth = 0;
    double sum = 0, fx = 0, fy = 0;
    stack[depth++] = 0;
    while (depth > 0) {
        const struct quadtree_cell *c = &tree->cells[stack[--depth]];
        const double dx = point[0] - c->x, dy = point[1] - c->y;
        const double distance2 = dx * dx + dy * dy;
        if (c->children == 0 || c->width2 < theta * theta * distance2) {
            const double q = 1 / (1 + distance2);
            sum += c->count * q;
            fx += c->count * q * q * dx;
            fy += c->count * q * q * dy;
            continue;
        }
        for (int32_t child = c->children; child < c->children + 4; child++) {
            if (tree->cells[child].count > 0) {
                stack[depth++] = child;
            }
        }
    }
    force[0] += fx;
    force[1] += fy;
    return sum - 1; /* the point itself: no force, q = 1 */
}

#include "trainer/ratings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/search.h"
#include "trainer/rating_ids.h"
#include "trainer/rating_reader.h"
#include "trainer/ratings_build.h"

#define PROGRESS_LINES ((int64_t)1 << 18)
#define LINES_AT_ONCE  2048

/* What is shared by the files that are read into the same indices. */
struct indexer {
    struct rating_ids users, items;
};

static int indexer_init(struct indexer *indexer, struct error *error)
{
    if (rating_ids_init(&indexer->users) != 0 ||
        rating_ids_init(&indexer->items) != 0) {
        error_set(error, ERROR_NOMEM, "ratings: no memory for the ids");
        return -1;
    }
    return 0;
}

static void indexer_release(struct indexer *indexer)
{
    rating_ids_release(&indexer->users);
    rating_ids_release(&indexer->items);
}

static int no_memory(const char *path, int64_t n, struct error *error)
{
    error_set(error, ERROR_NOMEM, "%s: no memory for more than %lld ratings", path,
              (long long)n);
    return -1;
}

/* How many ratings the file will have in all, as far as it was read; 0: not known. */
static int64_t expected_ratings(const struct rating_reader *reader, int64_t n)
{
    const double position = (double)rating_reader_position(reader);
    const double size = (double)rating_reader_size(reader);
    const double n_expected = size > 0 ? 1.01 * (double)n * size / position : 0;
    return position > 0 && n_expected < (double)(INT64_MAX / 64) ? (int64_t)n_expected
                                                                 : 0;
}

static int take_line(const struct rating_line *line, struct indexer *indexer,
                     struct ratings_triples *triples)
{
    const int32_t user = rating_ids_of(&indexer->users, line->user, line->user_number);
    const int32_t item = rating_ids_of(&indexer->items, line->item, line->item_number);
    if (user == ID_NONE || item == ID_NONE) {
        return -1;
    }
    triples->item[triples->n] = item;
    triples->rating[triples->n] = line->rating;
    return ratings_triples_add(triples, &user, 1);
}

/* Takes lines of numbers, or one of another kind. Returns 1, 0 at the end, or -1. */
static int take_lines(const char *path, struct rating_reader *reader,
                      struct indexer *indexer, struct ratings_triples *triples,
                      struct error *error)
{
    int32_t user[LINES_AT_ONCE];
    struct rating_line line;
    if (ratings_triples_reserve(triples, LINES_AT_ONCE,
                                expected_ratings(reader, triples->n)) != 0) {
        return no_memory(path, triples->n, error);
    }
    int32_t *item = triples->item + triples->n;
    const int n = rating_reader_take_numbers(
        reader, user, item, triples->rating + triples->n, LINES_AT_ONCE);
    if (n == 0) {
        const int got = rating_reader_next(reader, &line, error);
        return got > 0 && take_line(&line, indexer, triples) != 0
                   ? no_memory(path, triples->n, error)
                   : got;
    }
    if (rating_ids_of_numbers(&indexer->users, user, (size_t)n) != 0 ||
        rating_ids_of_numbers(&indexer->items, item, (size_t)n) != 0 ||
        ratings_triples_add(triples, user, n) != 0) {
        return no_memory(path, triples->n, error);
    }
    return 1;
}

static void note_progress(const struct ratings_options *options,
                          const struct rating_reader *reader, int64_t n)
{
    if (options && options->progress) {
        options->progress(options->context, rating_reader_position(reader),
                          rating_reader_size(reader), n);
    }
}

static int read_triples(const char *path, struct ratings_options *options,
                        struct indexer *indexer, struct ratings_triples *triples,
                        struct error *error)
{
    struct rating_reader *reader = NULL;
    int64_t n_noted = 0;
    int rc = -1, got = 0;
    if (rating_reader_open(path, options && options->skip_bad, &reader, error) != 0) {
        return -1;
    }
    while ((got = take_lines(path, reader, indexer, triples, error)) > 0) {
        if (triples->n - n_noted >= PROGRESS_LINES) {
            n_noted = triples->n;
            note_progress(options, reader, n_noted);
        }
    }
    if (got < 0) {
        goto out;
    }
    note_progress(options, reader, triples->n);
    if (triples->n == 0) {
        error_set(error, ERROR_INVALID, "%s: no ratings in it", path);
        goto out;
    }
    if (options && rating_reader_n_bad(reader)) {
        if (options->n_bad == 0) {
            snprintf(options->first_bad, sizeof options->first_bad, "%s",
                     rating_reader_first_bad(reader));
        }
        options->n_bad += rating_reader_n_bad(reader);
    }
    rc = 0;

out:
    rating_reader_close(reader);
    return rc;
}

int ratings_load_with(const char *path, struct ratings_options *options,
                      struct ratings **ratings, struct error *error)
{
    struct indexer indexer = {0};
    struct ratings_triples triples = {0};
    int rc = -1;
    if (options) {
        options->n_bad = options->n_duplicates = 0;
    }
    if (indexer_init(&indexer, error) != 0 ||
        read_triples(path, options, &indexer, &triples, error) != 0 ||
        ratings_take(&triples, indexer.users.map, indexer.items.map, ratings, error) !=
            0) {
        goto out;
    }
    indexer.users.map = indexer.items.map = NULL;
    if (options) {
        options->n_duplicates = triples.n - (*ratings)->n_ratings;
    }
    rc = 0;

out:
    ratings_triples_free(&triples);
    indexer_release(&indexer);
    return rc;
}

int ratings_load(const char *path, struct ratings **ratings, struct error *error)
{
    return ratings_load_with(path, NULL, ratings, error);
}

static struct id_map *copy_map(const struct id_map *map)
{
    struct id_map *copy = id_map_new();
    for (int32_t i = 0; copy && i < id_map_count(map); i++) {
        if (id_map_add(copy, id_map_id(map, i)) == ID_NONE) {
            id_map_free(copy);
            return NULL;
        }
    }
    return copy;
}

int ratings_load_pair(const char *train_path, const char *test_path,
                      struct ratings_options *options, struct ratings **train,
                      struct ratings **test, struct error *error)
{
    struct indexer indexer = {0};
    struct ratings_triples triples[2] = {{0}, {0}};
    struct ratings *made = NULL, *made_test = NULL;
    struct id_map *users = NULL, *items = NULL;
    int rc = -1;
    if (options) {
        options->n_bad = options->n_duplicates = 0;
    }
    if (indexer_init(&indexer, error) != 0 ||
        read_triples(train_path, options, &indexer, &triples[0], error) != 0 ||
        read_triples(test_path, options, &indexer, &triples[1], error) != 0) {
        goto out;
    }
    users = copy_map(indexer.users.map);
    items = copy_map(indexer.items.map);
    if (!users || !items) {
        error_set(error, ERROR_NOMEM, "%s: no memory for the ids", test_path);
        goto out;
    }
    if (ratings_take(&triples[1], users, items, &made_test, error) != 0) {
        goto out;
    }
    users = items = NULL;
    if (ratings_take(&triples[0], indexer.users.map, indexer.items.map, &made, error) !=
        0) {
        goto out;
    }
    indexer.users.map = indexer.items.map = NULL;
    if (options) {
        options->n_duplicates =
            triples[0].n + triples[1].n - made->n_ratings - made_test->n_ratings;
    }
    *train = made;
    *test = made_test;
    made_test = NULL;
    rc = 0;

out:
    ratings_free(made_test);
    id_map_free(users);
    id_map_free(items);
    ratings_triples_free(&triples[0]);
    ratings_triples_free(&triples[1]);
    indexer_release(&indexer);
    return rc;
}

void ratings_free(struct ratings *ratings)
{
    if (ratings) {
        free(ratings->user_start);
        free(ratings->user_item);
        free(ratings->user_rating);
        free(ratings->item_start);
        free(ratings->item_user);
        free(ratings->item_rating);
        id_map_free(ratings->users);
        id_map_free(ratings->items);
        free(ratings);
    }
}

void ratings_drop_items(struct ratings *ratings)
{
    free(ratings->item_start);
    free(ratings->item_user);
    free(ratings->item_rating);
    ratings->item_start = NULL;
    ratings->item_user = NULL;
    ratings->item_rating = NULL;
}

double ratings_mean(const struct ratings *ratings)
{
    double sum = 0;
    for (int64_t i = 0; i < ratings->n_ratings; i++) {
        sum += (double)ratings->user_rating[i];
    }
    return ratings->n_ratings ? sum / (double)ratings->n_ratings : 0;
}

float ratings_get(const struct ratings *ratings, int32_t user, int32_t item)
{
    const int64_t end = ratings->user_start[user + 1];
    const int64_t at =
        lower_bound(ratings->user_item, ratings->user_start[user], end, item);
    return at < end && ratings->user_item[at] == item ? ratings->user_rating[at] : NAN;
}

int ratings_add_items(struct ratings *ratings, const struct id_map *items,
                      struct error *error)
{
    struct ratings *r = ratings;
    const size_t most =
        (size_t)r->n_items + (size_t)id_map_count(items) + 1; /* starts */
    int64_t *start = realloc(r->item_start, most * sizeof *start);
    if (!start) {
        error_set(error, ERROR_NOMEM, "no memory for %zu items", most - 1);
        return -1;
    }
    r->item_start = start;
    for (int32_t i = 0; i < id_map_count(items); i++) {
        const int32_t at = id_map_add(r->items, id_map_id(items, i));
        if (at == ID_NONE) {
            error_set(error, ERROR_NOMEM, "no memory for %zu items", most - 1);
            return -1;
        }
        if (at == r->n_items) {
            r->n_items++;
            r->item_start[r->n_items] = r->n_ratings;
        }
    }
    return 0;
}

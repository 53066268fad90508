#include "trainer/split.h"

#include <stdlib.h>

#include "common/hash.h"
#include "common/rng.h"

bool split_is_held_out(struct slice user, struct slice item, uint64_t seed,
                       double fraction)
{
    struct rng rng;
    rng_init(&rng, seed ^ hash_bytes(user.data, user.len),
             hash_bytes(item.data, item.len));
    return rng_uniform(&rng) < fraction;
}

struct part {
    int32_t *user, *item;
    float *rating;
    int64_t n;
};

static void part_free(struct part *part)
{
    free(part->user);
    free(part->item);
    free(part->rating);
}

static int part_new(struct part *part, int64_t n, struct error *error)
{
    const size_t room = n ? (size_t)n : 1;
    part->user = malloc(room * sizeof *part->user);
    part->item = malloc(room * sizeof *part->item);
    part->rating = malloc(room * sizeof *part->rating);
    if (!part->user || !part->item || !part->rating) {
        error_set(error, ERROR_NOMEM, "no memory to split %lld ratings", (long long)n);
        return -1;
    }
    return 0;
}

static struct id_map *copy_ids(const struct id_map *map)
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

static int part_build(const struct part *part, const struct ratings *all,
                      struct ratings **ratings, struct error *error)
{
    const struct rating_triples triples = {part->user, part->item, part->rating,
                                           part->n};
    struct id_map *users = copy_ids(all->users), *items = copy_ids(all->items);
    if (users && items && ratings_build(&triples, users, items, ratings, error) == 0) {
        return 0;
    }
    if (!users || !items) {
        error_set(error, ERROR_NOMEM, "no memory to copy the ids");
    }
    id_map_free(users);
    id_map_free(items);
    return -1;
}

static void deal(const struct ratings *all, double fraction, uint64_t seed,
                 struct part *train, struct part *test)
{
    for (int32_t user = 0; user < all->n_users; user++) {
        for (int64_t i = all->user_start[user]; i < all->user_start[user + 1]; i++) {
            const bool held_out = split_is_held_out(
                id_map_id(all->users, user), id_map_id(all->items, all->user_item[i]),
                seed, fraction);
            struct part *part = held_out ? test : train;
            part->user[part->n] = user;
            part->item[part->n] = all->user_item[i];
            part->rating[part->n++] = all->user_rating[i];
        }
    }
}

int split_ratings(const struct ratings *all, double fraction, uint64_t seed,
                  struct ratings **train, struct ratings **test, struct error *error)
{
    struct part parts[2] = {{0}, {0}};
    struct ratings *made = NULL;
    int rc = -1;
    if (part_new(&parts[0], all->n_ratings, error) != 0 ||
        part_new(&parts[1], all->n_ratings, error) != 0) {
        goto out;
    }
    deal(all, fraction, seed, &parts[0], &parts[1]);
    if (parts[0].n == 0 || parts[1].n == 0) {
        error_set(error, ERROR_INVALID,
                  "a test fraction of %g leaves %lld of %lld ratings to train on; both "
                  "parts need some%s",
                  fraction, (long long)parts[0].n, (long long)all->n_ratings,
                  parts[0].n ? SPLIT_HINT : "");
        goto out;
    }
    if (part_build(&parts[0], all, &made, error) != 0 ||
        part_build(&parts[1], all, test, error) != 0) {
        goto out;
    }
    *train = made;
    made = NULL;
    rc = 0;

out:
    ratings_free(made);
    part_free(&parts[0]);
    part_free(&parts[1]);
    return rc;
}

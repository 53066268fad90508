/* item_features.h - what is known of an item besides its ratings: genres and tags, one
 * column each, 1 where the item has it.
 *
 * Genres come from movies.csv (movieId,title,genre|genre), tags from tags.csv
 * (userId,movieId,tag[,timestamp]); letter case does not matter. "(no genres listed)"
 * is no genre. A tag needs ITEM_FEATURES_MIN_ITEMS items to be a column, for fewer say
 * nothing about the next item, and of more than ITEM_FEATURES_MAX_TAGS those on most
 * items are taken (among equals the one that the file names first): the map from
 * features to factors is solved for with a matrix of columns x columns.
 *
 * A line break or other control character within a genre or tag counts as a blank.
 * How many people gave an item the same tag does not count. Tags that were written
 * after a held-out rating are a look into the future; who measures with them must mind.
 */
#ifndef TRAINER_ITEM_FEATURES_H
#define TRAINER_ITEM_FEATURES_H

#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "trainer/ratings.h"

#define ITEM_FEATURES_MIN_ITEMS 3
#define ITEM_FEATURES_MAX_TAGS  1000

struct item_features {
    int32_t n_items;  /* as the ratings they were loaded for */
    int32_t n_genres; /* columns 1 .. n_genres; column 0 is 1 for every item */
    int32_t n_tags;   /* columns behind them */
    int32_t n_columns;
    int64_t *start;  /* (n_items + 1): item i has column[start[i] .. start[i + 1]) */
    int32_t *column; /* ascending within an item */
    struct buffer names; /* of the columns, each with \n behind it, as in format.h */
};

/* Reads genres and tags; either path may be NULL. Items of the files that `ratings`
 * does not have are added to it, without ratings. Fails with ERROR_NOT_FOUND, ERROR_IO,
 * ERROR_NOMEM or ERROR_INVALID (file:line first); `ratings` may then have new items.
 * The caller frees with item_features_free. */
MUST_CHECK int item_features_load(const char *genres_path, const char *tags_path,
                                  struct ratings *ratings,
                                  struct item_features **features, struct error *error);

/* Likewise with the columns of a model's map: `names` as in struct item_features. A
 * genre or tag that is none of them is passed over. ERROR_INVALID also when two columns
 * have the same name. */
MUST_CHECK int item_features_load_known(const char *genres_path, const char *tags_path,
                                        struct slice names, struct ratings *ratings,
                                        struct item_features **features,
                                        struct error *error);
void item_features_free(struct item_features *features);

#endif

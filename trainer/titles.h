/* titles.h - what an item is called: movies.csv (movieId,title[,genres]), RFC 4180
 * quoting.
 *
 * A header line is known by its second field, "title", and skipped, as are empty lines.
 * Nothing is guessed: a line that does not follow the format is an error, because a
 * title that is cut in the wrong place looks right until somebody reads it.
 */
#ifndef TRAINER_TITLES_H
#define TRAINER_TITLES_H

#include "common/error.h"
#include "common/id_map.h"
#include "common/slice.h"

struct titles;

/* Reads `path`. Fails with ERROR_NOT_FOUND, ERROR_IO, ERROR_NOMEM or ERROR_INVALID (the
 * message begins with file:line); *titles is then untouched. The caller frees with
 * titles_free. */
MUST_CHECK int titles_load(const char *path, struct titles **titles,
                           struct error *error);
void titles_free(struct titles *titles);

/* The title of an item id, or an empty slice. Valid while `titles` lives. Thread-safe.
 */
struct slice titles_find(const struct titles *titles, struct slice item_id);

/* The genres field as written ("Comedy|Drama"), or an empty slice. */
struct slice titles_genres(const struct titles *titles, struct slice item_id);

/* The ids of the items, in the order of the file. Valid while `titles` lives. */
const struct id_map *titles_ids(const struct titles *titles);

#endif

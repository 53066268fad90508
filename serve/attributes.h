/* attributes.h - what a request says of its user, for audiences: query parameters
 * `attr.NAME=VALUE` or members of a JSON object.
 *
 * Only attributes that the config declares are looked at: a client may send more. One
 * of the wrong type is a mistake of the client and told, for taken as unknown it would
 * put the user out of the audience without a word.
 */
#ifndef SERVE_ATTRIBUTES_H
#define SERVE_ATTRIBUTES_H

#include <jansson.h>

#include "serve/server.h"

#define ATTRIBUTE_PREFIX "attr."

struct attribute_values {
    struct attribute_value items[CONFIG_MAX_ATTRIBUTES]; /* (config.n_attributes) */
};

/* Fills *values from the query; answers 400 and returns -1 on a wrong type. Strings are
 * slices of the request. */
MUST_CHECK int attributes_of_query(struct http_exchange *x,
                                   struct attribute_values *values);

/* Fills *values from the members of `object`; null counts as absent. Strings belong to
 * the object. Returns NULL, or the attribute that is of a wrong type. */
MUST_CHECK const struct attribute *attributes_of_json(const struct config *config,
                                                      const json_t *object,
                                                      struct attribute_values *values);

/* The known ones as the log writes them: `events` has room for CONFIG_MAX_ATTRIBUTES.
 * Returns how many. */
int attributes_to_events(const struct config *config,
                         const struct attribute_value *values,
                         struct event_attribute *events);

#endif

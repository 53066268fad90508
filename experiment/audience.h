/* audience.h - who an experiment is for: a condition over attributes of the request.
 *
 *     audience = country in (NL, ZA) and platform != ios and not (age < 18)
 *
 * Attributes are declared with their type in [attributes]: string, number or boolean;
 * what does not fit the type is a mistake, found before anything is served. Operators:
 * = != in, not in for strings and numbers, < <= > >= for numbers, a bare name for a
 * boolean; and, or, not and parentheses, `not` binding tighter than `and`, `and` than
 * `or`. Values with other characters than letters, digits and "._-:+@/" stand in double
 * quotes.
 *
 * A unit whose attribute is not known equals nothing and is in no list: comparisons
 * with = in < <= > >= are false, with != and `not in` true. GrowthBook's SDKs decide
 * the same from the condition that audience_append_json writes.
 */
#ifndef EXPERIMENT_AUDIENCE_H
#define EXPERIMENT_AUDIENCE_H

#include <stdbool.h>

#include "common/buffer.h"
#include "common/slice.h"

enum attribute_type { ATTRIBUTE_STRING, ATTRIBUTE_NUMBER, ATTRIBUTE_BOOLEAN };

/* Where the report may cut a number into groups; more are no groups any more. */
#define ATTRIBUTE_MAX_CUTS 15

struct attribute {
    char *name;
    enum attribute_type type;
    int line;
    bool is_logged;                  /* with exposures: [log] attributes */
    double cuts[ATTRIBUTE_MAX_CUTS]; /* (n_cuts) ascending: of a number, the lower ends
                                        of the report's groups but the first */
    int n_cuts;                      /* 0: the report cuts at quartiles */
};

/* The value of one attribute in one request; the member of its type counts. */
struct attribute_value {
    bool is_known;
    bool boolean;
    double number;
    struct slice text;
};

struct audience; /* a parsed condition; immutable, may be shared by threads */

/* Reads `text` over the declared attributes, which it does not keep. Returns NULL with
 * the reason and remedy in `problem`, or with *no_memory set. */
struct audience *audience_parse(const char *text, const struct attribute *attributes,
                                int n_attributes, char problem[200], bool *no_memory);
void audience_free(struct audience *audience);

/* Whether a request belongs; `values` has n_attributes entries, or is NULL when none is
 * known. Allocates nothing. */
bool audience_matches(const struct audience *audience,
                      const struct attribute_value *values);

/* Whether the condition asks for the attribute of that name. */
bool audience_uses(const struct audience *audience, const char *name);

/* The condition as JSON in GrowthBook's (MongoDB-like) form. */
void audience_append_json(const struct audience *audience, struct buffer *out);

/* Reads a value as it stands in a query string: a number in decimal, a boolean as true
 * or false, a string as it is (and kept as a slice of `text`). Returns whether it fits.
 */
bool attribute_read(enum attribute_type type, struct slice text,
                    struct attribute_value *value);

const char *attribute_type_name(enum attribute_type type);

#endif

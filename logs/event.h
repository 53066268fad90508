/* event.h - what a line of the log says. The line format is in docs/formats.md.
 *
 * Fields are slices into memory of whoever made the event: the request being served, or
 * the line being read (then unescaped, valid until the next event is read).
 */
#ifndef LOGS_EVENT_H
#define LOGS_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

enum event_type { EVENT_CONFIG, EVENT_EXPOSURE, EVENT_FEEDBACK };

struct event_assignment {
    struct slice experiment;
    struct slice arm;
    double probability; /* the arm's configured share, in (0, 1] */
    bool is_forced; /* by the config's [force], not by the hash: left out of analysis
                     */
};

enum event_attribute_type {
    EVENT_ATTRIBUTE_STRING,
    EVENT_ATTRIBUTE_NUMBER,
    EVENT_ATTRIBUTE_BOOLEAN,
};

/* What an audience was decided by; kept so that the assignment can be recomputed. */
struct event_attribute {
    struct slice name;
    enum event_attribute_type type;
    struct slice text; /* of a string */
    double number;     /* of a number */
    bool boolean;
};

struct event_item {
    struct slice id;
    double score;
    double
        propensity; /* probability of being shown at this place; NAN when not sampled */
};

struct event_model {
    struct slice name; /* as in the config */
    struct slice hash; /* content hash of the file, 16 hexadecimal digits */
};

/* Where an event that was read stands. */
struct event_place {
    const char *file; /* path of the segment */
    int32_t segment;  /* its place among the segments that are read, from 0 */
    int64_t offset; /* of the line, bytes from the start of the uncompressed segment */
    int64_t line;   /* 1-based number of the line; 0 when lines were not counted */
    struct slice text; /* the line as it stands there, checksum included, no newline */
};

struct event {
    enum event_type type;
    int64_t ts_us;   /* microseconds since 1970 UTC */
    struct slice id; /* unique; of feedback: the client's, or given by the server */
    const struct event_place *place; /* NULL unless the event was read */

    /* exposure and feedback */
    struct slice user;

    /* exposure */
    const struct event_assignment *assignments;
    int n_assignments;
    const struct event_attribute *attributes;
    int n_attributes; /* 0 when the config declares none or none was known */
    int hash_version; /* of the assignment */
    /* Of an event that was read: not 0, and the same number from the same reader (with
     * several threads: in the same visitor) only where assignments, attributes, hash
     * version and config are the same, too, so that they need be looked up once. 0:
     * not known. */
    uint32_t shape;
    struct slice config; /* config hash (also: of a config event) */
    struct slice model; /* "name:hash"; empty when a client reported the exposure, which
                           then has no items either */
    const struct event_item *items;
    int n_items;
    int64_t latency_us; /* -1 when not measured: a client reported the exposure */
    int64_t offset; /* items of the list above these that were left out: a later page */

    /* feedback */
    struct slice event;
    bool has_value;
    double value;
    struct slice item;    /* empty when absent */
    struct slice request; /* exposure id; empty when absent */

    /* config */
    struct slice text; /* the config file */
    const struct event_model *models;
    int n_models;
    struct slice version; /* of the program */
};

const char *event_type_name(enum event_type type);

#endif

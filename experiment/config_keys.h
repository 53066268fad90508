/* config_keys.h - the table of every key a config may have: its section, type, range
 * and default. The parser works from it, docs/config.md is tested against it.
 *
 * Private to experiment/ and its tests.
 */
#ifndef EXPERIMENT_CONFIG_KEYS_H
#define EXPERIMENT_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

enum section_kind {
    SECTION_SERVER,
    SECTION_LOG,
    SECTION_DATA,
    SECTION_MODEL,
    SECTION_SERVING,
    SECTION_ATTRIBUTES, /* its keys are the user's: NAME = TYPE [CUTS] */
    SECTION_HOLDOUT,
    SECTION_METRIC,
    SECTION_EXPERIMENT,
    SECTION_ARM,
    SECTION_FORCE, /* its keys are the user's: UNIT = ARM */
    N_SECTION_KINDS,
};

struct section_spec {
    const char *word;      /* the first in the brackets */
    const char *arguments; /* the further ones, for messages: "NAME" */
    int n_words;           /* with the first */
};

enum key_type {
    KEY_TEXT,       /* char * */
    KEY_PATH,       /* char *, made relative to the config's directory */
    KEY_ADDRESS,    /* struct server_config */
    KEY_TOKEN,      /* struct server_config: env:NAME */
    KEY_ORIGIN,     /* char *: "*", or scheme://host[:port] */
    KEY_INT,        /* int in [min, max] */
    KEY_NUMBER,     /* double in [min, max] */
    KEY_SHARE,      /* double in (0, 1] */
    KEY_ALPHA,      /* double in (0, 1) */
    KEY_BOOL,       /* bool */
    KEY_WORD,       /* enum: position in `words` */
    KEY_SIZE,       /* int64_t bytes in [min, max] */
    KEY_DURATION,   /* int64_t microseconds in [min, max]; "none" is 0 when min is 0 */
    KEY_KIND,       /* struct metric: kind and quantile */
    KEY_EVENT,      /* char *: a name; "exposure...." ones are the log's own */
    KEY_MODEL,      /* int: index of a model */
    KEY_METRIC,     /* int: index of a metric */
    KEY_METRICS,    /* struct experiment: guardrails */
    KEY_ATTRIBUTES, /* struct log_config: attributes, attributes_line */
    KEY_LAYER,      /* struct experiment: layer, layer_start, layer_end */
    KEY_NAME_SPACE, /* struct experiment: name_space, its start and end */
    KEY_AUDIENCE,   /* struct experiment: audience, audience_text */
    KEY_TIME,       /* int64_t microseconds since 1970 UTC */
};

struct config_key {
    enum section_kind section;
    const char *name;
    enum key_type type;
    size_t offset; /* of the value in the section's struct */
    double min, max;
    const char *words; /* KEY_WORD: "draft|running|..." in the order of the enum */
    const char *default_text; /* NULL when the key is required; "" when there is none */
    unsigned override;        /* [serving] alone: the bit in arm.overrides */
};

const struct section_spec *config_section_spec(enum section_kind kind);

/* All keys; *n of them. */
const struct config_key *config_key_table(size_t *n);

/* The key, or NULL. In an arm the keys of [serving] count too. */
const struct config_key *config_key_find(enum section_kind kind, const char *name);

#endif

#include "experiment/config_build.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/config_value.h"

/* Where the object of a section is. Indices, because the arrays still move. */
struct place {
    enum section_kind kind;
    int index; /* of the model, metric or experiment; -1: the section is skipped */
    int arm;
};

#define TITLE_SIZE 200

/* The section as it stands in the file, e.g. "[arm item-bias control]". */
static const char *title(const struct ini_section *section, char text[TITLE_SIZE])
{
    snprintf(
        text, TITLE_SIZE, "[%s%s%s%s%s]", section->words[0],
        section->n_words > 1 ? " " : "", section->n_words > 1 ? section->words[1] : "",
        section->n_words > 2 ? " " : "", section->n_words > 2 ? section->words[2] : "");
    return text;
}

static void complain_unknown(struct builder *builder, const struct ini_section *section)
{
    char text[TITLE_SIZE];
    problems_add(builder->problems, section->line,
                 "section %s is not known (server, log, data, model NAME, serving, "
                 "attributes, holdout, metric NAME, experiment NAME, arm EXPERIMENT "
                 "NAME, force EXPERIMENT)",
                 title(section, text));
}

/* The section's kind; -1, with the reason noted, when its header is wrong. */
static int section_kind(struct builder *builder, const struct ini_section *section)
{
    for (int kind = 0; kind < N_SECTION_KINDS; kind++) {
        const struct section_spec *spec = config_section_spec((enum section_kind)kind);
        if (strcmp(section->words[0], spec->word) != 0) {
            continue;
        }
        if (section->n_words != spec->n_words) {
            char text[TITLE_SIZE];
            problems_add(builder->problems, section->line,
                         "section %s has %d word%s (write [%s%s])",
                         title(section, text), section->n_words,
                         section->n_words == 1 ? "" : "s", spec->word, spec->arguments);
            return -1;
        }
        for (int i = 1; i < section->n_words; i++) {
            if (!value_is_name(section->words[i])) {
                problems_add(builder->problems, section->line,
                             "\"%s\" is not a name (letters, digits, \".\", \"_\", "
                             "\"-\"; at most %d)",
                             section->words[i], NAME_MAX_LEN);
                return -1;
            }
        }
        return kind;
    }
    complain_unknown(builder, section);
    return -1;
}

static bool is_same_section(const struct ini_section *a, const struct ini_section *b)
{
    if (a->n_words != b->n_words) {
        return false;
    }
    for (int i = 0; i < a->n_words; i++) {
        if (strcmp(a->words[i], b->words[i]) != 0) {
            return false;
        }
    }
    return true;
}

static bool is_repeated(struct builder *builder, const struct ini_file *file, int at)
{
    for (int i = 0; i < at; i++) {
        if (is_same_section(&file->sections[i], &file->sections[at])) {
            char text[TITLE_SIZE];
            problems_add(builder->problems, file->sections[at].line,
                         "section %s stands twice, first in line %d (join them)",
                         title(&file->sections[at], text), file->sections[i].line);
            return true;
        }
    }
    return false;
}

/* Room for one more element of `size` bytes, zeroed; NULL when memory ran out. */
static void *grow(struct builder *builder, void *array, int *n, size_t size)
{
    char *larger = realloc(array, ((size_t)*n + 1) * size);
    if (!larger) {
        builder->problems->no_memory = true;
        return NULL;
    }
    memset(larger + (size_t)*n * size, 0, size);
    ++*n;
    return larger;
}

static char *copy_name(struct builder *builder, const char *name)
{
    char *copy = strdup(name);
    if (!copy) {
        builder->problems->no_memory = true;
    }
    return copy;
}

static int add_model(struct builder *builder, const struct ini_section *section)
{
    struct config *config = builder->config;
    struct model_config *models =
        grow(builder, config->models, &config->n_models, sizeof *models);
    if (!models) {
        return -1;
    }
    config->models = models;
    models[config->n_models - 1].line = section->line;
    models[config->n_models - 1].name = copy_name(builder, section->words[1]);
    return config->n_models - 1;
}

static int add_metric(struct builder *builder, const struct ini_section *section)
{
    struct config *config = builder->config;
    struct metric *metrics =
        grow(builder, config->metrics, &config->n_metrics, sizeof *metrics);
    if (!metrics) {
        return -1;
    }
    config->metrics = metrics;
    metrics[config->n_metrics - 1].line = section->line;
    metrics[config->n_metrics - 1].name = copy_name(builder, section->words[1]);
    return config->n_metrics - 1;
}

static int add_experiment(struct builder *builder, const struct ini_section *section)
{
    struct config *config = builder->config;
    struct experiment *experiments =
        grow(builder, config->experiments, &config->n_experiments, sizeof *experiments);
    if (!experiments) {
        return -1;
    }
    config->experiments = experiments;
    struct experiment *experiment = &experiments[config->n_experiments - 1];
    experiment->line = section->line;
    experiment->primary = -1;
    experiment->start_us = INT64_MIN;
    experiment->end_us = INT64_MAX;
    experiment->baseline = NAN;
    experiment->deviation = NAN;
    experiment->name = copy_name(builder, section->words[1]);
    experiment->seed = copy_name(builder, section->words[1]);
    return config->n_experiments - 1;
}

static int add_arm(struct builder *builder, const struct ini_section *section,
                   int experiment_index)
{
    struct experiment *experiment = &builder->config->experiments[experiment_index];
    struct arm *arms =
        grow(builder, experiment->arms, &experiment->n_arms, sizeof *arms);
    if (!arms) {
        return -1;
    }
    experiment->arms = arms;
    arms[experiment->n_arms - 1].line = section->line;
    arms[experiment->n_arms - 1].name = copy_name(builder, section->words[2]);
    return experiment->n_arms - 1;
}

/* Makes the object of one section, except an arm's. */
static struct place place_section(struct builder *builder, const struct ini_file *file,
                                  int at)
{
    const struct ini_section *section = &file->sections[at];
    const int kind = section_kind(builder, section);
    if (kind < 0 || is_repeated(builder, file, at)) {
        return (struct place){.index = -1};
    }
    struct place place = {.kind = (enum section_kind)kind};
    if (kind == SECTION_MODEL) {
        place.index = add_model(builder, section);
    } else if (kind == SECTION_METRIC) {
        place.index = add_metric(builder, section);
    } else if (kind == SECTION_EXPERIMENT) {
        place.index = add_experiment(builder, section);
    } else if (kind == SECTION_DATA) {
        builder->config->data.line = section->line;
    }
    return place;
}

/* Makes an arm, once all experiments are there. */
static void place_arm(struct builder *builder, const struct ini_section *section,
                      struct place *place)
{
    place->index = config_find_experiment(builder->config, slice_of(section->words[1]));
    if (place->index < 0) {
        problems_add(builder->problems, section->line,
                     "arm \"%s\" belongs to experiment \"%s\", which is not there (add "
                     "[experiment %s] or correct the name)",
                     section->words[2], section->words[1], section->words[1]);
        return;
    }
    place->arm = add_arm(builder, section, place->index);
    if (place->arm < 0) {
        place->index = -1;
    }
}

static void place_force(struct builder *builder, const struct ini_section *section,
                        struct place *place)
{
    place->index = config_find_experiment(builder->config, slice_of(section->words[1]));
    if (place->index < 0) {
        problems_add(builder->problems, section->line,
                     "there is no experiment \"%s\" to force arms of (add [experiment "
                     "%s] or correct the name)",
                     section->words[1], section->words[1]);
    }
}

static void *object_at(struct config *config, struct place place)
{
    switch (place.kind) {
    case SECTION_SERVER:
        return &config->server;
    case SECTION_LOG:
        return &config->log;
    case SECTION_DATA:
        return &config->data;
    case SECTION_MODEL:
        return &config->models[place.index];
    case SECTION_SERVING:
        return &config->serving;
    case SECTION_ATTRIBUTES:
        return config;
    case SECTION_HOLDOUT:
        return &config->holdout;
    case SECTION_METRIC:
        return &config->metrics[place.index];
    case SECTION_EXPERIMENT:
    case SECTION_FORCE:
        return &config->experiments[place.index];
    case SECTION_ARM:
        return &config->experiments[place.index].arms[place.arm];
    case N_SECTION_KINDS:
        break;
    }
    return NULL;
}

static void apply_defaults(struct builder *builder, enum section_kind kind,
                           void *object)
{
    size_t n_keys = 0;
    const struct config_key *keys = config_key_table(&n_keys);
    for (size_t i = 0; i < n_keys; i++) {
        char value[64];
        if (keys[i].section == kind && keys[i].default_text && *keys[i].default_text) {
            strncpy(value, keys[i].default_text, sizeof value - 1);
            value[sizeof value - 1] = '\0';
            const struct ini_entry entry = {NULL, value, 0};
            config_apply_key(builder, &keys[i], &entry, object);
        }
    }
}

static void complain_unknown_key(struct builder *builder, enum section_kind kind,
                                 const struct ini_entry *entry)
{
    char known[256] = "";
    size_t n_keys = 0, used = 0;
    const struct config_key *keys = config_key_table(&n_keys);
    for (size_t i = 0; i < n_keys; i++) {
        const bool is_here =
            keys[i].section == kind || (kind == SECTION_ARM && keys[i].override != 0);
        const size_t len = strlen(keys[i].name);
        if (is_here && used + len + 3 < sizeof known) {
            memcpy(known + used, used ? ", " : "", used ? 2 : 0);
            used += used ? 2 : 0;
            memcpy(known + used, keys[i].name, len + 1);
            used += len;
        }
    }
    problems_add(builder->problems, entry->line, "key \"%s\" is not known in [%s] (%s)",
                 entry->key, config_section_spec(kind)->word, known);
}

static bool is_key_repeated(struct builder *builder, const struct ini_section *section,
                            int at)
{
    for (int i = 0; i < at; i++) {
        if (strcmp(section->entries[i].key, section->entries[at].key) == 0) {
            problems_add(builder->problems, section->entries[at].line,
                         "%s is set twice, first in line %d (keep one)",
                         section->entries[at].key, section->entries[i].line);
            return true;
        }
    }
    return false;
}

static void complain_missing(struct builder *builder, const struct ini_section *section,
                             enum section_kind kind)
{
    size_t n_keys = 0;
    const struct config_key *keys = config_key_table(&n_keys);
    for (size_t i = 0; i < n_keys; i++) {
        if (keys[i].section != kind || keys[i].default_text) {
            continue;
        }
        bool is_there = false;
        for (int e = 0; e < section->n_entries; e++) {
            is_there = is_there || strcmp(section->entries[e].key, keys[i].name) == 0;
        }
        if (!is_there) {
            char text[TITLE_SIZE];
            problems_add(builder->problems, section->line,
                         "%s has no %s (it is required)", title(section, text),
                         keys[i].name);
        }
    }
}

static void fill_entry(struct builder *builder, const struct ini_entry *entry,
                       enum section_kind kind, void *object)
{
    if (kind == SECTION_ATTRIBUTES) {
        config_add_attribute(builder, entry);
        return;
    }
    if (kind == SECTION_FORCE) {
        config_add_forced(builder, entry, object);
        return;
    }
    const struct config_key *key = config_key_find(kind, entry->key);
    if (!key) {
        complain_unknown_key(builder, kind, entry);
    } else if (kind == SECTION_ARM && key->override) {
        struct arm *arm = object;
        arm->overrides |= key->override;
        config_apply_key(builder, key, entry, &arm->serving);
    } else {
        config_apply_key(builder, key, entry, object);
    }
}

/* Looking for a repeated key compares each with all before it. */
#define SECTION_MAX_KEYS 1000

static void fill(struct builder *builder, const struct ini_section *section,
                 struct place place)
{
    void *object = object_at(builder->config, place);
    /* The units of [force] may be many; they are compared when they are sorted. */
    const bool has_own_keys = place.kind == SECTION_FORCE;
    if (!has_own_keys && section->n_entries > SECTION_MAX_KEYS) {
        problems_add(builder->problems, section->line,
                     "section has %d keys (at most %d)", section->n_entries,
                     SECTION_MAX_KEYS);
        return;
    }
    for (int i = 0; i < section->n_entries; i++) {
        if (has_own_keys || !is_key_repeated(builder, section, i)) {
            fill_entry(builder, &section->entries[i], place.kind, object);
        }
    }
    complain_missing(builder, section, place.kind);
}

/* Whether a section's keys may only be read when all others have been. */
static bool is_late(enum section_kind kind)
{
    return kind == SECTION_EXPERIMENT; /* an audience names attributes */
}

void config_build(struct builder *builder, const struct ini_file *file)
{
    struct config *config = builder->config;
    struct place *places = calloc((size_t)file->n_sections + 1, sizeof *places);
    if (!places) {
        builder->problems->no_memory = true;
        return;
    }
    for (int i = 0; i < file->n_sections; i++) {
        places[i] = place_section(builder, file, i);
    }
    for (int i = 0; i < file->n_sections; i++) {
        if (places[i].index >= 0 && places[i].kind == SECTION_ARM) {
            place_arm(builder, &file->sections[i], &places[i]);
        } else if (places[i].index >= 0 && places[i].kind == SECTION_FORCE) {
            place_force(builder, &file->sections[i], &places[i]);
        }
    }
    apply_defaults(builder, SECTION_SERVER, &config->server);
    apply_defaults(builder, SECTION_LOG, &config->log);
    apply_defaults(builder, SECTION_SERVING, &config->serving);
    apply_defaults(builder, SECTION_HOLDOUT, &config->holdout);
    for (int i = 0; i < 2 * file->n_sections; i++) {
        const int at = i % file->n_sections;
        const struct place place = places[at];
        if (place.index < 0 || builder->problems->no_memory ||
            is_late(place.kind) != (i >= file->n_sections)) {
            continue;
        }
        if (place.kind == SECTION_METRIC || place.kind == SECTION_EXPERIMENT) {
            apply_defaults(builder, place.kind, object_at(config, place));
        }
        fill(builder, &file->sections[at], place);
    }
    config_choose_logged(builder);
    free(places);
}

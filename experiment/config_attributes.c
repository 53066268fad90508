/* config_attributes.c - [attributes]: what requests may say of their user, how the
 * report cuts numbers into groups, and which of it goes into the log.
 */
#include <stdlib.h>
#include <string.h>

#include "experiment/config_build.h"
#include "experiment/config_value.h"

#define SEPARATOR ", \t"
#define WORD_SIZE 66 /* names have at most NAME_MAX_LEN */

/* Takes the next word of *at, between blanks and commas; false at the end, or when it
 * is too long to be anything. */
static bool take_word(const char **at, char word[WORD_SIZE])
{
    *at += strspn(*at, SEPARATOR);
    const size_t len = strcspn(*at, SEPARATOR);
    if (len == 0 || len >= WORD_SIZE) {
        return false;
    }
    memcpy(word, *at, len);
    word[len] = '\0';
    *at += len;
    return true;
}

static bool read_type(const char *word, enum attribute_type *type)
{
    for (int i = ATTRIBUTE_STRING; i <= ATTRIBUTE_BOOLEAN; i++) {
        if (strcmp(word, attribute_type_name((enum attribute_type)i)) == 0) {
            *type = (enum attribute_type)i;
            return true;
        }
    }
    return false;
}

static void read_cuts(struct builder *builder, const struct ini_entry *entry,
                      const char *at, struct attribute *attribute)
{
    char word[WORD_SIZE];
    while (take_word(&at, word)) {
        double cut = 0;
        if (!value_number(word, &cut)) {
            problems_add(builder->problems, entry->line,
                         "%s = %s: the cut point %s is not a decimal number (write it "
                         "like number 18, 30, 50)",
                         entry->key, entry->value, word);
            return;
        }
        if (attribute->n_cuts > 0 && cut <= attribute->cuts[attribute->n_cuts - 1]) {
            problems_add(builder->problems, entry->line,
                         "%s = %s: the cut point %s is not above the one before it "
                         "(put them in ascending order)",
                         entry->key, entry->value, word);
            return;
        }
        if (attribute->n_cuts == ATTRIBUTE_MAX_CUTS) {
            problems_add(builder->problems, entry->line,
                         "%s = %s: more than %d cut points (leave some out)",
                         entry->key, entry->value, ATTRIBUTE_MAX_CUTS);
            return;
        }
        attribute->cuts[attribute->n_cuts++] = cut;
    }
    if (at[strspn(at, SEPARATOR)]) {
        problems_add(builder->problems, entry->line,
                     "%s = %s: a cut point is too long (write it like 18)", entry->key,
                     entry->value);
    }
}

void config_add_attribute(struct builder *builder, const struct ini_entry *entry)
{
    struct config *config = builder->config;
    struct attribute attribute = {.line = entry->line};
    const char *at = entry->value;
    char word[WORD_SIZE] = "";
    if (!value_is_name(entry->key)) {
        problems_add(builder->problems, entry->line,
                     "\"%s\" is not a name (letters, digits, \".\", \"_\", \"-\"; at "
                     "most %d)",
                     entry->key, NAME_MAX_LEN);
        return;
    }
    const bool has_word = take_word(&at, word);
    if (!has_word || !read_type(word, &attribute.type) ||
        (attribute.type != ATTRIBUTE_NUMBER && *at)) {
        problems_add(builder->problems, entry->line,
                     "%s = %s is not known (string|number|boolean; a number may have "
                     "cut points for the report: number 18, 30, 50)",
                     entry->key, entry->value);
        return;
    }
    read_cuts(builder, entry, at, &attribute);
    struct attribute *attributes = realloc(
        config->attributes, ((size_t)config->n_attributes + 1) * sizeof *attributes);
    if (attributes) {
        config->attributes = attributes;
        attribute.name = strdup(entry->key);
    }
    if (!attributes || !attribute.name) {
        builder->problems->no_memory = true;
        return;
    }
    attributes[config->n_attributes++] = attribute;
}

static bool is_of_audience(const struct config *config, const char *name)
{
    for (int e = 0; e < config->n_experiments; e++) {
        const struct audience *audience = config->experiments[e].audience;
        if (audience && audience_uses(audience, name)) {
            return true;
        }
    }
    return false;
}

/* "NAME, NAME": those alone. */
static void choose_named(struct builder *builder, const char *names)
{
    struct config *config = builder->config;
    char word[WORD_SIZE];
    while (take_word(&names, word)) {
        const int at = config_find_attribute(config, slice_of(word));
        if (at < 0) {
            problems_add(builder->problems, config->log.attributes_line,
                         "attributes: %s is not declared (all, audience, none, or "
                         "names out of [attributes])",
                         word);
            return;
        }
        config->attributes[at].is_logged = true;
    }
    if (names[strspn(names, SEPARATOR)]) {
        problems_add(builder->problems, config->log.attributes_line,
                     "attributes: a name is longer than %d bytes (correct it)",
                     NAME_MAX_LEN);
    }
}

void config_choose_logged(struct builder *builder)
{
    struct config *config = builder->config;
    const char *choice = config->log.attributes;
    if (!choice || strcmp(choice, "none") == 0) {
        return; /* without a choice memory ran out */
    }
    const bool is_all = strcmp(choice, "all") == 0;
    if (!is_all && strcmp(choice, "audience") != 0) {
        choose_named(builder, choice);
        return;
    }
    for (int i = 0; i < config->n_attributes; i++) {
        struct attribute *attribute = &config->attributes[i];
        attribute->is_logged = is_all || is_of_audience(config, attribute->name);
    }
}

void config_warn_of_logged(const struct config *config, struct problem_list *problems)
{
    for (int i = 0; i < config->n_attributes; i++) {
        const struct attribute *attribute = &config->attributes[i];
        if (!attribute->is_logged && is_of_audience(config, attribute->name)) {
            problems_warn(problems, config->log.attributes_line,
                          "an audience asks for %s, which is not logged: assignments "
                          "cannot be checked by abtest replay (add it to attributes "
                          "in [log], unless it must not be kept)",
                          attribute->name);
        }
    }
}

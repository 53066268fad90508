#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/config_build.h"
#include "experiment/config_value.h"

/* Replaces the string at `to`; the default that stood there goes. */
static void set_text(struct builder *builder, char **to, const char *text, size_t len)
{
    char *copy = strndup(text, len);
    if (!copy) {
        builder->problems->no_memory = true;
        return;
    }
    free(*to);
    *to = copy;
}

static void apply_path(struct builder *builder, const struct ini_entry *entry,
                       char **to)
{
    const size_t directory_len = strlen(builder->directory);
    if (entry->value[0] == '/' || directory_len == 0) {
        set_text(builder, to, entry->value, strlen(entry->value));
        return;
    }
    const bool has_slash = builder->directory[directory_len - 1] == '/';
    const size_t size = directory_len + 1 + strlen(entry->value) + 1;
    char *path = malloc(size);
    if (!path) {
        builder->problems->no_memory = true;
        return;
    }
    snprintf(path, size, "%s%s%s", builder->directory, has_slash ? "" : "/",
             entry->value);
    free(*to);
    *to = path;
}

static void apply_address(struct builder *builder, const struct ini_entry *entry,
                          struct server_config *server)
{
    char *host = NULL;
    if (!value_address(entry->value, &host, &server->port,
                       &builder->problems->no_memory)) {
        problems_add(builder->problems, entry->line,
                     "listen = %s is not HOST:PORT with a port 0..65535 (for example "
                     "127.0.0.1:8080 or [::1]:8080)",
                     entry->value);
        return;
    }
    free(server->host);
    server->host = host;
}

static bool is_variable_name(const char *text)
{
    if (!*text || (*text >= '0' && *text <= '9')) {
        return false;
    }
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
                        "0123456789") == strlen(text);
}

static void apply_token(struct builder *builder, const struct ini_entry *entry,
                        struct server_config *server)
{
    if (strncmp(entry->value, "env:", 4) != 0 || !is_variable_name(entry->value + 4)) {
        /* Do not repeat the value: it may be the secret itself. */
        problems_add(builder->problems, entry->line,
                     "%s must name an environment variable (write env:NAME; the "
                     "config's text goes into the log, where a secret must not be)",
                     entry->key);
        return;
    }
    set_text(builder, &server->admin_token_env, entry->value + 4,
             strlen(entry->value + 4));
    server->admin_token_line = entry->line;
}

static void apply_int(struct builder *builder, const struct config_key *key,
                      const struct ini_entry *entry, int *to)
{
    int64_t value = 0;
    if (!value_int(entry->value, &value)) {
        problems_add(builder->problems, entry->line,
                     "%s = %s is not a whole number (between %g and %g)", key->name,
                     entry->value, key->min, key->max);
    } else if (value < (int64_t)key->min || value > (int64_t)key->max) {
        problems_add(builder->problems, entry->line,
                     "%s = %s is out of range (between %g and %g)", key->name,
                     entry->value, key->min, key->max);
    } else {
        *to = (int)value;
    }
}

static void apply_number(struct builder *builder, const struct config_key *key,
                         const struct ini_entry *entry, double *to)
{
    double value = 0;
    if (!value_number(entry->value, &value)) {
        problems_add(builder->problems, entry->line,
                     "%s = %s is not a decimal number (write it like 0.5)", key->name,
                     entry->value);
    } else if (key->type == KEY_SHARE && !(value > 0 && value <= 1)) {
        problems_add(builder->problems, entry->line,
                     "%s = %s is out of range (above 0, at most 1)", key->name,
                     entry->value);
    } else if (key->type == KEY_ALPHA && !(value > 0 && value < 1)) {
        problems_add(builder->problems, entry->line,
                     "%s = %s is out of range (above 0, below 1)", key->name,
                     entry->value);
    } else if (key->type == KEY_NUMBER && !(value >= key->min && value <= key->max)) {
        problems_add(builder->problems, entry->line,
                     "%s = %s is out of range (between %g and %g)", key->name,
                     entry->value, key->min, key->max);
    } else {
        *to = value;
    }
}

static void apply_bool(struct builder *builder, const struct ini_entry *entry, bool *to)
{
    if (!value_bool(entry->value, to)) {
        problems_add(builder->problems, entry->line,
                     "%s = %s is neither yes nor no (write one of them)", entry->key,
                     entry->value);
    }
}

/* Position of `text` in "a|b|c", or -1. */
static int find_word(const char *words, const char *text)
{
    const size_t len = strlen(text);
    for (int position = 0;; position++) {
        const size_t word_len = strcspn(words, "|");
        if (word_len == len && memcmp(words, text, len) == 0) {
            return position;
        }
        if (words[word_len] == '\0') {
            return -1;
        }
        words += word_len + 1;
    }
}

static void apply_word(struct builder *builder, const struct config_key *key,
                       const struct ini_entry *entry, void *to)
{
    const int position = find_word(key->words, entry->value);
    if (position < 0) {
        problems_add(builder->problems, entry->line, "%s = %s is not known (%s)",
                     key->name, entry->value, key->words);
        return;
    }
    /* The enums of config.h have the size of an int, which gcc and clang promise. */
    memcpy(to, &position, sizeof position);
}

static void apply_quantity(struct builder *builder, const struct config_key *key,
                           const struct ini_entry *entry, int64_t *to)
{
    int64_t value = 0;
    const bool is_size = key->type == KEY_SIZE;
    const bool is_none = key->min == 0 && strcmp(entry->value, "none") == 0;
    if (!is_none && !(is_size ? value_size(entry->value, &value)
                              : value_duration(entry->value, &value))) {
        problems_add(builder->problems, entry->line, "%s = %s is not a %s (%s)",
                     key->name, entry->value, is_size ? "size" : "duration",
                     is_size ? "write digits and B, KiB, MiB or GiB"
                             : "write digits and ms, s, m, h or d");
        return;
    }
    if ((double)value < key->min || (double)value > key->max) {
        const double unit = is_size ? 1024 : 1e6;
        problems_add(builder->problems, entry->line,
                     "%s = %s is out of range (between %.0f%s and %.0f%s)", key->name,
                     entry->value, key->min / unit, is_size ? "KiB" : "s",
                     key->max / unit, is_size ? "KiB" : "s");
        return;
    }
    *to = value;
}

static void apply_kind(struct builder *builder, const struct ini_entry *entry,
                       struct metric *metric)
{
    static const char kinds[] = "proportion|mean|count|ratio";
    static const char quantile[] = "quantile";
    const int kind = find_word(kinds, entry->value);
    double share = 0;
    if (kind >= 0) {
        metric->kind = (enum metric_kind)kind;
    } else if (strncmp(entry->value, quantile, sizeof quantile - 1) != 0) {
        problems_add(builder->problems, entry->line,
                     "kind = %s is not known (%s|quantile Q)", entry->value, kinds);
    } else {
        const char *at = entry->value + sizeof quantile - 1;
        const size_t blanks = strspn(at, " \t");
        metric->kind = METRIC_QUANTILE;
        if (blanks == 0 || !value_number(at + blanks, &share) ||
            !(share > 0 && share < 1)) {
            problems_add(builder->problems, entry->line,
                         "kind = %s does not say which quantile (write quantile 0.99; "
                         "above 0, below 1)",
                         entry->value);
            return;
        }
        metric->quantile = share;
    }
}

static void apply_event(struct builder *builder, const struct ini_entry *entry,
                        char **to)
{
    static const char prefix[] = "exposure.";
    if (!value_is_name(entry->value)) {
        problems_add(builder->problems, entry->line,
                     "%s = %s is not a name (letters, digits, \".\", \"_\", \"-\"; at "
                     "most %d)",
                     entry->key, entry->value, NAME_MAX_LEN);
        return;
    }
    if (strncmp(entry->value, prefix, sizeof prefix - 1) == 0 &&
        strcmp(entry->value, "exposure.latency_us") != 0 &&
        strcmp(entry->value, "exposure.items") != 0) {
        problems_add(builder->problems, entry->line,
                     "%s = %s: an exposure has no such field (exposure, "
                     "exposure.latency_us or exposure.items)",
                     entry->key, entry->value);
        return;
    }
    set_text(builder, to, entry->value, strlen(entry->value));
}

static void apply_model(struct builder *builder, const struct ini_entry *entry, int *to)
{
    const int index = config_find_model(builder->config, slice_of(entry->value));
    if (index < 0) {
        problems_add(builder->problems, entry->line,
                     "%s = %s: there is no such model (add [model %s] or correct the "
                     "name)",
                     entry->key, entry->value, entry->value);
        return;
    }
    *to = index;
}

static int find_metric(struct builder *builder, const struct ini_entry *entry,
                       struct slice name)
{
    const int index = config_find_metric(builder->config, name);
    if (index < 0) {
        problems_add(builder->problems, entry->line,
                     "%s: there is no metric \"%.*s\" (add [metric %.*s] or correct "
                     "the name)",
                     entry->key, (int)name.len, name.data, (int)name.len, name.data);
    }
    return index;
}

static void apply_metric(struct builder *builder, const struct ini_entry *entry,
                         int *to)
{
    const int index = find_metric(builder, entry, slice_of(entry->value));
    *to = index >= 0 ? index : *to;
}

static void append_guardrail(struct builder *builder, const struct ini_entry *entry,
                             struct slice name, struct experiment *experiment)
{
    const int index = find_metric(builder, entry, name);
    if (index < 0) {
        return;
    }
    for (int i = 0; i < experiment->n_guardrails; i++) {
        if (experiment->guardrails[i] == index) {
            problems_add(builder->problems, entry->line,
                         "%s names \"%.*s\" twice (name it once)", entry->key,
                         (int)name.len, name.data);
            return;
        }
    }
    int *guardrails =
        realloc(experiment->guardrails,
                ((size_t)experiment->n_guardrails + 1) * sizeof *guardrails);
    if (!guardrails) {
        builder->problems->no_memory = true;
        return;
    }
    guardrails[experiment->n_guardrails++] = index;
    experiment->guardrails = guardrails;
}

static void apply_metrics(struct builder *builder, const struct ini_entry *entry,
                          struct experiment *experiment)
{
    const char *at = entry->value;
    for (;;) {
        at += strspn(at, " \t");
        size_t len = strcspn(at, ",");
        const char *next = at + len;
        while (len && (at[len - 1] == ' ' || at[len - 1] == '\t')) {
            len--;
        }
        if (len == 0) {
            problems_add(builder->problems, entry->line,
                         "%s holds an empty name (remove the comma)", entry->key);
        } else {
            append_guardrail(builder, entry, (struct slice){at, len}, experiment);
        }
        if (*next == '\0') {
            return;
        }
        at = next + 1;
    }
}

/* "NAME START END" */
static void apply_range(struct builder *builder, const struct ini_entry *entry,
                        char **name_to, double *start_to, double *end_to)
{
    char name[NAME_MAX_LEN + 2], start[32], end[32], rest[2];
    double from = 0, to = 0;
    const int n = sscanf(entry->value, "%65s %31s %31s %1s", name, start, end, rest);
    if (n != 3 || !value_is_name(name) || !value_number(start, &from) ||
        !value_number(end, &to) || !(from >= 0 && to > from && to <= 1)) {
        problems_add(builder->problems, entry->line,
                     "%s = %s is not NAME START END with 0 <= START < END <= 1 (for "
                     "example ranking 0 0.5)",
                     entry->key, entry->value);
        return;
    }
    set_text(builder, name_to, name, strlen(name));
    *start_to = from;
    *end_to = to;
}

static void apply_audience(struct builder *builder, const struct ini_entry *entry,
                           struct experiment *experiment)
{
    char problem[200];
    struct audience *audience = audience_parse(
        entry->value, builder->config->attributes, builder->config->n_attributes,
        problem, &builder->problems->no_memory);
    if (!audience) {
        problems_add(builder->problems, entry->line, "audience: %s", problem);
        return;
    }
    audience_free(experiment->audience);
    experiment->audience = audience;
    set_text(builder, &experiment->audience_text, entry->value, strlen(entry->value));
}

static void apply_time(struct builder *builder, const struct ini_entry *entry,
                       int64_t *to)
{
    if (!config_read_time(entry->value, to)) {
        problems_add(builder->problems, entry->line,
                     "%s = %s is not a time (write it like 2026-03-01T08:00:00Z)",
                     entry->key, entry->value);
    }
}

/* Which they are is seen when all sections are read: config_choose_logged. */
static void apply_attributes(struct builder *builder, const struct ini_entry *entry,
                             struct log_config *log)
{
    set_text(builder, &log->attributes, entry->value, strlen(entry->value));
    log->attributes_line = entry->line;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) % 16 : -1;
}

/* Decodes %XX in place; false when one is malformed or gives NUL. */
static bool decode_percent(char *text)
{
    char *to = text;
    for (; *text; text++, to++) {
        if (*text != '%') {
            *to = *text;
            continue;
        }
        const int high = hex_digit(text[1]);
        const int low = high < 0 ? -1 : hex_digit(text[2]);
        if (low < 0 || (high == 0 && low == 0)) {
            return false;
        }
        *to = (char)(high * 16 + low);
        text += 2;
    }
    *to = '\0';
    return true;
}

void config_add_forced(struct builder *builder, const struct ini_entry *entry,
                       struct experiment *experiment)
{
    const int arm = experiment_find_arm(experiment, slice_of(entry->value));
    if (arm < 0) {
        problems_add(builder->problems, entry->line,
                     "experiment \"%s\" has no arm \"%s\" (write UNIT = ARM)",
                     experiment->name, entry->value);
        return;
    }
    struct forced_unit *forced = realloc(
        experiment->forced, ((size_t)experiment->n_forced + 1) * sizeof *forced);
    if (!forced) {
        builder->problems->no_memory = true;
        return;
    }
    experiment->forced = forced;
    char *unit = strdup(entry->key);
    if (!unit) {
        builder->problems->no_memory = true;
        return;
    }
    if (!*unit || !decode_percent(unit)) {
        problems_add(builder->problems, entry->line,
                     "\"%s\" is not a unit (write %%25 for %%, %%3D for =, %%3B for ;)",
                     entry->key);
        free(unit);
        return;
    }
    forced[experiment->n_forced++] = (struct forced_unit){unit, arm, entry->line};
}

static void apply_origin(struct builder *builder, const struct ini_entry *entry,
                         char **to)
{
    const char *value = entry->value;
    const size_t scheme = strncmp(value, "https://", 8) == 0  ? 8
                          : strncmp(value, "http://", 7) == 0 ? 7
                                                              : 0;
    const bool is_origin = scheme && value[scheme] &&
                           value[scheme + strcspn(value + scheme, "/ ,\t")] == 0;
    if (!is_origin && strcmp(value, "*") != 0) {
        problems_add(builder->problems, entry->line,
                     "%s = %s is not an origin (write * or https://shop.example, "
                     "without a path)",
                     entry->key, value);
        return;
    }
    set_text(builder, to, value, strlen(value));
}

/* The types that are numbers or choices; false when `key` is of another type. */
static bool apply_scalar(struct builder *builder, const struct config_key *key,
                         const struct ini_entry *entry, void *at)
{
    switch ((int)key->type) {
    case KEY_INT:
        apply_int(builder, key, entry, at);
        return true;
    case KEY_NUMBER:
    case KEY_SHARE:
    case KEY_ALPHA:
        apply_number(builder, key, entry, at);
        return true;
    case KEY_BOOL:
        apply_bool(builder, entry, at);
        return true;
    case KEY_WORD:
        apply_word(builder, key, entry, at);
        return true;
    case KEY_SIZE:
    case KEY_DURATION:
        apply_quantity(builder, key, entry, at);
        return true;
    case KEY_TIME:
        apply_time(builder, entry, at);
        return true;
    case KEY_MODEL:
        apply_model(builder, entry, at);
        return true;
    case KEY_METRIC:
        apply_metric(builder, entry, at);
        return true;
    default:
        return false;
    }
}

/* The types that are strings; false when `key` is of another type. */
static bool apply_string(struct builder *builder, const struct config_key *key,
                         const struct ini_entry *entry, void *at)
{
    switch ((int)key->type) {
    case KEY_TEXT:
        set_text(builder, at, entry->value, strlen(entry->value));
        return true;
    case KEY_PATH:
        apply_path(builder, entry, at);
        return true;
    case KEY_ORIGIN:
        apply_origin(builder, entry, at);
        return true;
    case KEY_EVENT:
        apply_event(builder, entry, at);
        return true;
    default:
        return false;
    }
}

void config_apply_key(struct builder *builder, const struct config_key *key,
                      const struct ini_entry *entry, void *object)
{
    void *at = (char *)object + key->offset;
    if (entry->value[0] == '\0') {
        problems_add(builder->problems, entry->line,
                     "%s has no value (give it one or remove the line)", key->name);
        return;
    }
    if (apply_scalar(builder, key, entry, at) ||
        apply_string(builder, key, entry, at)) {
        return;
    }
    struct experiment *experiment = object; /* in the cases below that use it */
    switch ((int)key->type) {
    case KEY_ADDRESS:
        apply_address(builder, entry, object);
        return;
    case KEY_TOKEN:
        apply_token(builder, entry, object);
        return;
    case KEY_KIND:
        apply_kind(builder, entry, object);
        return;
    case KEY_METRICS:
        apply_metrics(builder, entry, object);
        return;
    case KEY_ATTRIBUTES:
        apply_attributes(builder, entry, object);
        return;
    case KEY_LAYER:
        apply_range(builder, entry, &experiment->layer, &experiment->layer_start,
                    &experiment->layer_end);
        return;
    case KEY_NAME_SPACE:
        apply_range(builder, entry, &experiment->name_space,
                    &experiment->name_space_start, &experiment->name_space_end);
        return;
    case KEY_AUDIENCE:
        apply_audience(builder, entry, object);
        return;
    default:
        break;
    }
}

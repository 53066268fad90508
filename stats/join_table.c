/* join_table.c - the rows of one experiment out of what the join has gathered. */
#include <stdlib.h>
#include <string.h>

#include "stats/join.h"
#include "stats/join_state.h"
#include "stats/radix.h"

struct row {
    uint64_t hash;
    int32_t unit; /* index in the join */
};

static bool is_before(const struct join *join, const struct row *a, const struct row *b)
{
    if (a->hash != b->hash) {
        return a->hash < b->hash;
    }
    return slice_compare(id_map_id(join->users, a->unit),
                         id_map_id(join->users, b->unit)) < 0;
}

static uint64_t row_key(const void *record)
{
    struct row row;
    memcpy(&row, record, sizeof row);
    return row.hash;
}

/* Canonical order, in place; rows that share a whole hash go by id. */
static void sort_rows(const struct join *join, struct row *rows, size_t n, int shift)
{
    size_t end[RADIX_DIGITS], count[RADIX_DIGITS];
    for (size_t i = 1; (n <= RADIX_FEW || shift < 0) && i < n; i++) {
        const struct row row = rows[i];
        size_t at = i;
        for (; at > 0 && is_before(join, &row, &rows[at - 1]); at--) {
            rows[at] = rows[at - 1];
        }
        rows[at] = row;
    }
    if (n <= RADIX_FEW || shift < 0) {
        return;
    }
    radix_split(rows, n, sizeof *rows, shift, row_key, end, count);
    for (size_t digit = 0; digit < RADIX_DIGITS; digit++) {
        sort_rows(join, rows + end[digit] - count[digit], count[digit], shift - 8);
    }
}

/* Fills `rows` with the units that count, in canonical order; counts the others. */
static void pick_rows(const struct join *join, const struct join_experiment *experiment,
                      struct row *rows, struct unit_table *table)
{
    const int *arm_of = experiment->spec_arm;
    int n = 0;
    for (int32_t u = 0; u < id_map_count(join->users); u++) {
        const int arm = experiment->units[u].arm;
        if (arm == JOIN_ARM_CROSSOVER) {
            table->n_crossover++;
        } else if (arm == JOIN_ARM_FORCED) {
            table->n_forced++;
        } else if (arm != JOIN_ARM_NONE && arm_of[arm] < 0) {
            table->n_unknown_arm++;
        } else if (arm != JOIN_ARM_NONE) {
            rows[n++] = (struct row){join_user_hash(join, u), u};
        }
    }
    sort_rows(join, rows, (size_t)n, 56);
    table->n_units = n;
}

/* The hashes go into the table, the units to the front of the memory of the rows, which
 * shrinks to them; NULL without memory. */
static int32_t *split_rows(struct row *rows, struct unit_table *table)
{
    const size_t n = (size_t)table->n_units;
    table->hash = calloc(n + 1, sizeof *table->hash);
    if (!table->hash) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        const struct row row = rows[i];
        table->hash[i] = row.hash;
        memcpy((char *)rows + i * sizeof row.unit, &row.unit, sizeof row.unit);
    }
    return realloc(rows, (n + 1) * sizeof(int32_t));
}

/* Index of each of the join's configs in the spec's weights, -1 where it has none. */
static int find_weights(const struct analysis_experiment *spec, struct slice hash)
{
    for (int w = 0; w < spec->n_weights; w++) {
        if (slice_equal(spec->weights[w].config, hash)) {
            return w;
        }
    }
    return -1;
}

static int fill_units(const struct join *join, const struct join_experiment *experiment,
                      const int32_t *unit_of, struct unit_table *table)
{
    const size_t n = (size_t)table->n_units + 1;
    table->id = calloc(n, sizeof *table->id);
    table->arm = calloc(n, sizeof *table->arm);
    table->config = calloc(n, sizeof *table->config);
    table->first_ts_us = calloc(n, sizeof *table->first_ts_us);
    table->n_exposures = calloc(n, sizeof *table->n_exposures);
    table->n_feedback = calloc(n, sizeof *table->n_feedback);
    if (!table->id || !table->arm || !table->config || !table->first_ts_us ||
        !table->n_exposures || !table->n_feedback) {
        return -1;
    }
    const int *arm_of = experiment->spec_arm;
    table->first_ts_us_min = INT64_MAX;
    int last_config = -1, last_weights = -1;
    for (int i = 0; i < table->n_units; i++) {
        const struct join_unit *unit = &experiment->units[unit_of[i]];
        if (unit->config != last_config) {
            last_config = unit->config;
            last_weights =
                find_weights(experiment->spec, join->configs[last_config].hash);
        }
        table->id[i] = id_map_id(join->users, unit_of[i]);
        table->arm[i] = (int16_t)arm_of[unit->arm];
        table->config[i] = (int16_t)last_weights;
        table->first_ts_us[i] = unit->first_ts_us;
        table->n_exposures[i] = unit->n_exposures;
        table->n_feedback[i] = unit->n_feedback;
        if (unit->first_ts_us < table->first_ts_us_min) {
            table->first_ts_us_min = unit->first_ts_us;
        }
    }
    return 0;
}

/* Whether an event of any unit came before its first exposure. */
static bool knows_before(const struct join_metric *from, const int32_t *unit_of, int n)
{
    bool has_before = false;
    for (int i = 0; i < n && !has_before; i++) {
        has_before = from->counts ? from->counts[unit_of[i]].before > 0
                                  : from->values[unit_of[i]].has_before;
    }
    return has_before;
}

static int fill_values(const struct join_metric *from, const int32_t *unit_of, int n,
                       struct unit_metric *to)
{
    const bool has_before = knows_before(from, unit_of, n);
    to->value = calloc((size_t)n + 1, sizeof *to->value);
    to->before = has_before ? calloc((size_t)n + 1, sizeof *to->before) : NULL;
    to->days = calloc((size_t)n + 1, sizeof *to->days);
    to->denominator = from->denominators ? calloc((size_t)n + 1, sizeof(double)) : NULL;
    if (!to->value || (has_before && !to->before) || !to->days ||
        (from->denominators && !to->denominator)) {
        return -1;
    }
    for (int i = 0; i < n && from->counts; i++) {
        const struct join_count *count = &from->counts[unit_of[i]];
        to->value[i] = count->sum;
        to->days[i] = count->days;
        if (has_before) {
            to->before[i] = count->before;
        }
    }
    for (int i = 0; i < n && from->values; i++) {
        const struct join_value *value = &from->values[unit_of[i]];
        to->value[i] = exact_sum_value(value->sum);
        to->days[i] = value->days;
        if (has_before) {
            to->before[i] = exact_sum_value(value->before);
        }
        if (to->denominator) {
            to->denominator[i] = exact_sum_value(from->denominators[unit_of[i]]);
        }
    }
    return 0;
}

/* What a table has taken of a metric. */
static void release(struct join_metric *metric)
{
    free(metric->counts);
    free(metric->values);
    free(metric->denominators);
    free(metric->singles.records);
    *metric = (struct join_metric){0};
}

static int fill_metrics(const struct join *join, struct join_experiment *experiment,
                        const int32_t *unit_of, struct unit_table *table)
{
    const int32_t n_users = id_map_count(join->users);
    const int n = experiment->spec->n_metrics;
    int rc = -1;
    int32_t *row_of = malloc(((size_t)n_users + 1) * sizeof *row_of);
    table->metrics = calloc((size_t)n + 1, sizeof *table->metrics);
    if (!row_of || !table->metrics) {
        goto out;
    }
    table->n_metrics = n;
    memset(row_of, 0xff, ((size_t)n_users + 1) * sizeof *row_of);
    for (int i = 0; i < table->n_units; i++) {
        row_of[unit_of[i]] = i;
    }
    for (int m = 0; m < n; m++) {
        struct join_metric *from = &experiment->metrics[m];
        const int failed =
            from->values || from->counts
                ? fill_values(from, unit_of, table->n_units, &table->metrics[m])
                : join_singles_take(&from->singles, row_of, &table->metrics[m]);
        if (failed) {
            goto out;
        }
        release(from);
    }
    if (!join->wants_items || join_lists_fill(experiment, row_of, &table->lists) == 0) {
        rc = 0;
    }

out:
    free(row_of);
    return rc;
}

/* The table has the rest. */
static int keep_arms(struct join_experiment *experiment, int32_t n_users)
{
    struct join_unit *units = experiment->units;
    char *to = (char *)units;
    for (int32_t u = 0; u < n_users; u++) {
        const int16_t arm = units[u].arm;
        memcpy(to + (size_t)u * sizeof arm, &arm, sizeof arm);
    }
    int16_t *arms = realloc(units, ((size_t)n_users + 1) * sizeof *arms);
    if (!arms) {
        return -1;
    }
    experiment->unit_arms = arms;
    experiment->units = NULL;
    experiment->capacity = 0;
    return 0;
}

void join_other_arms(const struct join *join, int other, const struct unit_table *table,
                     int *group)
{
    const int at = join->spec_experiment[other];
    const struct join_experiment *experiment =
        at == ID_NONE ? NULL : &join->experiments[at];
    for (int i = 0; i < table->n_units; i++) {
        const int32_t user = id_map_find(join->users, table->id[i]);
        const int arm = !experiment || user == ID_NONE ? JOIN_ARM_NONE
                        : experiment->unit_arms        ? experiment->unit_arms[user]
                                                       : experiment->units[user].arm;
        group[i] = arm >= 0 ? experiment->spec_arm[arm] : -1;
    }
}

int join_table(struct join *join, int index, struct unit_table *result,
               struct error *error)
{
    struct unit_table table = {0};
    struct row *rows = NULL;
    int32_t *unit_of = NULL;
    int rc = -1;
    const int at = join->spec_experiment[index];
    table.last_ts_us = join->evidence.last_ts_us;
    if (at == ID_NONE || id_map_count(join->experiments[at].arms) == 0) {
        /* Nobody was exposed to it yet. */
        table.n_metrics = join->spec->experiments[index].n_metrics;
        table.metrics = calloc((size_t)table.n_metrics + 1, sizeof *table.metrics);
        rc = table.metrics ? 0 : -1;
        goto out;
    }
    struct join_experiment *experiment = &join->experiments[at];
    if (experiment->is_taken) {
        error_set(error, ERROR_INVALID, "%s: the table of %s was made before",
                  join->path, join->spec->experiments[index].name);
        return -1;
    }
    experiment->is_taken = true;
    table.n_feedback_early = experiment->n_early;
    table.n_feedback_late = experiment->n_late;
    rows = calloc((size_t)id_map_count(join->users) + 1, sizeof *rows);
    if (!rows) {
        goto out;
    }
    pick_rows(join, experiment, rows, &table);
    unit_of = split_rows(rows, &table);
    if (!unit_of) {
        goto out;
    }
    rows = NULL;
    /* Metrics first: they give back more than the rest of the table takes. */
    if (fill_metrics(join, experiment, unit_of, &table) != 0 ||
        fill_units(join, experiment, unit_of, &table) != 0 ||
        keep_arms(experiment, id_map_count(join->users)) != 0) {
        goto out;
    }
    rc = 0;

out:
    free(rows);
    free(unit_of);
    if (rc != 0) {
        unit_table_free(&table);
        error_set(error, ERROR_NOMEM, "%s: no memory for the units of %s", join->path,
                  join->spec->experiments[index].name);
        return -1;
    }
    *result = table;
    return 0;
}

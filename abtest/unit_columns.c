#include "abtest/unit_columns.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/attribute_segments.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/id_map.h"

#define MAX_FILE_BYTES ((size_t)4 << 30)

/* The cell at *at, unquoted in place; *at moves behind it and its separator. Returns
 * the separator: ',', '\n' or 0 at the end. */
static char take_cell(char **at, char *end, struct slice *cell)
{
    char *from = *at, *to = *at;
    const char *start = to;
    if (from < end && *from == '"') {
        for (from++; from < end; from++) {
            if (*from == '"' && (from + 1 == end || from[1] != '"')) {
                from++;
                break;
            }
            from += *from == '"';
            *to++ = *from;
        }
    }
    while (from < end && *from != ',' && *from != '\n') {
        *to++ = *from++;
    }
    *cell = (struct slice){start, (size_t)(to - start)};
    if (cell->len && cell->data[cell->len - 1] == '\r') {
        cell->len--;
    }
    const char separator = '\0';
    if (from == end) {
        *at = end;
        return separator;
    }
    *at = from + 1;
    return *from;
}

static int no_memory(const char *file, struct error *error)
{
    error_set(error, ERROR_NOMEM, "%s: no memory for its columns", file);
    return -1;
}

static int read_head(const char *file, struct unit_columns *columns, char **at,
                     char *end, struct error *error)
{
    char separator = ',';
    while (separator == ',') {
        struct slice name;
        separator = take_cell(at, end, &name);
        if (columns->n_columns == UNIT_COLUMNS_MAX) {
            error_set(error, ERROR_INVALID, "%s:1: more than %d columns", file,
                      UNIT_COLUMNS_MAX);
            return -1;
        }
        if (slice_is(name, "user")) {
            columns->user_column = columns->n_columns;
        }
        char *text = arena_text(&columns->arena, name);
        if (!text) {
            return no_memory(file, error);
        }
        columns->names[columns->n_columns++] = text;
    }
    if (columns->n_columns < 2) {
        error_set(error, ERROR_INVALID,
                  "%s:1: one column only; the first line must name a user column and "
                  "at least one more",
                  file);
        return -1;
    }
    return 0;
}

static bool read_number(struct slice cell, double *value)
{
    char text[64], *end = NULL;
    if (cell.len == 0 || cell.len >= sizeof text) {
        return false;
    }
    memcpy(text, cell.data, cell.len);
    text[cell.len] = '\0';
    *value = strtod(text, &end);
    return *end == '\0' && isfinite(*value);
}

static int read_rows(const char *file, struct unit_columns *columns,
                     struct id_map *users, char *at, char *end, struct error *error)
{
    size_t capacity = 0;
    long line = 1;
    while (at < end) {
        char separator = ',';
        int n = 0;
        line++;
        if (columns->n_rows == capacity) {
            capacity = capacity ? capacity * 2 : 1024;
            struct slice *grown = realloc(
                columns->cells, capacity * (size_t)columns->n_columns * sizeof *grown);
            if (!grown) {
                return no_memory(file, error);
            }
            columns->cells = grown;
        }
        struct slice *row =
            columns->cells + columns->n_rows * (size_t)columns->n_columns;
        while (separator == ',') {
            struct slice cell;
            separator = take_cell(&at, end, &cell);
            if (n < columns->n_columns) {
                row[n] = cell;
            }
            n++;
        }
        if (n == 1 && row[0].len == 0) {
            continue; /* an empty line */
        }
        if (n != columns->n_columns) {
            error_set(error, ERROR_INVALID, "%s:%ld: %d cells where the head has %d",
                      file, line, n, columns->n_columns);
            return -1;
        }
        const int32_t n_users = id_map_count(users);
        const int32_t user = id_map_add(users, row[columns->user_column]);
        if (user == ID_NONE) {
            return no_memory(file, error);
        }
        if (user != n_users) {
            error_set(error, ERROR_INVALID, "%s:%ld: a second line for user %.*s", file,
                      line, (int)row[columns->user_column].len,
                      row[columns->user_column].data);
            return -1;
        }
        for (int c = 0; c < n; c++) {
            double value;
            columns->is_text[c] |= row[c].len && !read_number(row[c], &value);
        }
        columns->n_rows++;
    }
    return 0;
}

/* The mean item, so that a user's mean predicted score is one dot product. */
static int average_items(const char *file, struct unit_columns *columns,
                         struct error *error)
{
    const struct model *model = columns->model;
    const int f = model->n_factors;
    columns->item_mean =
        arena_zeroed(&columns->arena, (size_t)f + 1, sizeof *columns->item_mean);
    if (!columns->item_mean) {
        return no_memory(file, error);
    }
    for (int32_t i = 0; i < model->n_items; i++) {
        for (int k = 0; k < f; k++) {
            columns->item_mean[k] +=
                (double)model->item_factors[(size_t)i * (size_t)f + (size_t)k] /
                model->n_items;
        }
        columns->item_mean[f] += (double)model->item_bias[i] / model->n_items;
    }
    return 0;
}

int unit_columns_load(const char *file, const char *model_file,
                      struct unit_columns *columns, struct error *error)
{
    if (model_file && (model_load(model_file, &columns->model, error) != 0 ||
                       average_items(model_file, columns, error) != 0)) {
        return -1;
    }
    if (!file) {
        return 0;
    }
    if (file_read(file, MAX_FILE_BYTES, &columns->text, error) != 0) {
        return -1;
    }
    char *at = columns->text.data, *end = at + columns->text.len;
    if (columns->text.len == 0) {
        error_set(error, ERROR_INVALID, "%s: empty", file);
        return -1;
    }
    struct id_map *users = id_map_new();
    const int rc = !users ? no_memory(file, error)
                   : read_head(file, columns, &at, end, error) != 0
                       ? -1
                       : read_rows(file, columns, users, at, end, error);
    id_map_free(users);
    return rc;
}

void unit_columns_free(struct unit_columns *columns)
{
    buffer_free(&columns->text);
    model_free(columns->model);
    free(columns->cells);
    arena_free(&columns->arena);
    *columns = (struct unit_columns){0};
}

/* Row of the unit called `id`, or -1: rows are in order of hash. */
static int find_row(const struct unit_table *table, struct slice id)
{
    const uint64_t hash = hash_bytes(id.data, id.len);
    int low = 0, high = table->n_units;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (table->hash[middle] < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < table->n_units && table->hash[low] == hash; low++) {
        if (slice_equal(table->id[low], id)) {
            return low;
        }
    }
    return -1;
}

static double *new_covariate(struct unit_table *table, struct arena *arena,
                             const char *name)
{
    double *values = arena_zeroed(arena, (size_t)table->n_units, sizeof *values);
    if (values) {
        for (int i = 0; i < table->n_units; i++) {
            values[i] = NAN;
        }
        table->covariates.names[table->covariates.n] = name;
        table->covariates.values[table->covariates.n++] = values;
    }
    return values;
}

/* What the model expects of each user on the mean item. */
static int attach_model(const struct unit_columns *columns, struct unit_table *table,
                        struct arena *arena)
{
    const struct model *model = columns->model;
    double *values =
        new_covariate(table, arena, "the model's predicted affinity (CUPAC)");
    if (!values) {
        return -1;
    }
    for (int i = 0; i < table->n_units; i++) {
        const int32_t user = model_find_user(model, table->id[i]);
        if (user < 0) {
            continue;
        }
        const float *factors =
            model->user_factors + (size_t)user * (size_t)model->n_factors;
        values[i] = (double)model->mean + (double)model->user_bias[user] +
                    columns->item_mean[model->n_factors];
        for (int k = 0; k < model->n_factors; k++) {
            values[i] += (double)factors[k] * columns->item_mean[k];
        }
    }
    return 0;
}

static struct unit_segments *new_segments(struct unit_table *table,
                                          struct unit_segments *segments,
                                          struct arena *arena, const char *name)
{
    struct unit_segments *segment = &segments[table->n_segments];
    segment->name = name;
    segment->groups = arena_zeroed(arena, SEGMENT_MAX_GROUPS, sizeof(const char *));
    segment->group = arena_zeroed(arena, (size_t)table->n_units, sizeof(int));
    if (!segment->groups || !segment->group) {
        return NULL;
    }
    for (int i = 0; i < table->n_units; i++) {
        segment->group[i] = -1;
    }
    return segment;
}

/* Groups are named in byte order, so that the order of the file's lines does not
 * matter.
 */
static int compare_names(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* The different words that units have in a column, at most SEGMENT_MAX_GROUPS; -1:
 * there are more, so that they are identifiers and no groups. */
static int find_words(const struct unit_columns *columns, int column,
                      const int *unit_of, struct slice names[SEGMENT_MAX_GROUPS])
{
    int n = 0;
    for (size_t r = 0; r < columns->n_rows; r++) {
        const struct slice cell =
            columns->cells[r * (size_t)columns->n_columns + (size_t)column];
        int g = 0;
        if (unit_of[r] < 0 || cell.len == 0) {
            continue;
        }
        while (g < n && !slice_equal(names[g], cell)) {
            g++;
        }
        if (g == n) {
            if (n == SEGMENT_MAX_GROUPS) {
                return -1;
            }
            names[n++] = cell;
        }
    }
    qsort(names, (size_t)n, sizeof *names, compare_names);
    return n;
}

/* One text column as a segment; left out when it has too many groups to be one. */
static int attach_text(const struct unit_columns *columns, int column,
                       const int *unit_of, struct unit_table *table,
                       struct unit_segments *segments, struct arena *arena)
{
    struct slice names[SEGMENT_MAX_GROUPS];
    const int n = find_words(columns, column, unit_of, names);
    if (n < 2) {
        return 0;
    }
    struct unit_segments *segment =
        new_segments(table, segments, arena, columns->names[column]);
    if (!segment) {
        return -1;
    }
    for (int g = 0; g < n; g++) {
        segment->groups[g] = arena_text(arena, names[g]);
        if (!segment->groups[g]) {
            return -1;
        }
    }
    segment->n = n;
    for (size_t r = 0; r < columns->n_rows; r++) {
        const struct slice cell =
            columns->cells[r * (size_t)columns->n_columns + (size_t)column];
        for (int g = 0; unit_of[r] >= 0 && g < n; g++) {
            if (slice_equal(names[g], cell)) {
                segment->group[unit_of[r]] = g;
            }
        }
    }
    table->n_segments++;
    return 0;
}

static int attach_numbers(const struct unit_columns *columns, int column,
                          const int *unit_of, struct unit_table *table,
                          struct arena *arena)
{
    double *values = new_covariate(table, arena, columns->names[column]);
    if (!values) {
        return -1;
    }
    for (size_t r = 0; r < columns->n_rows; r++) {
        const struct slice *row = columns->cells + r * (size_t)columns->n_columns;
        double value;
        if (unit_of[r] >= 0 && read_number(row[column], &value)) {
            values[unit_of[r]] = value;
        }
    }
    return 0;
}

/* New units and those with events before their first exposure. */
static int attach_activity(struct unit_table *table, struct unit_segments *segments,
                           struct arena *arena)
{
    bool has_before = false;
    for (int m = 0; m < table->n_metrics; m++) {
        has_before |= table->metrics[m].before != NULL;
    }
    if (!has_before) {
        return 0;
    }
    struct unit_segments *segment =
        new_segments(table, segments, arena, "activity before the first exposure");
    if (!segment) {
        return -1;
    }
    segment->groups[0] = "none (new)";
    segment->groups[1] = "some (known)";
    segment->n = 2;
    for (int i = 0; i < table->n_units; i++) {
        segment->group[i] = 0;
        for (int m = 0; m < table->n_metrics; m++) {
            const double *before = table->metrics[m].before;
            segment->group[i] |= before && before[i] != 0;
        }
    }
    table->n_segments++;
    return 0;
}

/* Units by how much they did before: none, and thirds of those with some. The primary
 * metric tells, or the first that knows of anything before. */
static int attach_thirds(const struct analysis_experiment *spec,
                         struct unit_table *table, struct unit_segments *segments,
                         struct arena *arena)
{
    int metric = spec->primary;
    for (int m = 0; m < table->n_metrics; m++) {
        if (metric < 0 || !table->metrics[metric].before) {
            metric = m;
        }
    }
    if (metric < 0 || !table->metrics[metric].before) {
        return 0;
    }
    struct unit_segments *segment = &segments[table->n_segments];
    segment->name = arena_printf(arena, "%s before the first exposure, thirds",
                                 spec->metrics[metric].name);
    if (!segment->name ||
        segment_thirds(table, table->metrics[metric].before, segment, arena) != 0) {
        return -1;
    }
    table->n_segments += segment->n > 1;
    return 0;
}

/* What requests said of their users. */
static int attach_attributes(const struct join *join, int index,
                             const struct analysis_experiment *spec,
                             struct unit_table *table, struct unit_segments *segments,
                             struct arena *arena)
{
    for (int i = 0; i < spec->n_attributes; i++) {
        struct unit_segments *segment = &segments[table->n_segments];
        if (segment_attribute(join, index, &spec->attributes[i], table, segment,
                              arena) != 0) {
            return -1;
        }
        table->n_segments += segment->n > 1;
    }
    return 0;
}

static int attach_other(const struct join *join,
                        const struct analysis_experiment *experiment, int other,
                        struct unit_table *table, struct unit_segments *segments,
                        struct arena *arena, struct error *error)
{
    const char *name = arena_printf(arena, "arm of %s", experiment->name);
    struct unit_segments *segment =
        name ? new_segments(table, segments, arena, name) : NULL;
    if (!segment) {
        return no_memory(experiment->name, error);
    }
    join_other_arms(join, other, table, segment->group);
    for (int i = 0; i < table->n_units; i++) {
        if (segment->group[i] >= SEGMENT_MAX_GROUPS) {
            segment->group[i] = -1;
        }
    }
    segment->is_experiment = true;
    segment->n = experiment->n_arms < SEGMENT_MAX_GROUPS ? experiment->n_arms
                                                         : SEGMENT_MAX_GROUPS;
    for (int a = 0; a < segment->n; a++) {
        segment->groups[a] = experiment->arms[a].name;
    }
    segment_drop_empty(table, segment);
    table->n_segments += segment->n > 1;
    return 0;
}

/* Every column of the file. */
static int attach_file(const struct unit_columns *columns, struct unit_table *table,
                       struct unit_segments *segments, struct table_columns *room)
{
    int rc = -1;
    int *unit_of = malloc((columns->n_rows + 1) * sizeof *unit_of);
    if (!unit_of) {
        return -1;
    }
    for (size_t r = 0; r < columns->n_rows; r++) {
        unit_of[r] = find_row(table, columns->cells[r * (size_t)columns->n_columns +
                                                    (size_t)columns->user_column]);
        room->n_matched += unit_of[r] >= 0;
    }
    for (int c = 0; c < columns->n_columns; c++) {
        if (c != columns->user_column &&
            (columns->is_text[c]
                 ? attach_text(columns, c, unit_of, table, segments, &room->arena)
                 : attach_numbers(columns, c, unit_of, table, &room->arena)) != 0) {
            goto out;
        }
    }
    rc = 0;

out:
    free(unit_of);
    return rc;
}

int unit_columns_attach(const struct unit_columns *columns, const struct join *join,
                        const struct analysis_spec *spec, int index,
                        struct unit_table *table, struct table_columns *room,
                        struct error *error)
{
    struct arena *arena = &room->arena;
    const char *name = spec->experiments[index].name;
    const struct analysis_experiment *experiment = &spec->experiments[index];
    const size_t n = UNIT_COLUMNS_MAX + 2;
    struct unit_segments *segments = arena_zeroed(
        arena, n + (size_t)(spec->n_experiments + experiment->n_attributes),
        sizeof *segments);
    table->covariates.names = arena_zeroed(arena, n, sizeof(const char *));
    table->covariates.values = arena_zeroed(arena, n, sizeof(double *));
    if (!segments || !table->covariates.names || !table->covariates.values) {
        return no_memory(name, error);
    }
    table->segments = segments;
    if (columns->model && attach_model(columns, table, arena) != 0) {
        return no_memory(name, error);
    }
    if (attach_file(columns, table, segments, room) != 0 ||
        attach_activity(table, segments, arena) != 0 ||
        attach_thirds(experiment, table, segments, arena) != 0 ||
        attach_attributes(join, index, experiment, table, segments, arena) != 0) {
        return no_memory(name, error);
    }
    for (int other = 0; other < spec->n_experiments; other++) {
        if (other != index && attach_other(join, &spec->experiments[other], other,
                                           table, segments, arena, error) != 0) {
            return -1;
        }
    }
    return 0;
}

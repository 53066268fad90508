#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/cell.h"
#include "abtest/commands.h"
#include "abtest/options.h"
#include "abtest/plot.h"
#include "common/file.h"

#define MAX_RUNS    12
#define MAX_COLUMNS 32
#define MAX_BYTES   ((size_t)64 << 20)

/* What a history may measure; the file's columns are train_<name> and test_<name>. */
static const struct {
    const char *name, *label;
    bool low_is_good;
} qualities[] = {{"rmse", "RMSE", true}, {"auc", "AUC", false}};

#define N_QUALITIES ((int)(sizeof qualities / sizeof qualities[0]))

/* One history file. */
struct run {
    char name[64];
    int quality;
    int64_t n;
    double *values; /* (4, n): epoch, loss, train, test; NAN where the cell is empty */
};

enum { EPOCH, LOSS, TRAIN, TEST, N_VALUES };

static const double *values_of(const struct run *run, int which)
{
    return run->values + (int64_t)which * run->n;
}

/* The file's name without its directories and suffix. */
static void name_run(struct run *run, const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(run->name, sizeof run->name, "%s", slash ? slash + 1 : path);
    char *dot = strrchr(run->name, '.');
    if (dot && dot != run->name) {
        *dot = '\0';
    }
}

/* ---- reading ---- */

struct lines {
    const char *path;
    const char *at, *end;
    int64_t number;
};

/* Cuts the next line into cells; returns how many, 0 at the end. */
static int next_line(struct lines *lines, struct slice cells[MAX_COLUMNS])
{
    int n = 0;
    if (lines->at >= lines->end) {
        return 0;
    }
    const char *stop = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
    stop = stop ? stop : lines->end;
    lines->number++;
    while (n < MAX_COLUMNS) {
        const char *tab = memchr(lines->at, '\t', (size_t)(stop - lines->at));
        const char *cell_end = tab ? tab : stop;
        cells[n++] = (struct slice){lines->at, (size_t)(cell_end - lines->at)};
        if (!tab) {
            break;
        }
        lines->at = tab + 1;
    }
    lines->at = stop < lines->end ? stop + 1 : stop;
    return n;
}

static int find_column(const struct slice *cells, int n, const char *part,
                       const char *quality)
{
    char name[32];
    snprintf(name, sizeof name, "%s%s", part, quality);
    for (int c = 0; c < n; c++) {
        if (slice_is(cells[c], name)) {
            return c;
        }
    }
    return -1;
}

/* Where each value stands; -1: not there. */
static int read_header(struct lines *lines, struct run *run, int column[N_VALUES],
                       struct error *error)
{
    struct slice cells[MAX_COLUMNS];
    const int n = next_line(lines, cells);
    column[EPOCH] = find_column(cells, n, "epoch", "");
    column[LOSS] = find_column(cells, n, "loss", "");
    for (run->quality = 0; run->quality < N_QUALITIES; run->quality++) {
        const char *name = qualities[run->quality].name;
        column[TRAIN] = find_column(cells, n, "train_", name);
        column[TEST] = find_column(cells, n, "test_", name);
        if (column[EPOCH] >= 0 && (column[TRAIN] >= 0 || column[TEST] >= 0)) {
            return 0;
        }
    }
    error_set(error, ERROR_INVALID,
              "%s:1: not a history: expected epoch, loss, train_rmse or train_auc "
              "(abtest train --history writes one)",
              lines->path);
    return -1;
}

static int read_cell(const struct lines *lines, struct slice cell, double *value,
                     struct error *error)
{
    char text[64], *end = NULL;
    *value = (double)NAN;
    if (cell.len > 0 && cell.data[cell.len - 1] == '\r') {
        cell.len--;
    }
    if (cell.len == 0) {
        return 0;
    }
    if (cell.len < sizeof text) {
        memcpy(text, cell.data, cell.len);
        text[cell.len] = '\0';
        *value = strtod(text, &end);
    }
    if (!end || *end || end == text) {
        error_set(error, ERROR_INVALID, "%s:%lld: \"%.*s\" is not a number",
                  lines->path, (long long)lines->number, (int)cell.len, cell.data);
        return -1;
    }
    return 0;
}

static int64_t count_lines(const struct buffer *text)
{
    int64_t n = 0;
    for (size_t i = 0; i < text->len; i++) {
        n += text->data[i] == '\n' || i + 1 == text->len;
    }
    return n;
}

static int read_values(struct lines *lines, struct run *run, int64_t room,
                       const int column[N_VALUES], struct error *error)
{
    struct slice cells[MAX_COLUMNS];
    int n_cells = 0;
    while ((n_cells = next_line(lines, cells)) > 0) {
        if (n_cells == 1 && cells[0].len == 0) {
            continue;
        }
        for (int v = 0; v < N_VALUES; v++) {
            double *value = &run->values[(int64_t)v * room + run->n];
            *value = (double)NAN;
            if (column[v] >= 0 && column[v] < n_cells &&
                read_cell(lines, cells[column[v]], value, error) != 0) {
                return -1;
            }
        }
        run->n++;
    }
    for (int v = 1; v < N_VALUES; v++) { /* close the gaps of what was not needed */
        memmove(run->values + v * run->n, run->values + v * room,
                (size_t)run->n * sizeof *run->values);
    }
    return 0;
}

static int run_read(struct run *run, const char *path, struct error *error)
{
    struct buffer text = {0};
    int column[N_VALUES];
    int rc = -1;
    name_run(run, path);
    if (file_read(path, MAX_BYTES, &text, error) != 0) {
        goto out;
    }
    struct lines lines = {path, text.data, text.data + text.len, 0};
    const int64_t room = count_lines(&text) + 1;
    run->values = malloc((size_t)room * N_VALUES * sizeof *run->values);
    if (!run->values) {
        error_set(error, ERROR_NOMEM, "%s: no memory", path);
        goto out;
    }
    if (read_header(&lines, run, column, error) != 0 ||
        read_values(&lines, run, room, column, error) != 0) {
        goto out;
    }
    if (run->n == 0) {
        error_set(error, ERROR_INVALID, "%s: no epoch in it", path);
        goto out;
    }
    rc = 0;
out:
    buffer_free(&text);
    return rc;
}

/* ---- the table ---- */

/* Index of the best value, or -1. */
static int64_t best_of(const struct run *run, int which)
{
    const double *v = values_of(run, which);
    int64_t best = -1;
    for (int64_t j = 0; j < run->n; j++) {
        if (!isnan(v[j]) &&
            (best < 0 ||
             (qualities[run->quality].low_is_good ? v[j] < v[best] : v[j] > v[best]))) {
            best = j;
        }
    }
    return best;
}

static void append_number(struct buffer *out, double value)
{
    if (isnan(value)) {
        buffer_printf(out, " %9s", "-");
    } else {
        buffer_printf(out, " %9.4f", value);
    }
}

static int print_table(const struct run *runs, int n_runs)
{
    struct buffer out = {0};
    buffer_printf(&out, "%-24s %7s %-5s %9s %9s %9s %s\n", "run", "epochs", "", "train",
                  "test", "best test", "at epoch");
    for (int i = 0; i < n_runs; i++) {
        const struct run *run = &runs[i];
        const int64_t best = best_of(run, TEST);
        cell_append(&out, slice_of(run->name), 24);
        buffer_printf(&out, " %7lld %-5s", (long long)run->n,
                      qualities[run->quality].label);
        append_number(&out, values_of(run, TRAIN)[run->n - 1]);
        append_number(&out, values_of(run, TEST)[run->n - 1]);
        append_number(&out, best < 0 ? (double)NAN : values_of(run, TEST)[best]);
        if (best >= 0) {
            buffer_printf(&out, " %8g", values_of(run, EPOCH)[best]);
        }
        buffer_append_char(&out, '\n');
    }
    const int rc = out.failed ? -1 : 0;
    fwrite(out.data, 1, out.failed ? 0 : out.len, stdout);
    buffer_free(&out);
    return rc;
}

/* ---- the picture ---- */

struct names {
    char text[MAX_RUNS][2][96];
};

static bool has_values(const struct run *run, int which)
{
    for (int64_t j = 0; j < run->n; j++) {
        if (!isnan(values_of(run, which)[j])) {
            return true;
        }
    }
    return false;
}

static void add_series(struct plot_panel *panel, const struct run *run, int which,
                       const char *name, int color)
{
    if (has_values(run, which)) {
        panel->series[panel->n_series++] = (struct plot_series){
            .name = name,
            .style = which == TRAIN ? PLOT_DASHED : PLOT_LINE_POINTS,
            .color = color,
            .n = run->n,
            .x = values_of(run, EPOCH),
            .y = values_of(run, which)};
    }
}

/* Loss and quality of the runs that measure `quality`; false when there are none. */
static bool describe(const struct run *runs, int n_runs, int quality,
                     struct names *names, struct plot_panel panels[2])
{
    bool found = false;
    panels[0] = (struct plot_panel){
        .title = "Loss", .x_label = "epoch", .y_label = "loss", .key = PLOT_KEY_ABOVE};
    panels[1] = (struct plot_panel){.title = qualities[quality].label,
                                    .x_label = "epoch",
                                    .y_label = qualities[quality].label,
                                    .key = PLOT_KEY_ABOVE};
    for (int i = 0; i < n_runs; i++) {
        if (runs[i].quality != quality) {
            continue;
        }
        found = true;
        snprintf(names->text[i][0], sizeof names->text[i][0], "%.60s, training",
                 runs[i].name);
        snprintf(names->text[i][1], sizeof names->text[i][1], "%.60s, test",
                 runs[i].name);
        add_series(&panels[0], &runs[i], LOSS, runs[i].name, i);
        add_series(&panels[1], &runs[i], TRAIN, names->text[i][0], i);
        add_series(&panels[1], &runs[i], TEST, names->text[i][1], i);
    }
    return found;
}

static int draw(const struct run *runs, int n_runs, const struct plot_choice *plot)
{
    struct plot_panel panels[2 * N_QUALITIES] = {{0}};
    struct plot_page page = {.n_columns = 2, .panels = panels};
    struct names names;
    for (int q = 0; q < N_QUALITIES; q++) {
        if (describe(runs, n_runs, q, &names, panels + page.n_panels)) {
            page.n_panels += 2;
        }
    }
    return plot_show(&page, plot, "history");
}

static int run_command(const char *const *paths, int n_paths,
                       const struct plot_choice *plot)
{
    struct run runs[MAX_RUNS] = {{{0}, 0, 0, NULL}};
    struct error error = {0};
    int status = EXIT_FAILED;
    for (int i = 0; i < n_paths; i++) {
        if (run_read(&runs[i], paths[i], &error) != 0) {
            complain("history", "%s", error.message);
            goto out;
        }
    }
    if (print_table(runs, n_paths) != 0) {
        complain("history", "no memory for the table");
        goto out;
    }
    status = plot->path ? draw(runs, n_paths, plot) : EXIT_DONE;
out:
    for (int i = 0; i < n_paths; i++) {
        free(runs[i].values);
    }
    return status;
}

int cmd_history(int argc, char **argv)
{
    struct plot_choice plot = {0};
    const struct option_spec options[] = {
        PLOT_OPTIONS(&plot),
    };
    const struct command_usage usage = {
        .command = "history",
        .arguments = "HISTORY.tsv ... [options]",
        .summary = "Compares training runs by what abtest train --history wrote: loss "
                   "and quality over the\nepochs, several runs in one picture.",
        .options = options,
        .n_options = sizeof options / sizeof options[0],
        .min_arguments = 1,
        .max_arguments = MAX_RUNS,
    };
    const char *paths[MAX_RUNS];
    int n_paths = 0;
    const int parsed = options_parse(&usage, argc, argv, paths, &n_paths);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    const int checked = plot_check(&plot, "history");
    return checked == OPTIONS_RUN
               ? finish_output("history", run_command(paths, n_paths, &plot))
               : checked;
}

#include "abtest/summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/file.h"

#define MAX_FILE_BYTES ((size_t)64 << 20)
#define MAX_LINE       4096
#define MAX_PARTS      64 /* experiments, arms or metrics */

enum column {
    COLUMN_EXPERIMENT,
    COLUMN_ARM,
    COLUMN_METRIC,
    COLUMN_KIND,
    COLUMN_DIRECTION,
    COLUMN_ROLE,
    COLUMN_WEIGHT,
    COLUMN_UNITS,
    COLUMN_SUM,
    COLUMN_SUM_SQUARES,
    COLUMN_DENOMINATOR,
    COLUMN_DENOMINATOR_SQUARES,
    COLUMN_PRODUCT,
    N_COLUMNS
};
static const char *const column_names[N_COLUMNS] = {
    "experiment", "arm",         "metric",      "kind",
    "direction",  "role",        "weight",      "units",
    "sum",        "sum_squares", "denominator", "denominator_squares",
    "product",
};

/* One experiment while it is read. */
struct draft {
    const char *name;
    const struct analysis_experiment *known; /* by the config; NULL without one */
    struct analysis_arm arms[MAX_PARTS];
    struct analysis_metric metrics[MAX_PARTS];
    int roles[MAX_PARTS]; /* of the metrics, without a config */
    int guardrails[MAX_PARTS];
    struct ratio_sum sums[MAX_PARTS][MAX_PARTS]; /* metric, arm */
    bool is_set[MAX_PARTS][MAX_PARTS];
    int n_arms, n_metrics, n_guardrails, primary;
};

struct reader {
    const char *file;
    long line;
    int column_of[N_COLUMNS]; /* where each column stands, or -1 */
    char text[MAX_LINE];      /* of the line that the cells point into */
    const char *cells[MAX_PARTS];
    int n_cells;
    struct draft *drafts; /* (MAX_PARTS) */
    int n_drafts;
    const struct analysis_spec *known; /* of the config; NULL without one */
    struct arena *arena;
    struct error *error;
};

static int bad(const struct reader *reader, const char *what, const char *value,
               const char *remedy)
{
    error_set(reader->error, ERROR_INVALID, "%s:%ld: %s \"%s\" (%s)", reader->file,
              reader->line, what, value, remedy);
    return -1;
}

/* Splits at commas, in place; no quotes: these are names and numbers. */
static int split(struct reader *reader, char *text)
{
    reader->n_cells = 0;
    for (char *at = text; at;) {
        if (reader->n_cells == MAX_PARTS) {
            return bad(reader, "too many cells in", text, "64 at most");
        }
        char *comma = strchr(at, ',');
        if (comma) {
            *comma = '\0';
        }
        reader->cells[reader->n_cells++] = at;
        at = comma ? comma + 1 : NULL;
    }
    return 0;
}

static int read_head(struct reader *reader, char *text)
{
    if (split(reader, text) != 0) {
        return -1;
    }
    for (int c = 0; c < N_COLUMNS; c++) {
        reader->column_of[c] = -1;
    }
    for (int i = 0; i < reader->n_cells; i++) {
        int c = 0;
        while (c < N_COLUMNS && strcmp(reader->cells[i], column_names[c]) != 0) {
            c++;
        }
        if (c == N_COLUMNS) {
            return bad(reader, "unknown column", reader->cells[i],
                       "abtest analyze --help and docs/report.md list them");
        }
        if (reader->known && c >= COLUMN_KIND && c <= COLUMN_WEIGHT) {
            return bad(reader, "column", reader->cells[i],
                       "the config says that: leave it out");
        }
        reader->column_of[c] = i;
    }
    static const enum column needed[] = {COLUMN_ARM, COLUMN_METRIC, COLUMN_UNITS,
                                         COLUMN_SUM};
    for (int i = 0; i < 4; i++) {
        if (reader->column_of[needed[i]] < 0) {
            return bad(reader, "missing column", column_names[needed[i]],
                       "the first line must name it");
        }
    }
    return 0;
}

static const char *text_of(const struct reader *reader, enum column column,
                           const char *otherwise)
{
    const int at = reader->column_of[column];
    return at < 0 || !reader->cells[at][0] ? otherwise : reader->cells[at];
}

static int number_of(const struct reader *reader, enum column column, double otherwise,
                     double *value)
{
    const char *text = text_of(reader, column, NULL);
    char *end = NULL;
    *value = otherwise;
    if (!text) {
        return 0;
    }
    *value = strtod(text, &end);
    return *end || !isfinite(*value)
               ? bad(reader, column_names[column], text, "not a finite number")
               : 0;
}

/* Arms and metrics of a draft as the config has them. */
static int take_known(struct reader *reader, struct draft *draft)
{
    for (int e = 0; e < reader->known->n_experiments; e++) {
        if (strcmp(reader->known->experiments[e].name, draft->name) == 0) {
            draft->known = &reader->known->experiments[e];
        }
    }
    if (!draft->known) {
        return bad(reader, "experiment", draft->name,
                   "the config has none of that name");
    }
    if (draft->known->n_arms > MAX_PARTS || draft->known->n_metrics > MAX_PARTS) {
        return bad(reader, "too many arms or metrics in", draft->name, "64 at most");
    }
    draft->n_arms = draft->known->n_arms;
    draft->n_metrics = draft->known->n_metrics;
    memcpy(draft->arms, draft->known->arms,
           (size_t)draft->n_arms * sizeof *draft->arms);
    memcpy(draft->metrics, draft->known->metrics,
           (size_t)draft->n_metrics * sizeof *draft->metrics);
    return 0;
}

static struct draft *find_draft(struct reader *reader)
{
    const bool is_only = reader->known && reader->known->n_experiments == 1;
    const char *name =
        text_of(reader, COLUMN_EXPERIMENT,
                is_only ? reader->known->experiments[0].name : "experiment");
    for (int d = 0; d < reader->n_drafts; d++) {
        if (strcmp(reader->drafts[d].name, name) == 0) {
            return &reader->drafts[d];
        }
    }
    struct draft *draft = &reader->drafts[reader->n_drafts];
    if (reader->n_drafts == MAX_PARTS) {
        (void)bad(reader, "one experiment too many:", name, "64 at most");
        return NULL;
    }
    *draft = (struct draft){.name = arena_text(reader->arena, slice_of(name)),
                            .primary = -1};
    if (!draft->name) {
        error_set(reader->error, ERROR_NOMEM, "%s: no memory for its experiments",
                  reader->file);
        return NULL;
    }
    if (reader->known && take_known(reader, draft) != 0) {
        return NULL;
    }
    reader->n_drafts++;
    return draft;
}

static int find_arm(struct reader *reader, struct draft *draft)
{
    const char *name = text_of(reader, COLUMN_ARM, "");
    for (int a = 0; a < draft->n_arms; a++) {
        double weight;
        if (strcmp(draft->arms[a].name, name) != 0) {
            continue;
        }
        if (number_of(reader, COLUMN_WEIGHT, draft->arms[a].weight, &weight) != 0) {
            return -1;
        }
        return weight == draft->arms[a].weight || draft->known
                   ? a
                   : bad(reader, "weight", text_of(reader, COLUMN_WEIGHT, ""),
                         "another than on the arm's first line");
    }
    if (draft->known) {
        return bad(reader, "arm", name, "the config has none of that name");
    }
    struct analysis_arm arm = {arena_text(reader->arena, slice_of(name)), 0};
    if (!arm.name || draft->n_arms == MAX_PARTS) {
        return bad(reader, "one arm too many:", name, "64 at most");
    }
    if (number_of(reader, COLUMN_WEIGHT, 1, &arm.weight) != 0) {
        return -1;
    }
    if (!(arm.weight > 0)) {
        return bad(reader, "weight", text_of(reader, COLUMN_WEIGHT, ""), "above 0");
    }
    draft->arms[draft->n_arms] = arm;
    return draft->n_arms++;
}

static int word_of(const struct reader *reader, enum column column,
                   const char *const *words, int n, int otherwise)
{
    const char *text = text_of(reader, column, NULL);
    if (!text) {
        return otherwise;
    }
    for (int w = 0; w < n; w++) {
        if (strcmp(words[w], text) == 0) {
            return w;
        }
    }
    return bad(reader, column_names[column], text, "see docs/report.md for the words");
}

/* What a line says of its metric. */
struct words {
    int kind, direction, role;
};

static int read_words(const struct reader *reader, struct words otherwise,
                      struct words *words)
{
    static const char *const kinds[] = {"proportion", "mean", "count", "ratio"};
    static const char *const directions[] = {"down", "none", "up"};
    static const char *const roles[] = {"primary", "guardrail", "secondary"};
    words->kind = word_of(reader, COLUMN_KIND, kinds, 4, otherwise.kind);
    words->direction =
        word_of(reader, COLUMN_DIRECTION, directions, 3, otherwise.direction);
    words->role = word_of(reader, COLUMN_ROLE, roles, 3, otherwise.role);
    return words->kind < 0 || words->direction < 0 || words->role < 0 ? -1 : 0;
}

static bool is_of_plain_sums(const struct analysis_metric *metric)
{
    return analysis_is_of_sums(metric) && !(metric->floor > 0) &&
           !(metric->cap > 0 && metric->cap < 1) && metric->replicates == 0;
}

/* A metric that was there before: may its sums be what the line says? */
static int check_metric(const struct reader *reader, const struct draft *draft, int at)
{
    const struct analysis_metric *metric = &draft->metrics[at];
    struct words then = {(int)metric->kind, metric->direction + 1, draft->roles[at]},
                 now;
    if (!is_of_plain_sums(metric)) {
        return bad(reader, "metric", metric->name,
                   "quantiles, trimmed and winsorised means and bootstrap intervals do "
                   "not follow from sums");
    }
    if (draft->known) {
        return at;
    }
    if (read_words(reader, then, &now) != 0) {
        return -1;
    }
    return memcmp(&now, &then, sizeof now) == 0
               ? at
               : bad(reader, "metric", metric->name,
                     "kind, direction or role is another than on its first line");
}

static int find_metric(struct reader *reader, struct draft *draft)
{
    const char *name = text_of(reader, COLUMN_METRIC, "");
    struct words words;
    for (int m = 0; m < draft->n_metrics; m++) {
        if (strcmp(draft->metrics[m].name, name) == 0) {
            return check_metric(reader, draft, m);
        }
    }
    if (draft->known) {
        return bad(reader, "metric", name, "the config has none of that name");
    }
    const struct words otherwise = {
        ANALYSIS_PROPORTION, 2, draft->n_metrics == 0 ? ROLE_PRIMARY : ROLE_SECONDARY};
    const char *copy = arena_text(reader->arena, slice_of(name));
    if (read_words(reader, otherwise, &words) != 0) {
        return -1;
    }
    if (!copy || draft->n_metrics == MAX_PARTS) {
        return bad(reader, "one metric too many:", name, "64 at most");
    }
    if (words.role == ROLE_PRIMARY && draft->primary >= 0) {
        return bad(reader, "a second primary metric:", name, "one an experiment");
    }
    const int at = draft->n_metrics++;
    draft->metrics[at] = (struct analysis_metric){
        .name = copy,
        .kind = (enum analysis_kind)words.kind,
        .event = copy,
        .denominator = words.kind == ANALYSIS_RATIO ? "its denominator" : NULL,
        .direction = words.direction - 1,
    };
    draft->roles[at] = words.role;
    if (words.role == ROLE_PRIMARY) {
        draft->primary = at;
    } else if (words.role == ROLE_GUARDRAIL) {
        draft->guardrails[draft->n_guardrails++] = at;
    }
    return at;
}

/* The sums of one line as means and sums of deviations. */
static int read_sums(struct reader *reader, enum analysis_kind kind,
                     struct ratio_sum *sum)
{
    double n, x, xx, y, yy, xy;
    if (number_of(reader, COLUMN_UNITS, 0, &n) != 0 ||
        number_of(reader, COLUMN_SUM, 0, &x) != 0 ||
        number_of(reader, COLUMN_SUM_SQUARES, x, &xx) != 0 ||
        number_of(reader, COLUMN_DENOMINATOR, n, &y) != 0 ||
        number_of(reader, COLUMN_DENOMINATOR_SQUARES, n, &yy) != 0 ||
        number_of(reader, COLUMN_PRODUCT, x, &xy) != 0) {
        return -1;
    }
    if (!(n >= 0) || n != floor(n) || n > 9e15) {
        return bad(reader, "units", text_of(reader, COLUMN_UNITS, ""),
                   "a whole number of units, not of events");
    }
    if (kind == ANALYSIS_PROPORTION && (!(x >= 0 && x <= n) || x != floor(x))) {
        return bad(reader, "sum", text_of(reader, COLUMN_SUM, ""),
                   "successes of a proportion: whole, and not above units");
    }
    if (kind != ANALYSIS_PROPORTION && reader->column_of[COLUMN_SUM_SQUARES] < 0) {
        return bad(reader, "missing column", "sum_squares",
                   "a mean's variance cannot be known without it");
    }
    *sum = (struct ratio_sum){(uint64_t)n, NAN, NAN, 0, 0, 0};
    if (n > 0) {
        sum->mean_x = x / n;
        sum->mean_y = y / n;
        sum->squares_x = fmax(0, xx - x * x / n);
        sum->squares_y = fmax(0, yy - y * y / n);
        sum->products = xy - x * y / n;
    }
    return 0;
}

static int read_line(struct reader *reader, char *text)
{
    if (split(reader, text) != 0) {
        return -1;
    }
    for (int c = 0; c < N_COLUMNS; c++) {
        if (reader->column_of[c] >= reader->n_cells) {
            return bad(reader, "no cell for column", column_names[c],
                       "as many cells as the first line");
        }
    }
    struct draft *draft = find_draft(reader);
    if (!draft) {
        return -1;
    }
    const int arm = find_arm(reader, draft);
    const int metric = arm < 0 ? -1 : find_metric(reader, draft);
    if (metric < 0) {
        return -1;
    }
    if (draft->is_set[metric][arm]) {
        return bad(reader, "second line for metric", draft->metrics[metric].name,
                   "one line per arm and metric");
    }
    draft->is_set[metric][arm] = true;
    return read_sums(reader, draft->metrics[metric].kind, &draft->sums[metric][arm]);
}

static int read_lines(struct reader *reader, struct buffer *text)
{
    char *at = text->data, *end = text->data + text->len;
    while (at < end) {
        char *line = reader->text;
        char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline ? newline : end) - at);
        reader->line++;
        if (len >= sizeof reader->text) {
            return bad(reader, "line of more than", "4096", "bytes");
        }
        memcpy(line, at, len);
        while (len && (line[len - 1] == '\r' || line[len - 1] == ' ')) {
            len--;
        }
        line[len] = '\0';
        at = newline ? newline + 1 : end;
        if (len > 0 && (reader->line == 1 ? read_head(reader, line)
                                          : read_line(reader, line)) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Copies a draft into the arena; weights become shares. */
static int finish(struct reader *reader, const struct draft *draft, double alpha,
                  struct analysis_experiment *to, struct ratio_sum **sums)
{
    struct arena *arena = reader->arena;
    const size_t n_arms = (size_t)draft->n_arms, n_metrics = (size_t)draft->n_metrics;
    struct analysis_arm *arms = arena_zeroed(arena, n_arms, sizeof *arms);
    struct analysis_metric *metrics = arena_zeroed(arena, n_metrics, sizeof *metrics);
    int *guardrails = arena_zeroed(arena, (size_t)draft->n_guardrails, sizeof(int));
    *sums = arena_zeroed(arena, n_arms * n_metrics, sizeof **sums);
    if (!arms || !metrics || !guardrails || !*sums) {
        return -1;
    }
    double total = 0;
    for (int a = 0; a < draft->n_arms; a++) {
        total += draft->arms[a].weight;
    }
    for (int a = 0; a < draft->n_arms; a++) {
        arms[a] = draft->arms[a];
        arms[a].weight /= total;
    }
    memcpy(metrics, draft->metrics, n_metrics * sizeof *metrics);
    memcpy(guardrails, draft->guardrails,
           (size_t)draft->n_guardrails * sizeof *guardrails);
    for (int m = 0; m < draft->n_metrics; m++) {
        for (int a = 0; a < draft->n_arms; a++) {
            (*sums)[m * draft->n_arms + a] = draft->sums[m][a];
        }
    }
    if (draft->known) {
        *to = *draft->known;
        return 0;
    }
    *to = (struct analysis_experiment){
        .name = draft->name,
        .status = "summary",
        .config_hash = "none: from sums",
        .alpha = alpha,
        .arms = arms,
        .n_arms = draft->n_arms,
        .metrics = metrics,
        .n_metrics = draft->n_metrics,
        .primary = draft->primary,
        .guardrails = guardrails,
        .n_guardrails = draft->n_guardrails,
    };
    return 0;
}

/* The drafts as the spec of an analysis; with a name, that one only. */
static int finish_all(const struct summary_request *request, struct reader *reader,
                      struct summary *summary)
{
    int n = 0;
    struct analysis_experiment *experiments =
        arena_zeroed(&summary->arena, (size_t)reader->n_drafts, sizeof *experiments);
    summary->sums = arena_zeroed(&summary->arena, (size_t)reader->n_drafts,
                                 sizeof(struct ratio_sum *));
    for (int d = 0; d < reader->n_drafts; d++) {
        if (request->experiment &&
            strcmp(reader->drafts[d].name, request->experiment) != 0) {
            continue;
        }
        if (!experiments || !summary->sums ||
            finish(reader, &reader->drafts[d], request->alpha, &experiments[n],
                   &summary->sums[n]) != 0) {
            error_set(reader->error, ERROR_NOMEM, "%s: no memory for its experiments",
                      request->file);
            return -1;
        }
        n++;
    }
    if (n == 0 && request->experiment) {
        error_set(reader->error, ERROR_NOT_FOUND, "%s: no line of experiment \"%s\"",
                  request->file, request->experiment);
        return -1;
    }
    if (n == 0) {
        error_set(reader->error, ERROR_INVALID, "%s: no line after the first",
                  request->file);
        return -1;
    }
    summary->spec = (struct analysis_spec){experiments, n};
    return 0;
}

int summary_load(const struct summary_request *request, struct summary *summary,
                 struct error *error)
{
    struct buffer text = {0};
    struct reader reader = {
        .file = request->file, .arena = &summary->arena, .error = error};
    int rc = -1;
    reader.drafts = calloc(MAX_PARTS, sizeof *reader.drafts);
    if (!reader.drafts) {
        error_set(error, ERROR_NOMEM, "%s: no memory for its experiments",
                  request->file);
        goto out;
    }
    if (request->config) {
        if (analysis_source_of_config(request->config, &summary->source, error) != 0) {
            goto out;
        }
        reader.known = &summary->source.spec;
    }
    if (file_read(request->file, MAX_FILE_BYTES, &text, error) == 0 &&
        read_lines(&reader, &text) == 0) {
        rc = finish_all(request, &reader, summary);
    }

out:
    free(reader.drafts);
    buffer_free(&text);
    return rc;
}

void summary_free(struct summary *summary)
{
    analysis_source_free(&summary->source);
    arena_free(&summary->arena);
    *summary = (struct summary){0};
}

struct analysis *summary_analyze(const struct summary *summary, struct error *error)
{
    const struct evidence none = {0};
    struct analysis *analysis = analysis_new(&none, summary->spec.n_experiments);
    if (!analysis) {
        error_set(error, ERROR_NOMEM, "no memory to analyze the sums");
        return NULL;
    }
    analysis->source = "summary";
    for (int e = 0; e < summary->spec.n_experiments; e++) {
        if (analysis_run_sums(analysis, e, &summary->spec.experiments[e],
                              summary->sums[e], error) != 0) {
            analysis_free(analysis);
            return NULL;
        }
    }
    return analysis;
}

/* docs/config.md against the parser's own table: every key there, with its default and
 * range, in its section, and every example accepted. */
#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "experiment/config_keys.h"
#include "experiment/experiment.h"

#define PAGE TEST_DATA "/../../docs/config.md"

enum cell { CELL_KEY, CELL_TYPE, CELL_DEFAULT, CELL_RANGE, CELL_EXAMPLE, N_CELLS };

struct row {
    char section[32];
    char cells[N_CELLS][200];
};

static char *page;

static int setup(void **state)
{
    (void)state;
    struct buffer text = {0};
    struct error error = {0};
    if (file_read(PAGE, 1 << 20, &text, &error) != 0) {
        print_error("%s\n", error.message);
        return -1;
    }
    buffer_append_char(&text, '\0');
    page = text.data;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(page);
    return 0;
}

static void copy_cell(char *to, size_t size, const char *from, size_t len)
{
    while (len && *from == ' ') {
        from++;
        len--;
    }
    while (len && from[len - 1] == ' ') {
        len--;
    }
    assert_true(len < size);
    memcpy(to, from, len);
    to[len] = '\0';
}

/* The next row of a table of keys at or after *at, moved past it; false at the end. */
static bool next_row(const char **at, struct row *row)
{
    while (**at) {
        const char *line = *at;
        const size_t len = strcspn(line, "\n");
        *at = line + len + (line[len] == '\n');
        if (strncmp(line, "## ", 3) == 0) {
            row->section[0] = '\0';
            (void)sscanf(line, "## `[%31[^]` ]", row->section);
        } else if (strncmp(line, "| `", 3) == 0) {
            const char *cell = line + 2;
            for (int i = 0; i < N_CELLS; i++) {
                const char *end = strstr(cell, " |");
                assert_non_null(end);
                copy_cell(row->cells[i], sizeof row->cells[i], cell,
                          (size_t)(end - cell));
                cell = end + 2;
            }
            return true;
        }
    }
    return false;
}

static const struct config_key *find_key(const struct row *row)
{
    size_t n = 0;
    const struct config_key *keys = config_key_table(&n);
    for (size_t i = 0; i < n; i++) {
        char quoted[64];
        snprintf(quoted, sizeof quoted, "`%s`", keys[i].name);
        if (strcmp(row->section, config_section_spec(keys[i].section)->word) == 0 &&
            strcmp(row->cells[CELL_KEY], quoted) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}

static void check_default(const struct row *row, const struct config_key *key)
{
    char expected[80];
    snprintf(expected, sizeof expected,
             !key->default_text   ? "required"
             : *key->default_text ? "`%s`"
                                  : "-%s",
             key->default_text);
    assert_string_equal(row->cells[CELL_DEFAULT], expected);
}

/* Every word that the parser takes stands in the cell, or both ends of the range. */
static void check_range(const struct row *row, const struct config_key *key)
{
    char expected[200] = "";
    if (key->type == KEY_WORD) {
        for (const char *word = key->words; *word;) {
            const size_t len = strcspn(word, "|");
            const size_t used = strlen(expected);
            snprintf(expected + used, sizeof expected - used, "%s`%.*s`",
                     used ? ", " : "", (int)len, word);
            word += len + (word[len] == '|');
        }
    } else if (key->type == KEY_INT || key->type == KEY_NUMBER) {
        snprintf(expected, sizeof expected, "%g to %g", key->min, key->max);
    } else {
        return;
    }
    assert_string_equal(row->cells[CELL_RANGE], expected);
}

static void every_key_has_its_row(void **state)
{
    (void)state;
    size_t n_keys = 0, n_rows = 0;
    (void)config_key_table(&n_keys);
    bool seen[256] = {false};
    struct row row = {0};
    for (const char *at = page; next_row(&at, &row);) {
        const struct config_key *key = find_key(&row);
        if (!key) {
            fail_msg("docs/config.md: the parser has no %s in [%s]",
                     row.cells[CELL_KEY], row.section);
            return; /* not reached; fail_msg jumps, which tools do not know */
        }
        const size_t index = (size_t)(key - config_key_table(&n_keys));
        assert_false(seen[index]);
        seen[index] = true;
        check_default(&row, key);
        check_range(&row, key);
        n_rows++;
    }
    for (size_t i = 0; i < n_keys; i++) {
        const struct config_key *key = &config_key_table(&n_keys)[i];
        if (!seen[i]) {
            fail_msg("docs/config.md: no row for %s in [%s]", key->name,
                     config_section_spec(key->section)->word);
        }
    }
    assert_int_equal(n_rows, n_keys);
}

static void every_section_has_its_heading(void **state)
{
    (void)state;
    for (int kind = 0; kind < N_SECTION_KINDS; kind++) {
        const struct section_spec *spec = config_section_spec((enum section_kind)kind);
        char heading[80];
        snprintf(heading, sizeof heading, "\n## `[%s%s]`\n", spec->word,
                 spec->arguments);
        if (!strstr(page, heading)) {
            fail_msg("docs/config.md has no heading%s", heading);
        }
    }
}

/* A config that holds the example, and what it needs around it. */
static void write_config(const struct row *row, const struct config_key *key,
                         const char *example, char *text, size_t size)
{
    const bool is_spending = strcmp(key->name, "spending") == 0;
    static const char *const of_means[] = {"cap", "floor", "trim"};
    bool is_of_means = false;
    for (size_t i = 0; i < sizeof of_means / sizeof of_means[0]; i++) {
        is_of_means |= strcmp(key->name, of_means[i]) == 0;
    }
    const char *needed = is_spending                       ? "planned_units = 20000\n"
                         : is_of_means                     ? "kind = mean\nevent = e\n"
                         : key->section == SECTION_METRIC  ? "kind = ratio\nevent = e\n"
                                                             "denominator = d\n"
                         : key->section == SECTION_MODEL   ? "file = m\n"
                         : key->section == SECTION_HOLDOUT ? "share = 0\n"
                         : key->section == SECTION_ARM     ? "weight = 0.5\n"
                                                           : "";
    char kept[200] = "";
    /* Without the line that the example takes the place of. A quantile has no
     * denominator. */
    for (const char *line = needed; *line;) {
        const size_t len = strcspn(line, "\n") + 1, used = strlen(kept);
        const bool is_same = strncmp(line, key->name, strlen(key->name)) == 0;
        const bool is_odd =
            strstr(example, "quantile") && strncmp(line, "denominator", 11) == 0;
        if (!is_same && !is_odd) {
            snprintf(kept + used, sizeof kept - used, "%.*s", (int)len, line);
        }
        line += len;
    }
    const char *name = key->section == SECTION_MODEL        ? " other"
                       : key->section == SECTION_METRIC     ? " example"
                       : key->section == SECTION_EXPERIMENT ? " x"
                       : key->section == SECTION_ARM        ? " y a"
                                                            : "";
    snprintf(text, size,
             "[model m]\nfile = m\n[metric satisfied]\nkind = proportion\nevent = s\n"
             "[metric latency]\nkind = mean\nevent = exposure.latency_us\n"
             "%s[experiment y]\n%s[arm y b]\nweight = 0.5\n"
             "%s[arm x a]\nweight = 0.5\n[arm x b]\nweight = 0.5\n"
             "[attributes]\ncountry = string\nage = number\n"
             "[%s%s]\n%s%s\n",
             "", key->section == SECTION_ARM ? "" : "[arm y a]\nweight = 0.5\n",
             key->section == SECTION_EXPERIMENT ? "" : "[experiment x]\n", row->section,
             name, kept, example);
}

static void every_example_is_accepted(void **state)
{
    (void)state;
    struct row row = {0};
    for (const char *at = page; next_row(&at, &row);) {
        const struct config_key *key = find_key(&row);
        char example[200], text[2000];
        struct config *config = NULL;
        struct config_problems problems = {0};
        struct error error = {0};
        assert_non_null(key);
        assert_int_equal(sscanf(row.cells[CELL_EXAMPLE], "`%199[^`]`", example), 1);
        write_config(&row, key, example, text, sizeof text);
        if (config_parse(slice_of(text), "example", "", &config, &problems, &error) !=
            0) {
            fail_msg("%s\n%s", error.message, text);
        }
        config_problems_free(&problems);
        config_free(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_has_its_row),
        cmocka_unit_test(every_section_has_its_heading),
        cmocka_unit_test(every_example_is_accepted),
    };
    return cmocka_run_group_tests_name("config docs", tests, setup, teardown);
}

#include "experiment/ini_scan.h"

#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "experiment/ini_text.h"

/* Stands for a ':' before the '=' while inih looks at the line, because inih would end
 * the key there; no line that reaches inih holds a control character of its own. */
#define COLON_IN_KEY '\x1f'

struct scan {
    struct slice rest; /* what has not been given to inih yet */
    int line;          /* of the text last given to it */
    bool has_entry;    /* that line must bring a key and has not yet */
    bool is_section_bad;
    struct ini_file *file;
    struct problem_list *problems;
};

static struct slice next_line(struct scan *scan)
{
    const char *end = memchr(scan->rest.data, '\n', scan->rest.len);
    const size_t len = end ? (size_t)(end - scan->rest.data) : scan->rest.len;
    const struct slice line = {scan->rest.data, len};
    const size_t used = end ? len + 1 : len;
    scan->rest.data += used;
    scan->rest.len -= used;
    scan->line++;
    return line;
}

/* Cuts the header's words apart in place. */
static void split_words(struct scan *scan, struct ini_section *section)
{
    char *at = section->text;
    for (;;) {
        while (ini_is_blank(*at)) {
            *at++ = '\0';
        }
        if (!*at) {
            break;
        }
        if (section->n_words == INI_MAX_WORDS) {
            problems_add(scan->problems, section->line,
                         "section name has more than %d words (names hold no spaces)",
                         INI_MAX_WORDS);
            scan->is_section_bad = true;
            return;
        }
        section->words[section->n_words++] = at;
        while (*at && !ini_is_blank(*at)) {
            at++;
        }
    }
    if (section->n_words == 0) {
        problems_add(scan->problems, section->line,
                     "section without a name (write [server], [model als], ...)");
        scan->is_section_bad = true;
    }
}

static struct ini_section *add_section(struct scan *scan)
{
    struct ini_file *file = scan->file;
    if (file->n_sections == file->capacity) {
        const int capacity = file->capacity ? 2 * file->capacity : 16;
        struct ini_section *sections =
            realloc(file->sections, (size_t)capacity * sizeof *sections);
        if (!sections) {
            scan->problems->no_memory = true;
            return NULL;
        }
        file->sections = sections;
        file->capacity = capacity;
    }
    struct ini_section *section = &file->sections[file->n_sections];
    *section = (struct ini_section){.line = scan->line};
    return section;
}

static void begin_section(struct scan *scan, struct slice line)
{
    scan->is_section_bad = true; /* until it proves good: its keys are then skipped */
    const char *close = memchr(line.data, ']', line.len);
    if (!close) {
        problems_add(scan->problems, scan->line, "section header without \"]\"");
        return;
    }
    const struct slice after = ini_strip(
        (struct slice){close + 1, (size_t)(line.data + line.len - close - 1)});
    if (after.len && after.data[0] != ';') {
        problems_add(scan->problems, scan->line,
                     "text after the section header (begin a comment with \";\")");
    }
    struct ini_section *section = add_section(scan);
    if (!section) {
        return;
    }
    section->text = strndup(line.data + 1, (size_t)(close - line.data - 1));
    if (!section->text) {
        scan->problems->no_memory = true;
        return;
    }
    scan->is_section_bad = false;
    scan->file->n_sections++;
    split_words(scan, section);
    if (scan->is_section_bad) {
        free(section->text);
        scan->file->n_sections--;
    }
}

static bool has_control_character(struct slice line)
{
    for (size_t i = 0; i < line.len; i++) {
        const unsigned char c = (unsigned char)line.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7F) {
            return true;
        }
    }
    return false;
}

/* Whether a line may be given to inih; says why not. */
static bool is_fit(struct scan *scan, struct slice line, size_t max_len)
{
    if (line.len > max_len) {
        problems_add(
            scan->problems, scan->line,
            "line of %zu bytes is longer than %zu (the INI reader would cut it)",
            line.len, max_len);
        return false;
    }
    if (has_control_character(line)) {
        problems_add(scan->problems, scan->line,
                     "control character in the line (remove it)");
        return false;
    }
    if (!utf8_is_valid(line.data, line.len)) {
        problems_add(scan->problems, scan->line,
                     "line is not valid UTF-8 (save the file as UTF-8)");
        return false;
    }
    return true;
}

/* Called by inih for each line, in the manner of fgets. */
static char *give_line(char *to, int size, void *user)
{
    struct scan *scan = user;
    if (scan->has_entry) { /* the handler did not see the line before this one */
        problems_add(scan->problems, scan->line,
                     "line has no \"=\" (write key = "
                     "value; comments begin with \";\")");
        scan->has_entry = false;
    }
    if (scan->rest.len == 0) {
        return NULL;
    }
    const struct slice line = ini_strip(next_line(scan));
    to[0] = '\0';
    if (line.len == 0 || line.data[0] == ';' || line.data[0] == '#') {
        return to;
    }
    /* inih wants room for "\r\n" and NUL. */
    const bool fits = is_fit(scan, line, (size_t)size - 3);
    if (line.data[0] == '[') {
        if (fits) {
            begin_section(scan, line);
        } else {
            scan->is_section_bad = true;
        }
    } else if (fits) {
        memcpy(to, line.data, line.len);
        to[line.len] = '\0';
        for (char *c = to; *c && *c != '='; c++) {
            if (*c == ':') {
                *c = COLON_IN_KEY;
            }
        }
        scan->has_entry = true;
    }
    return to;
}

/* A ':' after a comment's ';' was hidden too; give all of them back. */
static void restore_colons(char *text)
{
    for (; *text; text++) {
        if (*text == COLON_IN_KEY) {
            *text = ':';
        }
    }
}

static int take_entry(void *user, const char *ignored, const char *key,
                      const char *value)
{
    struct scan *scan = user;
    (void)ignored; /* inih's idea of the section; ours has no limit of 49 bytes */
    scan->has_entry = false;
    if (scan->is_section_bad) {
        return 1; /* its header has been complained about */
    }
    if (scan->file->n_sections == 0) {
        problems_add(scan->problems, scan->line,
                     "key \"%s\" before any section (begin with [server], [model NAME] "
                     "or another)",
                     key);
        return 1;
    }
    struct ini_section *section = &scan->file->sections[scan->file->n_sections - 1];
    if (section->n_entries == section->capacity) {
        const int capacity = section->capacity ? 2 * section->capacity : 8;
        struct ini_entry *entries =
            realloc(section->entries, (size_t)capacity * sizeof *entries);
        if (!entries) {
            scan->problems->no_memory = true;
            return 1;
        }
        section->entries = entries;
        section->capacity = capacity;
    }
    struct ini_entry entry = {strdup(key), strdup(value), scan->line};
    if (!entry.key || !entry.value) {
        free(entry.key);
        free(entry.value);
        scan->problems->no_memory = true;
        return 1;
    }
    restore_colons(entry.key);
    restore_colons(entry.value);
    section->entries[section->n_entries++] = entry;
    return 1;
}

void ini_scan(struct slice text, struct ini_file *file, struct problem_list *problems)
{
    struct scan scan = {.rest = text, .file = file, .problems = problems};
    if (text.len >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0) {
        scan.rest.data += 3; /* the byte-order mark that some editors leave */
        scan.rest.len -= 3;
    }
    /* Its result, the first bad line, is one that give_line has reported already. */
    (void)ini_parse_stream(give_line, &scan, take_entry, &scan);
}

void ini_file_free(struct ini_file *file)
{
    for (int i = 0; i < file->n_sections; i++) {
        struct ini_section *section = &file->sections[i];
        for (int e = 0; e < section->n_entries; e++) {
            free(section->entries[e].key);
            free(section->entries[e].value);
        }
        free(section->entries);
        free(section->text);
    }
    free(file->sections);
    *file = (struct ini_file){0};
}

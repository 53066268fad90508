/* ini_scan.h - INI text to sections and entries with their line numbers.
 *
 * Private to experiment/. inih splits and strips keys, values and comments; this adds
 * what it leaves out: it cuts lines at 200 characters, joins indented lines to the key
 * above, takes ':' for '=', names a section in 49 bytes, and goes on after mistakes
 * telling only the first. Here each of these is a problem with its line.
 */
#ifndef EXPERIMENT_INI_SCAN_H
#define EXPERIMENT_INI_SCAN_H

#include "common/slice.h"
#include "experiment/problems.h"

#define INI_MAX_WORDS 3

struct ini_entry {
    char *key;
    char *value;
    int line;
};

struct ini_section {
    char *text; /* what stands between the brackets, its words parted by NULs */
    const char *words[INI_MAX_WORDS]; /* into text; NULL where there are fewer */
    int n_words;
    int line;
    struct ini_entry *entries; /* (n_entries) in the order of the file */
    int n_entries;
    int capacity;
};

struct ini_file {
    struct ini_section *sections; /* (n_sections) in the order of the file */
    int n_sections;
    int capacity;
};

/* Scans `text`. Whatever is wrong is noted in `problems` and left out of `file`; memory
 * trouble raises problems->no_memory. The caller frees `file` in any case. */
void ini_scan(struct slice text, struct ini_file *file, struct problem_list *problems);

void ini_file_free(struct ini_file *file);

#endif

/* log_testing.h - a log directory for one test, and what stands in it. */
#ifndef TESTS_LOG_TESTING_H
#define TESTS_LOG_TESTING_H

#include "tests/testing.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "logs/logs.h"

struct log_directory {
    char path[64];
};

static inline void log_directory_make(struct log_directory *directory)
{
    strcpy(directory->path, "/tmp/abtest-log-XXXXXX");
    assert_non_null(mkdtemp(directory->path));
}

/* Calls visit(path of file) for each file whose name ends with `suffix`. */
static inline int log_directory_each(const struct log_directory *directory,
                                     const char *suffix, char last[256])
{
    int n = 0;
    DIR *open_directory = opendir(directory->path);
    assert_non_null(open_directory);
    for (const struct dirent *entry; (entry = readdir(open_directory)) != NULL;) {
        const size_t len = strlen(entry->d_name), suffix_len = strlen(suffix);
        if (entry->d_name[0] != '.' && len >= suffix_len &&
            strcmp(entry->d_name + len - suffix_len, suffix) == 0) {
            n++;
            if (last) {
                snprintf(last, 256, "%s/%.100s", directory->path, entry->d_name);
            }
        }
    }
    closedir(open_directory);
    return n;
}

static inline void log_directory_remove(struct log_directory *directory)
{
    char path[256];
    while (log_directory_each(directory, "", path) > 0) {
        unlink(path);
    }
    rmdir(directory->path);
}

static inline struct log_options log_test_options(const struct log_directory *directory)
{
    static const struct event_model models[] = {{{"als", 3}, {"1c00000000000000", 16}}};
    return (struct log_options){
        .directory = directory->path,
        .sync = LOG_SYNC_NO,
        .segment_size = 1 << 20,
        .segment_age_us = 3600LL * 1000000,
        .n_shards = 1,
        .config =
            {
                .type = EVENT_CONFIG,
                .config = {"9f00000000000000", 16},
                .text = {"[server]\nlisten = :0\n", 21},
                .models = models,
                .n_models = 1,
                .version = {"0.1.0", 5},
            },
    };
}

/* An exposure with every field; its slices are constants. */
static inline struct event log_test_exposure(struct slice id)
{
    static const struct event_assignment assignments[] = {
        {{"item-bias", 9}, {"treatment", 9}, 0.5, false},
        {{"k", 1}, {"\"ten\"", 5}, 1, false}};
    static const struct event_item items[] = {
        {{"1198", 4}, 4.91, (double)NAN},
        {{"260", 3}, -0.1234567890123456, (double)NAN}};
    return (struct event){
        .type = EVENT_EXPOSURE,
        .ts_us = 1764000000123456,
        .id = id,
        .user = {"44", 2},
        .assignments = assignments,
        .n_assignments = 2,
        .hash_version = 2,
        .config = {"9f00000000000000", 16},
        .model = {"als:1c00000000000000", 20},
        .items = items,
        .n_items = 2,
        .latency_us = 212,
    };
}

static inline struct event log_test_feedback(struct slice id)
{
    return (struct event){
        .type = EVENT_FEEDBACK,
        .ts_us = 1764000000123457,
        .id = id,
        .user = {"44", 2},
        .event = {"satisfied", 9},
        .has_value = true,
        .value = 1,
        .item = {"1198", 4},
        .request = {"r-1", 3},
    };
}

/* Counts what a visitor is told. */
struct log_counts {
    int n_config, n_exposure, n_feedback, n_damage;
    struct log_damage last_damage;
    char last_reason[200];
    char last_id[64];
};

static inline int count_event(void *context, const struct event *event)
{
    struct log_counts *counts = context;
    counts->n_config += event->type == EVENT_CONFIG;
    counts->n_exposure += event->type == EVENT_EXPOSURE;
    counts->n_feedback += event->type == EVENT_FEEDBACK;
    snprintf(counts->last_id, sizeof counts->last_id, "%.*s", (int)event->id.len,
             event->id.data);
    return 0;
}

static inline int count_damage(void *context, const struct log_damage *damage)
{
    struct log_counts *counts = context;
    counts->n_damage++;
    counts->last_damage = *damage;
    snprintf(counts->last_reason, sizeof counts->last_reason, "%s", damage->reason);
    return 0;
}

static inline struct log_statistics log_count(const char *path,
                                              struct log_counts *counts)
{
    struct error error = {0};
    struct log_statistics statistics;
    *counts = (struct log_counts){0};
    const struct log_visitor visitor = {
        .on_event = count_event, .on_damage = count_damage, .context = counts};
    if (log_read(path, &visitor, &statistics, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return statistics;
}

#endif

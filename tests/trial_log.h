/* trial_log.h - logs of small trials for tests: lines in memory that a test may write
 * to a directory in any order and in any number of files.
 */
#ifndef TESTS_TRIAL_LOG_H
#define TESTS_TRIAL_LOG_H

#include "tests/log_testing.h"

#include "common/hash.h"
#include "common/rng.h"
#include "logs/line.h"

#define TRIAL_START INT64_C(1764000000000000) /* 2025-11-24 16:00:00 UTC */
#define TRIAL_DAY   INT64_C(86400000000)
#define TRIAL_HOUR  INT64_C(3600000000)

struct trial_log {
    struct buffer text;
    size_t start[100000]; /* of each line in text */
    int n_lines;
    char hash[HASH_TEXT_LEN + 1];
    int next_id;
};

static const char trial_config[] = "[model als]\n"
                                   "file = als.model\n"
                                   "[metric satisfied]\n"
                                   "kind = proportion\n"
                                   "event = satisfied\n"
                                   "window = 7d\n"
                                   "direction = up\n"
                                   "[experiment bias]\n"
                                   "status = running\n"
                                   "primary = satisfied\n"
                                   "[arm bias control]\n"
                                   "weight = 0.5\n"
                                   "[arm bias treatment]\n"
                                   "weight = 0.5\n";

static inline void trial_add(struct trial_log *trial, struct event event)
{
    char id[32];
    if (event.id.len == 0) {
        snprintf(id, sizeof id, "0a1b2c3d-%d", trial->next_id++);
        event.id = slice_of(id);
    }
    assert_true(trial->n_lines < 100000);
    trial->start[trial->n_lines++] = trial->text.len;
    line_append(&trial->text, &event);
}

static inline void trial_add_config(struct trial_log *trial, int64_t ts_us,
                                    const char *text)
{
    static const struct event_model model = {{"als", 3}, {"1c00000000000000", 16}};
    hash_text(hash_bytes(text, strlen(text)), trial->hash);
    trial_add(trial, (struct event){.type = EVENT_CONFIG,
                                    .ts_us = ts_us,
                                    .config = slice_of(trial->hash),
                                    .text = slice_of(text),
                                    .models = &model,
                                    .n_models = 1,
                                    .version = slice_of("0.1.0")});
}

/* `shown` says when, to whom and what; the rest of an exposure is filled in. */
static inline void trial_add_shown(struct trial_log *trial, struct event shown,
                                   struct event_assignment assignment)
{
    shown.type = EVENT_EXPOSURE;
    shown.assignments = &assignment;
    shown.n_assignments = 1;
    shown.hash_version = 2;
    shown.config = slice_of(trial->hash);
    shown.model = slice_of("als:1c00000000000000");
    trial_add(trial, shown);
}

static inline void trial_add_assignment(struct trial_log *trial, int64_t ts_us,
                                        const char *user,
                                        struct event_assignment assignment)
{
    trial_add_shown(trial,
                    (struct event){.ts_us = ts_us,
                                   .user = slice_of(user),
                                   .latency_us = 100 + ts_us % 97},
                    assignment);
}

/* `shown` with the n_items items `ids`, at most 4, in the arm of experiment "bias". */
static inline void trial_add_list(struct trial_log *trial, struct event shown,
                                  const char *arm, const struct slice *ids)
{
    struct event_item items[4];
    assert_true(shown.n_items <= 4);
    for (int i = 0; i < shown.n_items; i++) {
        items[i] = (struct event_item){ids[i], 1, (double)NAN};
    }
    shown.items = items;
    trial_add_shown(trial, shown,
                    (struct event_assignment){.experiment = slice_of("bias"),
                                              .arm = slice_of(arm),
                                              .probability = 0.5});
}

static inline void trial_add_exposure(struct trial_log *trial, int64_t ts_us,
                                      const char *user, const char *experiment,
                                      const char *arm)
{
    trial_add_assignment(trial, ts_us, user,
                         (struct event_assignment){.experiment = slice_of(experiment),
                                                   .arm = slice_of(arm),
                                                   .probability = 0.5});
}

static inline void trial_add_feedback(struct trial_log *trial, int64_t ts_us,
                                      const char *id, const char *user,
                                      const char *event, double value)
{
    trial_add(trial, (struct event){.type = EVENT_FEEDBACK,
                                    .ts_us = ts_us,
                                    .id = slice_of(id),
                                    .user = slice_of(user),
                                    .event = slice_of(event),
                                    .has_value = !isnan(value),
                                    .value = isnan(value) ? 0 : value});
}

/* Users <arm>0, <arm>1, ...: each exposed twice, an hour apart; the first n_satisfied
 * answer a minute after the first exposure. */
static inline void trial_add_arm(struct trial_log *trial, const char *arm, int n_users,
                                 int n_satisfied)
{
    for (int u = 0; u < n_users; u++) {
        char user[32];
        const int64_t ts = TRIAL_START + u * 60000000LL;
        snprintf(user, sizeof user, "%s%d", arm, u);
        trial_add_exposure(trial, ts, user, "bias", arm);
        trial_add_exposure(trial, ts + TRIAL_HOUR, user, "bias", arm);
        if (u < n_satisfied) {
            trial_add_feedback(trial, ts + 60000000, "", user, "satisfied", 1);
        }
    }
}

/* The trial of the source report: 132 of 294 against 226 of 316. */
static inline void trial_add_mock(struct trial_log *trial)
{
    trial_add_config(trial, TRIAL_START - 1, trial_config);
    trial_add_arm(trial, "control", 294, 132);
    trial_add_arm(trial, "treatment", 316, 226);
}

static inline struct slice trial_line(const struct trial_log *trial, int line)
{
    const size_t end =
        line + 1 < trial->n_lines ? trial->start[line + 1] : trial->text.len;
    return (struct slice){trial->text.data + trial->start[line],
                          end - trial->start[line]};
}

/* Writes the lines order[0..n) to `directory`, spread over `n_files` segments. */
static inline void trial_write(const struct trial_log *trial,
                               const struct log_directory *directory, const int *order,
                               int n, int n_files)
{
    for (int f = 0; f < n_files; f++) {
        char path[256];
        struct buffer text = {0};
        snprintf(path, sizeof path, "%s/0a1b2c3d-20251124T160000-%d.jsonl",
                 directory->path, f + 1);
        for (int i = f; i < n; i += n_files) {
            const struct slice line = trial_line(trial, order ? order[i] : i);
            buffer_append(&text, line.data, line.len);
        }
        struct error error = {0};
        if (file_replace(path, buffer_slice(&text), &error) != 0) {
            fail_msg("%s", error.message);
        }
        buffer_free(&text);
    }
}

static inline void trial_write_all(const struct trial_log *trial,
                                   const struct log_directory *directory)
{
    trial_write(trial, directory, NULL, trial->n_lines, 1);
}

static inline void trial_shuffle(int *order, int n, uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed, 0);
    for (int i = n - 1; i > 0; i--) {
        const int j = (int)rng_below(&rng, (uint64_t)i + 1);
        const int kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

#endif

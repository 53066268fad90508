/* join_state.h - what the join keeps while it reads: private to the join's own files.
 *
 * join.c        both readings, by several threads
 * join_first.c  the first: configs, units, ids
 * join_extract.c  what the first keeps for the second; join_extract_copies.c: of ids
 *               that came more than once
 * join_second.c the second: values, by join_values.c; join_repeat.c: of copies, one
 * join_state.c  the memory of it all
 * join_table.c  the rows of an experiment
 * join_attributes.c  what exposures said of their users
 * join_lists.c  what was shown to them
 * join_save.c   all of it as a file, for a reading that goes on; join_load.c: back;
 *               join_lists_file.c: the lists in it
 */
#ifndef STATS_JOIN_STATE_H
#define STATS_JOIN_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/id_map.h"
#include "logs/logs.h"
#include "stats/analysis_spec.h"
#include "stats/evidence.h"
#include "stats/exact_sum.h"
#include "stats/id_seen.h"
#include "stats/join.h"

#define JOIN_ARM_NONE      (-1)      /* never exposed to this experiment */
#define JOIN_ARM_CROSSOVER (-2)      /* seen in two arms */
#define JOIN_ARM_FORCED    (-3)      /* forced into an arm at least once */
#define JOIN_ITEM_ARMS     8         /* items are counted in so many arms of the spec */
#define JOIN_MAX_VALUES    (4 << 20) /* records kept in one sample */
#define JOIN_SAMPLE_PART   4096      /* records that a thread gathers for it */

/* One unit in one experiment. */
struct join_unit {
    int64_t first_ts_us;
    int16_t arm; /* index into join_experiment.arms, or JOIN_ARM_* */
    int16_t config;
    uint32_t n_exposures;
    uint32_t n_feedback;
    uint32_t n_early; /* feedback that feeds a metric while the arm is JOIN_ARM_NONE;
                         see join_past */
};

/* What a state keeps of a user beside, so that a first exposure which is yet to come
 * can be told from the events before it. Events of units that have no arm yet are
 * counted as being before it; that is right when it comes after the last of them. */
struct join_past {
    int64_t last_ts_us;   /* of all events; INT64_MIN: none */
    uint32_t n_unexposed; /* feedback while not exposed to anything */
    uint32_t n_skewed;    /* of it, with a request */
    bool is_exposed;
};

/* One metric of one unit: of proportions and counts, where every event adds 1. */
struct join_count {
    uint32_t sum;    /* inside the window */
    uint32_t before; /* before the first exposure */
    uint32_t days;
};

/* And of all others. */
struct join_value {
    exact_sum sum;    /* inside the window */
    exact_sum before; /* before the first exposure */
    uint32_t days;
    uint32_t n_bad; /* values that were refused while the unit had no arm */
    bool has_before;
};

/* One value of a quantile metric; there may be millions, so nothing pads them. */
struct join_single {
    int32_t unit;
    double value;
} __attribute__((packed, aligned(4)));

/* Records of a bounded number of units: those whose hash has `shift` 0 bits. Every kind
 * of record begins with its int32_t unit; one sample holds one kind. */
struct join_sample {
    void *records;
    size_t n, capacity;
    int shift;
};

struct join_metric {
    struct join_count *counts;  /* (n_units) for proportions and counts */
    struct join_value *values;  /* (n_units) for means and ratios */
    exact_sum *denominators;    /* (n_units) for ratios */
    struct join_sample singles; /* of struct join_single, for quantiles */
};

/* Items shown in one experiment. */
struct join_items {
    struct id_map *ids;
    uint32_t *counts; /* (capacity, JOIN_ITEM_ARMS, ITEM_GROUPS) */
    int32_t capacity;
};

/* What lists were like, one experiment: when asked for. */
struct join_lists {
    struct join_items items;
    struct join_sample shown;   /* of struct shown_item, units as in the join */
    struct join_sample latency; /* of struct join_single */
};

/* An experiment as exposures name it. */
struct join_experiment {
    struct id_map *arms;
    /* (n_units) of the join, but perhaps fewer: see capacity */
    struct join_unit *units;
    int32_t capacity;
    int16_t *unit_arms; /* (n users) their arms, in place of `units`, once the table was
                           made */
    /* Of each unit what was said at its first exposure: index of join.attribute_sets,
     * or ID_NONE. Fewer than units, or NULL, where less was said. */
    int32_t *attributes;
    int32_t attributes_capacity;
    const struct analysis_experiment *spec; /* NULL when nobody asks for it */
    int *spec_arm; /* with a spec: (n arms) index in it, -1: it does not have the arm */
    struct join_metric *metrics; /* (n_metrics) */
    int n_metrics;               /* of the spec, or of the state that is gone on from */
    bool is_taken;               /* its values went into a table */
    int64_t n_early, n_late;
    struct join_lists lists;
};

/* What one event name feeds. */
struct join_target {
    int experiment, metric;
    bool is_denominator;
    /* Of several metrics of one experiment that an event feeds, the one by which the
     * event itself is counted when it is early, or late: it is one event. */
    bool tells_early, tells_late;
};
struct join_targets {
    struct join_target *items;
    int n;
};

/* What the assignments of an event were found to be; see event.shape. */
#define JOIN_SHAPES     16
#define JOIN_SHAPE_ARMS 8
struct join_shape {
    uint32_t number; /* 0: nothing here yet */
    int32_t config;
    int n;
    int32_t experiment[JOIN_SHAPE_ARMS];
    int16_t arm[JOIN_SHAPE_ARMS]; /* or JOIN_ARM_FORCED; of the first reading only */
};

/* Of a user, for the second reading. */
struct join_mark {
    atomic_uchar is_busy;  /* while a thread changes its units */
    unsigned char n_zeros; /* of its hash: see join_sample */
};

/* What is left of an event when all but its user has been looked up. */
#define JOIN_USER_MAX 40
struct join_fact {
    bool is_exposure;
    bool is_rest;     /* more assignments of an exposure that was counted */
    bool has_list;    /* n_items was logged */
    bool has_request; /* feedback that names its exposure */
    int n_items;
    const struct event *event; /* NULL unless lists are looked at */
    int32_t targets;           /* of feedback */
    uint64_t hash;             /* of the user's id */
    int64_t ts_us;
    int64_t latency_us; /* -1: none */
    double value;       /* of feedback */
    struct join_shape shape;
    size_t attributes, attributes_len; /* in join.attribute_set, first reading only */
    int32_t user;                      /* once it was found */
    struct id_key id; /* of the event, and its line: first reading only */
    int64_t offset;
    int32_t segment, line_len;
    size_t user_len;
    char user_id[JOIN_USER_MAX];
};

/* Facts wait until there are enough of them to look up their users side by side: in a
 * large log each look-up is some six accesses to memory that nobody has touched lately.
 */
#define JOIN_BATCH 32
struct join_batch {
    struct join_fact facts[JOIN_BATCH];
    int n;
};

struct join {
    struct arena arena;
    char *path;
    struct log_parts parts; /* to read: what the first reading found, for the second */
    size_t n_parts_read;
    /* with a state */
    bool keeps_state;       /* also of users who were not exposed */
    const char *state_path; /* where it goes after the second reading */
    bool is_state_mapped;   /* from its file: what was decoded may leave memory */
    const char *state_kept; /* that begins here */
    char *stale;            /* why the state cannot be gone on from, or NULL */
    uint64_t spec_hash;     /* of what the state was made for; 0: it is new */
    struct join_past *past; /* (n users) */
    int32_t past_capacity;
    struct log_extent *extents; /* (parts.n), those of the state first */
    int64_t carried_bytes;      /* of segments that are not read again, */
    int64_t n_carried_torn;     /* and their torn tails */
    int32_t n_old_users;        /* of the state, */
    int32_t n_old_repeats;      /* and how many repeated ids it has */
    struct evidence evidence;
    struct id_seen *seen;
    struct id_map *users;
    struct id_map *experiment_names;
    struct join_experiment *experiments; /* by index of experiment_names */
    int n_experiments;
    struct id_map *attribute_sets; /* what an exposure said, encoded */
    struct buffer attribute_set;   /* of the exposures at hand */
    struct id_map *config_hashes;
    struct join_config *configs; /* by index of config_hashes */
    int config_capacity, last_config;
    int *config_order; /* newest first */
    const struct analysis_spec *spec;
    int *spec_experiment; /* (spec->n_experiments) index into experiments, or -1 */
    struct id_map *event_names;
    struct join_targets *targets;                      /* by index of event_names */
    int target_exposure, target_latency, target_items; /* index into targets, or -1 */
    struct join_repeat *repeats;                       /* by id_seen_repeated */
    struct error error; /* of the reading under way, or code ERROR_NONE */
    int n_threads;
    bool wants_items;
    size_t n_records_max;         /* of a sample: JOIN_MAX_VALUES, less in tests */
    struct join_extract *extract; /* or NULL: the log is to be read again */
    struct join_extract_part *extract_part; /* of this part of the first reading */
    struct join_shape shapes[JOIN_SHAPES];  /* of this part of the first reading, */
    struct join_batch batch;                /* and its exposures that wait */
    struct join_mark *marks;                /* (n users), made for the second reading */
    /* of repeats, the arena, the evidence and samples of metrics */
    pthread_mutex_t shared_lock;
};

/* What a thread of the second reading counts by itself. */
struct join_tally {
    int64_t n_early, n_late;
    struct join_sample *singles; /* (n_metrics) */
    struct join_lists lists;
};
struct join_worker {
    struct join *join;
    struct evidence evidence;
    struct join_tally *tallies; /* (n_experiments) */
    struct join_shape shapes[JOIN_SHAPES];
    struct join_batch batch;
    struct error error;
};

/* The earliest of the events that share an id; ties by content, then by spelling. */
struct join_repeat {
    bool is_set, is_conflict;
    uint64_t content, line;
    struct event event; /* its slices and arrays are in the arena */
};

/* NULL when memory ran out. */
MUST_CHECK struct join *join_new(const char *path);

/* Sets join->error and returns -1. */
int join_no_memory(struct join *join);

/* The hash of the user's id. */
uint64_t join_user_hash(const struct join *join, int32_t user);

/* Index of the config called `hash`, added when it is new; -1 when memory ran out. */
MUST_CHECK int join_config_index(struct join *join, struct slice hash);

/* Index of `name`, most often one of the first few, or ID_NONE. */
int32_t join_find_name(const struct id_map *names, struct slice name);

/* The experiment or unit, added when it is new; NULL when memory ran out. */
struct join_experiment *join_find_experiment(struct join *join, struct slice name);
struct join_unit *join_find_unit(struct join_experiment *experiment, int32_t unit);

/* What is kept of `user`, made when it is new; NULL when memory ran out. */
struct join_past *join_find_past(struct join *join, int32_t user);

/* Takes in that a config was logged, or that a unit was exposed to `arm` (or
 * JOIN_ARM_*) at a time. In whatever order they are told, the result is the same. */
/* Adds a model to the config's unless it is there; the text is copied. Returns 0, or -1
 * without memory. */
MUST_CHECK int join_see_model(struct join *join, struct join_config *config,
                              struct slice name, struct slice hash);

void join_see_config(struct join_config *config, int64_t first_ts_us,
                     int64_t newest_ts_us);
void join_see_unit(const struct join *join, struct join_unit *unit, int arm, int config,
                   int64_t ts_us);

/* Takes in that `set`, attributes as join_encode_attributes gives them (empty: none),
 * were said at an exposure, before join_see_unit is told of it; first_ts_us is of the
 * unit so far. Of two at one time the greater counts, whatever their order. */
MUST_CHECK int join_see_attributes(struct join *join,
                                   struct join_experiment *experiment, int32_t user,
                                   int64_t first_ts_us, int64_t ts_us,
                                   struct slice set);
/* Appends what the event says to join.attribute_set: *set is valid until the next. */
MUST_CHECK int join_encode_attributes(struct join *join, const struct event *event,
                                      struct slice *set);

/* What is known of `user`; empty: nothing. */
struct slice join_attributes_of(const struct join *join,
                                const struct join_experiment *experiment, int32_t user);

/* Both lists of it, back from the file of a state. */
struct bytes;
MUST_CHECK int join_get_attribute_sets(struct join *join, struct bytes *from);
MUST_CHECK int join_get_attributes(struct join *join,
                                   struct join_experiment *experiment,
                                   struct bytes *from);

/* Adds what another part of the first reading gathered; its part of the extract, if
 * there is one, learns where. */
MUST_CHECK int join_merge(struct join *into, const struct join *from);
MUST_CHECK int join_order_configs(struct join *join);

/* What the readings call for every event; the context is a join, or a join_worker. When
 * all events were read, what waits has to be counted. */
int join_first_reading(void *context, const struct event *event);
int join_second_reading(void *context, const struct event *event);
MUST_CHECK int join_first_end(struct join *join);
MUST_CHECK int join_second_end(struct join_worker *worker);

/* Counts a fact whose user is known. That waits for memory several times: prefetch it
 * some facts before. */
void join_prefetch_fact(const struct join *join, const struct join_fact *fact);
MUST_CHECK int join_count_fact(struct join_worker *worker,
                               const struct join_fact *fact);

/* Brings what the users of the batch have in `users` near. */
void join_prefetch(const struct id_map *users, struct join_batch *batch);
static inline struct slice join_fact_user(const struct join_fact *fact)
{
    return (struct slice){fact->user_id, fact->user_len};
}

/* Takes in a copy of an event whose id came more than once; `line` is the hash of its
 * line. The caller holds the shared_lock. */
MUST_CHECK int join_keep_repeat(struct join *join, struct join_repeat *repeat,
                                const struct event *event, uint64_t line);

/* Counts an event of the second reading. */
MUST_CHECK int join_count_event(struct join_worker *worker, const struct event *event,
                                uint64_t line);

/* Says why the state cannot be gone on from, and returns -1. */
PRINTF_LIKE(2, 3) int join_set_stale(struct join *join, const char *format, ...);

/* Identifies what a state counts; 0 when memory ran out. */
uint64_t join_spec_hash(const struct analysis_spec *spec, bool wants_items);

/* The whole join as a file, but for the checksum at its end; -1 when memory ran out. */
MUST_CHECK int join_encode(const struct join *join, struct buffer *to);

/* What join_encode made, into a new join. -1 with join->stale or join->error set. */
MUST_CHECK int join_decode(struct join *join, struct slice file);

/* Holds the segments of the log against those of the state, and makes what is new the
 * parts that are to be read. -1 with join->stale, join->error or *error set. */
MUST_CHECK int join_find_new(struct join *join, struct error *error);

/* Takes in what the first reading found behind the state `into`. */
MUST_CHECK int join_continue(struct join *into, struct join *from);

/* Writes the state that the next reading goes on from. */
MUST_CHECK int join_save(struct join *join, struct error *error);

/* Makes room for the values of `spec`. */
MUST_CHECK int join_prepare(struct join *join, const struct analysis_spec *spec);

/* Workers of the second reading; NULL when memory ran out. */
MUST_CHECK struct join_worker *join_workers_new(struct join *join, int n_threads);
void join_worker_clear(struct join_worker *worker); /* its evidence */
void join_workers_free(struct join_worker *workers, const struct join *join,
                       int n_threads);

/* Index of the metrics that feedback called `event` feeds, or ID_NONE. The names of
 * what the log itself says (exposure, exposure.latency_us, exposure.items) are none:
 * nobody may add to those by sending feedback of that name. */
int32_t join_feedback_targets(const struct join *join, struct slice event);

/* Adds a value to every metric that the event name at index `at` (or ID_NONE) feeds. -1
 * when memory ran out. */
MUST_CHECK int join_add_to_targets(struct join_worker *worker, int at, int32_t unit,
                                   int64_t ts_us, double value);

/* Keeps one record of `size` bytes, or drops it when its unit is not in the sample. -1
 * when memory ran out. */
MUST_CHECK int join_sample_add(const struct join *join, struct join_sample *sample,
                               const void *record, size_t size);

/* The same for a sample that all threads fill: `part` is what this thread has gathered
 * for it. A sample each would take as much memory as there are threads. */
MUST_CHECK int join_sample_put(struct join *join, struct join_sample *part,
                               struct join_sample *shared, const void *record,
                               size_t size);

/* Moves the records of `from` into `into`. -1 when memory ran out. */
MUST_CHECK int join_sample_merge(const struct join *join, struct join_sample *into,
                                 struct join_sample *from, size_t size);

/* What a unit was shown in the experiment at index `at`: an item called `id`, and how
 * long the list took. An answer has position SHOWN_ANSWER and is not counted as shown.
 * -1 when memory ran out. */
MUST_CHECK int join_list_item(struct join_worker *worker, int at,
                              const struct shown_item *shown, struct slice id);
MUST_CHECK int join_list_latency(struct join_worker *worker, int at, int32_t unit,
                                 int64_t latency_us);
MUST_CHECK int join_lists_merge(const struct join *join, struct join_lists *into,
                                struct join_lists *from);
void join_lists_free(struct join_lists *lists);

/* Takes back what was counted of units that have since been seen in another arm, as a
 * full reading counts no list of theirs. Of a sample that was thinned that cannot be
 * done: join_lists_are_thinned. -1 when memory ran out. */
bool join_lists_are_thinned(const struct join_lists *lists);
MUST_CHECK int join_lists_take_back(struct join *join,
                                    struct join_experiment *experiment);

/* The lists as a table has them, which takes the latencies over; row_of: (n users) row
 * of each of the join's units, -1 for those that do not count. -1 when memory ran out.
 */
MUST_CHECK int join_lists_fill(struct join_experiment *experiment,
                               const int32_t *row_of, struct unit_lists *to);

/* The lists, and samples of single values, in the file of a state. */
void join_put_singles(const struct join_sample *sample, struct buffer *to);
void join_put_lists(const struct join_lists *lists, struct buffer *to);
MUST_CHECK int join_get_singles(struct join *join, struct join_sample *sample,
                                struct bytes *from);
MUST_CHECK int join_get_lists(struct join *join, struct join_lists *lists,
                              struct bytes *from);

/* What was decoded of the file so far leaves memory, a megabyte at a time. */
void join_drop_decoded(struct join *join, const struct bytes *from);

/* A copy of the text that is next in the file, for as long as the join lives. */
MUST_CHECK int join_get_text(struct join *join, struct bytes *from, struct slice *text);

/* The single values of `sample` by row of the table, in whose memory they stay: it is
 * empty after. -1 when memory ran out. */
MUST_CHECK int join_singles_take(struct join_sample *sample, const int32_t *row_of,
                                 struct unit_metric *to);

#endif

#include "experiment/reload.h"

#include <math.h>
#include <string.h>

#include "experiment/problems.h"

static double overlap(double a_start, double a_end, double b_start, double b_end)
{
    const double start = a_start > b_start ? a_start : b_start;
    const double end = a_end < b_end ? a_end : b_end;
    return end > start ? end - start : 0;
}

/* Of all units: the share that has some arm before, and the share that has the same arm
 * (by name) before and after. */
static void share_of_arms(const struct experiment *before,
                          const struct experiment *after, double *had, double *keeps)
{
    *had = 0;
    *keeps = 0;
    for (int i = 0; i < before->n_arms; i++) {
        const struct arm *arm = &before->arms[i];
        const int same = experiment_find_arm(after, slice_of(arm->name));
        *had += arm->range_end - arm->range_start;
        if (same >= 0) {
            *keeps +=
                overlap(arm->range_start, arm->range_end, after->arms[same].range_start,
                        after->arms[same].range_end);
        }
    }
}

/* A share of units taken by a hash of its own; the whole of them when `seed` is NULL.
 */
struct reach {
    const char *seed;
    double start, end;
};

/* The share of units in both; two seeds are independent. */
static double share_of_both(struct reach before, struct reach after)
{
    const double before_share = before.seed ? before.end - before.start : 1;
    const double after_share = after.seed ? after.end - after.start : 1;
    if (!before.seed || !after.seed || strcmp(before.seed, after.seed) != 0) {
        return before_share * after_share;
    }
    return overlap(before.start, before.end, after.start, after.end);
}

static double share_of(struct reach reach)
{
    return reach.seed ? reach.end - reach.start : 1;
}

static struct reach layer_reach(const struct experiment *experiment)
{
    return (struct reach){experiment->layer, experiment->layer_start,
                          experiment->layer_end};
}

static struct reach name_space_reach(const struct experiment *experiment)
{
    return (struct reach){experiment->name_space, experiment->name_space_start,
                          experiment->name_space_end};
}

static struct reach holdout_reach(const struct holdout *holdout)
{
    return (struct reach){holdout->share > 0 ? holdout->seed : NULL, holdout->share, 1};
}

int reload_count_moved(const struct config *before, int index_before,
                       const struct config *after, int index_after)
{
    const struct experiment *was = &before->experiments[index_before];
    const struct experiment *is = &after->experiments[index_after];
    double had = 0, keeps = 0;
    share_of_arms(was, is, &had, &keeps);
    had *= share_of(layer_reach(was)) * share_of(name_space_reach(was)) *
           share_of(holdout_reach(&before->holdout));
    keeps *=
        share_of_both(layer_reach(was), layer_reach(is)) *
        share_of_both(name_space_reach(was), name_space_reach(is)) *
        share_of_both(holdout_reach(&before->holdout), holdout_reach(&after->holdout));
    const double moved = RELOAD_BUCKETS * (had - keeps);
    if (moved < 1e-6) { /* rounding of sums of doubles */
        return 0;
    }
    return moved < 1 ? 1 : (int)lround(moved);
}

/* A condition dropped widens the reach; one added or rewritten may narrow it. */
static bool is_audience_changed(const struct experiment *was,
                                const struct experiment *is)
{
    if (!is->audience_text) {
        return false;
    }
    return !was->audience_text || strcmp(was->audience_text, is->audience_text) != 0;
}

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* What is set up once, when the server starts. */
static void check_fixed(const struct config *before, const struct config *after,
                        struct problem_list *list)
{
    const struct server_config *was = &before->server, *is = &after->server;
    const struct log_config *log_was = &before->log, *log_is = &after->log;
    const char *changed =
        !is_same_text(was->host, is->host) || was->port != is->port ? "[server] listen"
        : was->threads != is->threads                               ? "[server] threads"
        : !is_same_text(log_was->directory, log_is->directory)      ? "[log] directory"
        : log_was->fsync != log_is->fsync                           ? "[log] fsync"
        : log_was->segment_size != log_is->segment_size     ? "[log] segment_size"
        : log_was->segment_age_us != log_is->segment_age_us ? "[log] segment_age"
                                                            : NULL;
    if (changed) {
        problems_add(list, 0,
                     "%s cannot change while the server runs (restart it, or change it "
                     "back)",
                     changed);
    }
}

int reload_check(const struct config *before, const struct config *after,
                 const char *name, struct config_problems *problems,
                 struct error *error)
{
    const int first = problems->n;
    struct problem_list list = {.problems = problems};
    check_fixed(before, after, &list);
    for (int i = 0; i < after->n_experiments; i++) {
        const struct experiment *is = &after->experiments[i];
        const int at = config_find_experiment(before, slice_of(is->name));
        const struct experiment *was = at < 0 ? NULL : &before->experiments[at];
        if (!was || was->status == STATUS_DRAFT || strcmp(was->seed, is->seed) != 0) {
            continue;
        }
        const int n_moved = reload_count_moved(before, at, after, i);
        if (n_moved > 0) {
            problems_add(&list, is->line,
                         "experiment \"%s\" keeps its seed but would move %d of 10000 "
                         "buckets of units out of the arm they have (keep weights, "
                         "arms and ranges, or give it a new seed)",
                         is->name, n_moved);
        }
        if (is_audience_changed(was, is)) {
            problems_add(&list, is->line,
                         "experiment \"%s\" keeps its seed but changes its audience, "
                         "which may take units out of the arm they have (keep it, "
                         "drop it, or give the experiment a new seed)",
                         is->name);
        }
    }
    return problems_conclude(&list, first, name, error);
}

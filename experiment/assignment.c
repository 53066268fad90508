#include "experiment/assignment.h"

#include "experiment/bucket.h"

#define N_BUCKETS 10000.0

double assignment_bucket(struct slice seed, struct slice unit)
{
    return bucket_number(bucket_state(seed), unit) / N_BUCKETS;
}

static bool is_held_out(const struct config *config, struct slice unit)
{
    return config->holdout.share > 0 &&
           bucket_number(config->holdout.seed_state, unit) / N_BUCKETS <
               config->holdout.share;
}

/* -1, or the arm that the unit is forced into. The list is sorted. */
static int find_forced(const struct experiment *experiment, struct slice unit)
{
    int low = 0, high = experiment->n_forced;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        const struct forced_unit *forced = &experiment->forced[middle];
        const int order = slice_compare(slice_of(forced->unit), unit);
        if (order == 0) {
            return forced->arm;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return ARM_NONE;
}

static struct assignment none(double bucket, enum assignment_reason reason)
{
    return (struct assignment){.arm = ARM_NONE, .bucket = bucket, .reason = reason};
}

/* By layer, namespace and bucket. */
static struct assignment split(const struct experiment *experiment, struct slice unit,
                               double bucket)
{
    if (experiment->layer) {
        const double layer = bucket_number(experiment->layer_state, unit) / N_BUCKETS;
        if (!(layer >= experiment->layer_start && layer < experiment->layer_end)) {
            return none(bucket, REASON_LAYER);
        }
    }
    if (experiment->name_space) {
        const struct bucket_range range = {experiment->name_space_start,
                                           experiment->name_space_end};
        if (!bucket_in_namespace(unit, slice_of(experiment->name_space), range)) {
            return none(bucket, REASON_NAME_SPACE);
        }
    }
    for (int i = 0; i < experiment->n_arms; i++) {
        const struct arm *arm = &experiment->arms[i];
        if (bucket >= arm->range_start && bucket < arm->range_end) {
            return (struct assignment){i, bucket, arm->weight, REASON_SPLIT};
        }
    }
    return none(bucket, REASON_COVERAGE);
}

static struct assignment assign(const struct experiment *experiment,
                                const struct assignment_request *request, bool held_out)
{
    const struct slice unit = request->unit;
    if (unit.len == 0) {
        return none(0, experiment->status == STATUS_RUNNING ? REASON_NO_UNIT
                                                            : REASON_NOT_RUNNING);
    }
    const double bucket = bucket_number(experiment->seed_state, unit) / N_BUCKETS;
    if (experiment->status != STATUS_RUNNING) {
        return none(bucket, REASON_NOT_RUNNING);
    }
    if (request->now_us < experiment->start_us) {
        return none(bucket, REASON_NOT_STARTED);
    }
    if (request->now_us >= experiment->end_us) {
        return none(bucket, REASON_ENDED);
    }
    const int forced = experiment->n_forced ? find_forced(experiment, unit) : ARM_NONE;
    if (forced != ARM_NONE) {
        return (struct assignment){forced, bucket, 1, REASON_FORCED};
    }
    if (held_out) {
        return none(bucket, REASON_HELD_OUT);
    }
    if (experiment->audience &&
        !audience_matches(experiment->audience, request->attributes)) {
        return none(bucket, REASON_AUDIENCE);
    }
    return split(experiment, unit, bucket);
}

void config_assign(const struct config *config,
                   const struct assignment_request *request,
                   struct assignment *assignments)
{
    const bool held_out = is_held_out(config, request->unit);
    for (int i = 0; i < config->n_experiments; i++) {
        assignments[i] = assign(&config->experiments[i], request, held_out);
    }
}

struct assignment config_assign_one(const struct config *config, int index,
                                    const struct assignment_request *request)
{
    return assign(&config->experiments[index], request,
                  is_held_out(config, request->unit));
}

void serving_override(struct serving *serving, const struct arm *arm)
{
    if (arm->overrides & SERVING_MODEL) {
        serving->model = arm->serving.model;
    }
    if (arm->overrides & SERVING_K) {
        serving->k = arm->serving.k;
    }
    if (arm->overrides & SERVING_ITEM_BIAS) {
        serving->item_bias = arm->serving.item_bias;
    }
    if (arm->overrides & SERVING_EXPLORE) {
        serving->explore = arm->serving.explore;
    }
    if (arm->overrides & SERVING_DIVERSITY) {
        serving->diversity = arm->serving.diversity;
    }
}

struct serving config_resolve(const struct config *config, const int *arms)
{
    struct serving serving = config->serving;
    for (int i = 0; i < config->n_experiments; i++) {
        if (arms[i] != ARM_NONE) {
            serving_override(&serving, &config->experiments[i].arms[arms[i]]);
        }
    }
    return serving;
}

const char *assignment_reason_name(enum assignment_reason reason)
{
    static const char *const names[] = {
        [REASON_NOT_RUNNING] = "not running",
        [REASON_NOT_STARTED] = "not started",
        [REASON_ENDED] = "ended",
        [REASON_NO_UNIT] = "no unit",
        [REASON_FORCED] = "forced",
        [REASON_HELD_OUT] = "held out",
        [REASON_AUDIENCE] = "not in the audience",
        [REASON_LAYER] = "outside the layer range",
        [REASON_NAME_SPACE] = "outside the namespace range",
        [REASON_COVERAGE] = "outside the coverage",
        [REASON_SPLIT] = "split",
    };
    return names[reason];
}

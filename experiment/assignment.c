#include "experiment/assignment.h"

#include "common/utf8.h"

#define FNV_OFFSET  2166136261U
#define FNV_PRIME   16777619U
#define REPLACEMENT 0xFFFDU
#define N_BUCKETS   10000U

static uint32_t fnv_step(uint32_t hash, uint32_t code_unit)
{
    return (hash ^ code_unit) * FNV_PRIME;
}

/* FNV-1a over the UTF-16 code units of UTF-8 text. */
static uint32_t fnv_text(uint32_t hash, struct slice text)
{
    for (size_t i = 0; i < text.len;) {
        const unsigned char byte = (unsigned char)text.data[i];
        if (byte < 0x80) {
            hash = fnv_step(hash, byte);
            i++;
            continue;
        }
        const size_t len = utf8_sequence_len(text.data + i, text.len - i);
        const uint32_t code_point = len ? utf8_decode(text.data + i, len) : REPLACEMENT;
        if (code_point < 0x10000) {
            hash = fnv_step(hash, code_point);
        } else {
            hash = fnv_step(hash, 0xD800 + ((code_point - 0x10000) >> 10));
            hash = fnv_step(hash, 0xDC00 + ((code_point - 0x10000) & 0x3FF));
        }
        i += len ? len : 1;
    }
    return hash;
}

/* FNV-1a over the decimal digits of a number. */
static uint32_t fnv_decimal(uint32_t number)
{
    unsigned char digits[10];
    int n = 0;
    do {
        digits[n++] = (unsigned char)('0' + number % 10);
        number /= 10;
    } while (number);
    uint32_t hash = FNV_OFFSET;
    while (n) {
        hash = fnv_step(hash, digits[--n]);
    }
    return hash;
}

uint32_t assignment_seed_state(struct slice seed)
{
    return fnv_text(FNV_OFFSET, seed);
}

double assignment_bucket_from(uint32_t seed_state, struct slice unit)
{
    return fnv_decimal(fnv_text(seed_state, unit)) % N_BUCKETS / (double)N_BUCKETS;
}

double assignment_bucket(struct slice seed, struct slice unit)
{
    return assignment_bucket_from(assignment_seed_state(seed), unit);
}

struct assignment experiment_assign(const struct experiment *experiment,
                                    struct slice unit)
{
    struct assignment assignment = {.arm = ARM_NONE};
    if (unit.len == 0) {
        return assignment;
    }
    assignment.bucket = assignment_bucket_from(experiment->seed_state, unit);
    if (experiment->status != STATUS_RUNNING) {
        return assignment;
    }
    if (experiment->layer) {
        const double bucket = assignment_bucket_from(experiment->layer_state, unit);
        if (!(bucket >= experiment->layer_start && bucket < experiment->layer_end)) {
            return assignment;
        }
    }
    for (int i = 0; i < experiment->n_arms; i++) {
        const struct arm *arm = &experiment->arms[i];
        if (assignment.bucket >= arm->range_start &&
            assignment.bucket < arm->range_end) {
            assignment.arm = i;
            assignment.probability = arm->weight;
            break;
        }
    }
    return assignment;
}

struct serving config_resolve(const struct config *config, const int *arms)
{
    struct serving serving = config->serving;
    for (int i = 0; i < config->n_experiments; i++) {
        if (arms[i] == ARM_NONE) {
            continue;
        }
        const struct arm *arm = &config->experiments[i].arms[arms[i]];
        if (arm->overrides & SERVING_MODEL) {
            serving.model = arm->serving.model;
        }
        if (arm->overrides & SERVING_K) {
            serving.k = arm->serving.k;
        }
        if (arm->overrides & SERVING_ITEM_BIAS) {
            serving.item_bias = arm->serving.item_bias;
        }
        if (arm->overrides & SERVING_EXPLORE) {
            serving.explore = arm->serving.explore;
        }
    }
    return serving;
}

#include "experiment/bucket.h"

#include "common/utf8.h"

#define FNV_OFFSET  2166136261U
#define FNV_PRIME   16777619U
#define REPLACEMENT 0xFFFDU
#define N_BUCKETS   10000U

static uint32_t fnv_step(uint32_t hash, uint32_t code_unit)
{
    return (hash ^ code_unit) * FNV_PRIME;
}

/* One sequence or one bad byte that is not ASCII, at text; its length goes to *len. */
static uint32_t hash_wide(uint32_t hash, struct slice text, size_t *len)
{
    *len = utf8_sequence_len(text.data, text.len);
    const uint32_t code_point = *len ? utf8_decode(text.data, *len) : REPLACEMENT;
    *len = *len ? *len : 1;
    if (code_point < 0x10000) {
        return fnv_step(hash, code_point);
    }
    hash = fnv_step(hash, 0xD800 + ((code_point - 0x10000) >> 10));
    return fnv_step(hash, 0xDC00 + ((code_point - 0x10000) & 0x3FF));
}

uint32_t bucket_hash_on(uint32_t state, struct slice text)
{
    uint32_t hash = state;
    for (size_t i = 0; i < text.len;) {
        const unsigned char byte = (unsigned char)text.data[i];
        size_t len = 1;
        if (byte < 0x80) {
            hash = fnv_step(hash, byte);
        } else {
            hash = hash_wide(hash, (struct slice){text.data + i, text.len - i}, &len);
        }
        i += len;
    }
    return hash;
}

uint32_t bucket_state(struct slice seed)
{
    return bucket_hash_on(FNV_OFFSET, seed);
}

/* FNV-1a over the decimal digits of a number. Nearly all numbers have nine or ten, so
 * all ten are made at once, from halves that do not wait for each other. */
static uint32_t hash_decimal(uint32_t number)
{
    unsigned char digits[10];
    uint32_t high = number / 100000, low = number % 100000;
    for (int i = 4; i >= 0; i--) {
        digits[i] = (unsigned char)('0' + high % 10);
        digits[i + 5] = (unsigned char)('0' + low % 10);
        high /= 10;
        low /= 10;
    }
    int first = 0;
    while (first < 9 && digits[first] == '0') {
        first++;
    }
    uint32_t hash = FNV_OFFSET;
    for (int i = first; i < 10; i++) {
        hash = fnv_step(hash, digits[i]);
    }
    return hash;
}

unsigned bucket_number(uint32_t seed_state, struct slice unit)
{
    return hash_decimal(bucket_hash_on(seed_state, unit)) % N_BUCKETS;
}

double bucket_version_1(struct slice seed, struct slice unit)
{
    return bucket_hash_on(bucket_state(unit), seed) % 1000 / 1000.0;
}

bool bucket_in_namespace(struct slice unit, struct slice name_space,
                         struct bucket_range range)
{
    const uint32_t state = bucket_hash_on(bucket_state(unit), slice_of("__"));
    const double bucket = bucket_hash_on(state, name_space) % 1000 / 1000.0;
    return bucket >= range.start && bucket < range.end;
}

void bucket_equal_weights(int n, double *weights)
{
    for (int i = 0; i < n; i++) {
        weights[i] = 1.0 / n;
    }
}

void bucket_ranges(int n, double coverage, const double *weights,
                   struct bucket_range *ranges)
{
    coverage = coverage < 0 ? 0 : coverage > 1 ? 1 : coverage;
    double sum = 0;
    for (int i = 0; i < n && weights; i++) {
        sum += weights[i];
    }
    const bool is_equal = !weights || sum < 0.99 || sum > 1.01;
    double start = 0;
    for (int i = 0; i < n; i++) {
        const double weight = is_equal ? 1.0 / n : weights[i];
        ranges[i] = (struct bucket_range){start, start + coverage * weight};
        start += weight;
    }
}

int bucket_choose(double bucket, int n, const struct bucket_range *ranges)
{
    for (int i = 0; i < n; i++) {
        if (bucket >= ranges[i].start && bucket < ranges[i].end) {
            return i;
        }
    }
    return -1;
}

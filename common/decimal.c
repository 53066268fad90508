#include "common/decimal.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/decimal_powers.h"

__extension__ typedef unsigned __int128 uint128;

static const char digit_pairs[] = "0001020304050607080910111213141516171819"
                                  "2021222324252627282930313233343536373839"
                                  "4041424344454647484950515253545556575859"
                                  "6061626364656667686970717273747576777879"
                                  "8081828384858687888990919293949596979899";

/* Two digits as they stand in memory. */
static inline uint32_t digit_pair(uint32_t value)
{
    uint16_t pair;
    memcpy(&pair, digit_pairs + (size_t)2 * value, sizeof pair);
    return pair;
}

static inline int count_digits(uint64_t value)
{
    static const uint64_t powers[] = {0,
                                      10,
                                      100,
                                      1000,
                                      10000,
                                      100000,
                                      1000000,
                                      10000000,
                                      100000000,
                                      1000000000,
                                      10000000000,
                                      100000000000,
                                      1000000000000,
                                      10000000000000,
                                      100000000000000,
                                      1000000000000000,
                                      10000000000000000,
                                      100000000000000000,
                                      1000000000000000000,
                                      10000000000000000000U};
    /* log10(2) is just above 1233 / 4096, so this is the count or one less. */
    const int n = ((64 - __builtin_clzll(value | 1)) * 1233) >> 12;
    return n + (value >= powers[n]);
}

/* Eight digits with leading zeros. Thirty-two bits, and no division waits for another.
 */
static inline void put_eight(char *to, uint32_t value)
{
    const uint32_t high = value / 10000, low = value % 10000;
    memcpy(to, digit_pairs + 2 * (high / 100), 2);
    memcpy(to + 2, digit_pairs + 2 * (high % 100), 2);
    memcpy(to + 4, digit_pairs + 2 * (low / 100), 2);
    memcpy(to + 6, digit_pairs + 2 * (low % 100), 2);
}

/* The last n digits of `value`, with leading zeros, at to[0..n). */
static inline void put_digits(char *to, uint64_t value, int n)
{
    for (; n >= 8; n -= 8, value /= 100000000) {
        put_eight(to + n - 8, (uint32_t)(value % 100000000));
    }
    uint32_t rest = (uint32_t)value; /* below 10^8 now, or its digits do not count */
    for (; n >= 2; n -= 2, rest /= 100) {
        memcpy(to + n - 2, digit_pairs + 2 * (rest % 100), 2);
    }
    if (n) {
        to[0] = (char)('0' + rest % 10);
    }
}

size_t decimal_write_int(char to[DECIMAL_SIZE], int64_t value)
{
    const bool is_negative = value < 0;
    const uint64_t size = is_negative ? 0 - (uint64_t)value : (uint64_t)value;
    const int n = count_digits(size);
    to[0] = '-';
    put_digits(to + is_negative, size, n);
    return (size_t)n + is_negative;
}

/* A value of at most six decimal places. The quotient of two exact doubles is correctly
 * rounded, so scaled / 10^6 == size says that the decimal reads back as the value; and
 * there is no other decimal of up to 15 digits that does. Returns 0 for others. */
static inline size_t put_short_decimal(char *to, double size)
{
    if (!(size >= 1e-4 && size < 2e3)) {
        return 0;
    }
    const int32_t scaled = (int32_t)(size * 1e6 + 0.5);
    if ((double)scaled / 1e6 != size) {
        return 0;
    }
    const uint32_t whole = (uint32_t)scaled / 1000000;
    const uint32_t fraction = (uint32_t)scaled - whole * 1000000;
    int n = 1;
    if (whole < 10) {
        to[0] = (char)('0' + whole);
    } else {
        n = count_digits(whole);
        put_digits(to, whole, n);
    }
    /* The point and six digits as one word, which says itself where its zeros begin: no
     * step waits for a byte that was just written. */
    const uint32_t high = fraction / 10000, low = fraction - high * 10000;
    const uint64_t six = digit_pair(high) | (uint64_t)digit_pair(low / 100) << 16 |
                         (uint64_t)digit_pair(low % 100) << 32;
    const uint64_t word = six << 8 | '.';
    const uint64_t digits = six ^ 0x303030303030;
    memcpy(to + n, &word, sizeof word);
    /* From the other end, since counting leading zeros is slow without LZCNT. */
    const int n_zeros = digits ? __builtin_ctzll(__builtin_bswap64(digits)) / 8 : 9;
    return (size_t)(n + 9 - n_zeros);
}

struct decimal {
    uint64_t digits;
    int exponent; /* value = digits * 10^exponent */
};

/* floor(log2(10^k)), floor(log10(2^q)) and floor(log10(3/4 2^q)) for the ranges here.
 */
static inline int floor_log2_pow10(int k)
{
    return (k * 1741647) >> 19;
}

static inline int floor_log10_pow2(int q)
{
    return (q * 1262611) >> 22;
}

static inline int floor_log10_three_quarters_pow2(int q)
{
    return (q * 1262611 - 524031) >> 22;
}

/* The high 64 bits of g * c / 2^64, with the last bit set when any was lost. */
static inline uint64_t round_to_odd(const uint64_t g[2], uint64_t c)
{
    const uint128 low = (uint128)g[1] * c;
    const uint128 high = (uint128)g[0] * c + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

static inline uint64_t round_to_odd_float(uint64_t g, uint32_t c)
{
    const uint128 product = (uint128)g * c;
    return (uint64_t)(product >> 64) | ((uint32_t)(product >> 32) > 1);
}

/* Giulietti's choice: the shortest of the decimals inside the rounding interval whose
 * scaled bounds are [lower, upper], nearest to the scaled value vb = 4 s + rest. */
static struct decimal choose(uint64_t lower, uint64_t vb, uint64_t upper, int k)
{
    const uint64_t s = vb / 4;
    if (s >= 10) {
        const uint64_t sp = s / 10;
        const bool is_down_inside = lower <= 40 * sp;
        const bool is_up_inside = 40 * sp + 40 <= upper;
        if (is_down_inside != is_up_inside) {
            return (struct decimal){sp + is_up_inside, k + 1};
        }
    }
    const bool is_down_inside = lower <= 4 * s;
    const bool is_up_inside = 4 * s + 4 <= upper;
    if (is_down_inside != is_up_inside) {
        return (struct decimal){s + is_up_inside, k};
    }
    const uint64_t middle = 4 * s + 2;
    const bool is_rounded_up = vb > middle || (vb == middle && (s & 1));
    return (struct decimal){s + is_rounded_up, k};
}

/* value = fraction * 2^q; `is_edge` when the doubles below are twice as dense. */
static struct decimal shortest_double(uint64_t fraction, int q, bool is_edge)
{
    const int k = is_edge ? floor_log10_three_quarters_pow2(q) : floor_log10_pow2(q);
    const int h = q + floor_log2_pow10(-k) + 1;
    const uint64_t *g = decimal_powers[-k - DECIMAL_POWER_MIN];
    const uint64_t is_odd = fraction & 1;
    const uint64_t vb = round_to_odd(g, (4 * fraction) << h);
    const uint64_t lower = round_to_odd(g, (4 * fraction - 2 + is_edge) << h) + is_odd;
    const uint64_t upper = round_to_odd(g, (4 * fraction + 2) << h) - is_odd;
    return choose(lower, vb, upper, k);
}

static struct decimal shortest_float(uint32_t fraction, int q, bool is_edge)
{
    const int k = is_edge ? floor_log10_three_quarters_pow2(q) : floor_log10_pow2(q);
    const int h = q + floor_log2_pow10(-k) + 1;
    const uint64_t *wide = decimal_powers[-k - DECIMAL_POWER_MIN];
    const uint64_t g = wide[0] + (wide[1] != 0);
    const uint32_t is_odd = fraction & 1;
    const uint64_t vb = round_to_odd_float(g, (4 * fraction) << h);
    const uint64_t lower =
        round_to_odd_float(g, (4 * fraction - 2 + is_edge) << h) + is_odd;
    const uint64_t upper = round_to_odd_float(g, (4 * fraction + 2) << h) - is_odd;
    return choose(lower, vb, upper, k);
}

static size_t put_exponent(char *to, int exponent)
{
    const int size = exponent < 0 ? -exponent : exponent;
    const int n = size >= 100 ? 3 : 2;
    to[0] = 'e';
    to[1] = exponent < 0 ? '-' : '+';
    put_digits(to + 2, (uint64_t)size, n);
    return (size_t)n + 2;
}

/* Lays the digits out as %.Ng does, N = max(precision, number of digits). */
static size_t put_decimal(char *to, struct decimal d, int precision)
{
    while (d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    const int n = count_digits(d.digits);
    const int point = d.exponent + n; /* digits before the point */
    if (point > 0 && point < n) {
        put_digits(to + 1, d.digits, n);
        for (int i = 0; i < point; i++) { /* one or two bytes; memmove is a call */
            to[i] = to[i + 1];
        }
        to[point] = '.';
        return (size_t)n + 1;
    }
    if (point < -3 || point > (n > precision ? n : precision)) {
        put_digits(to + 1, d.digits, n);
        to[0] = to[1];
        to[1] = '.';
        const size_t len = n > 1 ? (size_t)n + 1 : 1;
        return len + put_exponent(to + len, point - 1);
    }
    if (point <= 0) {
        memcpy(to, "0.000", 5);
        put_digits(to + 2 - point, d.digits, n);
        const int len = 2 - point + n;
        return (size_t)len;
    }
    put_digits(to, d.digits, n);
    memset(to + n, '0', (size_t)(point - n));
    return (size_t)point;
}

/* Out of line, so that short decimals pay for none of it. */
__attribute__((noinline)) static size_t put_any_double(char *to, uint64_t bits)
{
    const uint64_t fraction = bits & ((1ULL << 52) - 1);
    const int exponent = (int)(bits >> 52 & 0x7FF);
    if (fraction == 0 && exponent == 0) {
        to[0] = '0';
        return 1;
    }
    const struct decimal d =
        exponent ? shortest_double(fraction | 1ULL << 52, exponent - 1075,
                                   fraction == 0 && exponent > 1)
                 : shortest_double(fraction, -1074, false);
    return put_decimal(to, d, 15);
}

size_t decimal_write_double(char to[DECIMAL_SIZE], double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    const size_t sign = bits >> 63;
    to[0] = '-';
    const size_t len = put_short_decimal(to + sign, fabs(value));
    return sign + (len ? len : put_any_double(to + sign, bits));
}

size_t decimal_write_float(char to[DECIMAL_SIZE], float value)
{
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    const size_t sign = bits >> 31;
    to[0] = '-';
    to += sign;
    const uint32_t fraction = bits & ((1U << 23) - 1);
    const int exponent = (int)(bits >> 23 & 0xFF);
    if (fraction == 0 && exponent == 0) {
        to[0] = '0';
        return 1 + sign;
    }
    const struct decimal d = exponent
                                 ? shortest_float(fraction | 1U << 23, exponent - 150,
                                                  fraction == 0 && exponent > 1)
                                 : shortest_float(fraction, -149, false);
    return put_decimal(to, d, 6) + sign;
}

/* Digits of a number as it is read. */
struct number {
    uint64_t digits;
    int n_digits; /* without leading zeros; digits is right up to 19 */
    int exponent;
    bool is_negative;
};

static inline const char *take_digits(const char *at, const char *end,
                                      struct number *number)
{
    while (end - at >= 8 && number->digits && decimal_take_eight(at, &number->digits)) {
        number->n_digits += 8;
        at += 8;
    }
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        number->digits = number->digits * 10 + (uint64_t)(*at - '0');
        number->n_digits += number->n_digits > 0 || *at != '0';
    }
    return at;
}

/* Reads what JSON allows; NULL when it does not. */
static inline const char *take_number(const char *at, const char *end,
                                      struct number *number)
{
    *number = (struct number){.is_negative = at < end && *at == '-'};
    at += number->is_negative;
    const char *first = at;
    at = take_digits(at, end, number);
    if (at == first || (*first == '0' && at - first > 1)) {
        return NULL;
    }
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        at = take_digits(at, end, number);
        if (at == fraction) {
            return NULL;
        }
        number->exponent -= at - fraction > 1000 ? 1000 : (int)(at - fraction);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        const bool is_negative = at < end && *at == '-';
        at += at < end && (*at == '-' || *at == '+');
        int exponent = 0;
        const char *start = at;
        for (; at < end && *at >= '0' && *at <= '9'; at++) {
            exponent = exponent < 100000 ? exponent * 10 + (*at - '0') : exponent;
        }
        if (at == start) {
            return NULL;
        }
        number->exponent += is_negative ? -exponent : exponent;
    }
    return at;
}

/* digits * 10^exponent as the nearest double; false when that cannot be told from the
 * 128 bits of the power, or it is no normal double. */
static bool nearest(const struct number *number, double *value)
{
    static const double powers_of_ten[] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const int e = number->exponent;
    if (number->digits <= 1ULL << 53 && e >= -22 && e <= 22) {
        /* Both are exact, so one operation rounds correctly (Clinger, 1990). */
        const double digits = (double)number->digits;
        *value = e < 0 ? digits / powers_of_ten[-e] : digits * powers_of_ten[e];
        return true;
    }
    if (number->digits == 0 || e < DECIMAL_POWER_MIN || e > 308) {
        return false;
    }
    const uint64_t *g = decimal_powers[e - DECIMAL_POWER_MIN];
    const int zeros = __builtin_clzll(number->digits);
    const uint64_t w = number->digits << zeros;
    const uint128 product = (uint128)w * g[0] + (uint64_t)((uint128)w * g[1] >> 64);
    const int shift = (product >> 127 ? 127 : 126) - 52;
    const uint128 rest = product & (((uint128)1 << shift) - 1);
    const uint128 half = (uint128)1 << (shift - 1);
    const int exponent = shift + 64 - zeros + floor_log2_pow10(e) - 127 + 1075;
    /* The true product is less than 1 away from ours. */
    if (rest == half || exponent < 1 || exponent > 2045) {
        return false;
    }
    const uint64_t fraction = (uint64_t)(product >> shift) + (rest > half);
    /* A fraction rounded up to 2^53 carries into the exponent, as it should. */
    const uint64_t bits = ((uint64_t)exponent << 52) + (fraction - (1ULL << 52));
    memcpy(value, &bits, sizeof bits);
    return true;
}

static bool ask_strtod(const char *at, const char *end, double *value)
{
    char copy[1001];
    const size_t len = (size_t)(end - at);
    if (len >= sizeof copy) {
        return false;
    }
    memcpy(copy, at, len);
    copy[len] = '\0';
    *value = strtod(copy, NULL);
    return isfinite(*value);
}

const char *decimal_read(const char *at, const char *end, double *value)
{
    struct number number;
    const char *stop = take_number(at, end, &number);
    double magnitude = 0;
    if (!stop) {
        return NULL;
    }
    if (number.n_digits <= 19 && stop - at <= 1000 && nearest(&number, &magnitude)) {
        *value = number.is_negative ? -magnitude : magnitude;
        return stop;
    }
    return ask_strtod(at, stop, value) ? stop : NULL;
}

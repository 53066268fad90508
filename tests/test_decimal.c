/* Numbers as text: against printf and strtod, the table against exact arithmetic. */
#include "tests/testing.h"

#include <float.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/decimal.h"
#include "common/decimal_powers.h"
#include "common/rng.h"

#define N_RANDOM 100000

/* Equal, and zeros of one sign. A float is the same as a double of its value. */
static bool same_bits(double a, double b)
{
    uint64_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return x == y;
}

static void check_text(double value, const char *expected)
{
    char text[DECIMAL_SIZE + 1] = "";
    text[decimal_write_double(text, value)] = '\0';
    assert_string_equal(text, expected);
}

static void doubles_are_laid_out_as_printf_does(void **state)
{
    (void)state;
    check_text(0, "0");
    check_text(-0.0, "-0");
    check_text(1, "1");
    check_text(-1.5, "-1.5");
    check_text(0.1, "0.1");
    check_text(1e-4, "0.0001");
    check_text(1e-5, "1e-05");
    check_text(123456.789, "123456.789");
    check_text(0.000123456789, "0.000123456789");
    check_text(1e14, "100000000000000");
    check_text(1e15, "1e+15");
    check_text(1234567890123456, "1234567890123456");
    check_text(1e22, "1e+22");
    check_text(1.7976931348623157e308, "1.7976931348623157e+308");
    check_text(2.2250738585072014e-308, "2.2250738585072014e-308");
    check_text(5e-324, "5e-324"); /* %.15g prints 4.94065645841247e-324 */
    check_text(9007199254740993.0, "9007199254740992");
    check_text(4.91, "4.91");
    check_text(999999999.999999, "999999999.999999");
}

static double any_double(struct rng *rng)
{
    for (;;) {
        const uint64_t bits = rng_next(rng);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) {
            return value;
        }
    }
}

/* The text is the shortest: no %.*g with fewer digits reads back as the same; it has
 * the digits of the one that does. */
static void check_shortest(double value)
{
    char text[DECIMAL_SIZE + 1], printed[64];
    const size_t len = decimal_write_double(text, value);
    assert_true(len < DECIMAL_SIZE);
    text[len] = '\0';
    char *end = NULL;
    const double again = strtod(text, &end);
    assert_true(*end == '\0' && same_bits(again, value));
    int digits = 1;
    do {
        snprintf(printed, sizeof printed, "%.*g", digits, value);
    } while (strtod(printed, NULL) != value && digits++ < 17);
    snprintf(printed, sizeof printed, "%.*g", digits > 15 ? digits : 15, value);
    if (digits >= 15 || strtod(printed, NULL) == value) {
        if (strcmp(printed, text) != 0) {
            /* With the same number of digits another may be as near; it must not be
             * longer. */
            assert_true(strlen(text) <= strlen(printed));
        }
    }
    double read = -1;
    assert_ptr_equal(decimal_read(text, text + len, &read), text + len);
    assert_true(same_bits(read, value));
}

static void doubles_are_shortest_and_read_back(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 20, 0);
    for (int i = 0; i < N_RANDOM / 4; i++) {
        check_shortest(any_double(&rng));
        check_shortest(rng_normal(&rng) * 3);
        check_shortest((double)(float)rng_normal(&rng));
        check_shortest((double)rng_below(&rng, 10000000) / 1e6);
    }
    for (int i = -1074; i < 1024; i++) { /* powers of two and their neighbours */
        const double power = ldexp(1, i);
        check_shortest(power);
        check_shortest(nextafter(power, 0) == 0 ? power : nextafter(power, 0));
        check_shortest(nextafter(power, INFINITY));
    }
    check_shortest(DBL_MAX);
}

static void floats_are_shortest_and_read_back(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 21, 0);
    for (int i = 0; i < N_RANDOM; i++) {
        char text[DECIMAL_SIZE + 1], printed[64];
        const uint32_t bits = (uint32_t)rng_next(&rng);
        float value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) {
            continue;
        }
        const size_t len = decimal_write_float(text, value);
        text[len] = '\0';
        const float again = strtof(text, NULL);
        assert_true(same_bits((double)again, (double)value));
        int digits = 6;
        do {
            snprintf(printed, sizeof printed, "%.*g", digits, (double)value);
        } while (strtof(printed, NULL) != value && digits++ < 9);
        assert_true(strlen(text) <= strlen(printed));
    }
}

/* Every text that JSON allows reads as strtod reads it. */
static void random_texts_read_as_strtod_reads_them(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 22, 0);
    for (int i = 0; i < N_RANDOM; i++) {
        char text[64];
        int len = 0;
        const int n_whole = 1 + (int)rng_below(&rng, 20);
        const int n_fraction = (int)rng_below(&rng, 22);
        len += snprintf(text, sizeof text, "%s", rng_below(&rng, 2) ? "-" : "");
        text[len++] = (char)('1' + rng_below(&rng, 9));
        for (int j = 1; j < n_whole; j++) {
            text[len++] = (char)('0' + rng_below(&rng, 10));
        }
        if (n_fraction) {
            text[len++] = '.';
            for (int j = 0; j < n_fraction; j++) {
                text[len++] = (char)('0' + rng_below(&rng, 10));
            }
        }
        text[len] = '\0';
        if (rng_below(&rng, 2)) {
            len += snprintf(text + len, sizeof text - (size_t)len, "e%d",
                            (int)rng_below(&rng, 640) - 330);
        }
        double value = -1;
        const double expected = strtod(text, NULL);
        const char *end = decimal_read(text, text + len, &value);
        if (isfinite(expected)) {
            assert_ptr_equal(end, text + len);
            assert_true(same_bits(value, expected));
        } else {
            assert_null(end);
        }
    }
}

static void halfway_texts_read_as_strtod_reads_them(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "9007199254740993",
        "9007199254740993.0000000000000000000000000000000001",
        "9007199254740992.9999999999999999999",
        "1.00000000000000011102230246251565404",
        "2.22507385850720113605740979670913197593481954635164565e-308",
        "8.98846567431158e307",
        "0.000000000000000000000000000000000000001",
        "123456789012345678901234567890",
        "1e23",
        "8.5e22",
        "0e400",
        "0.0e-400"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const size_t len = strlen(texts[i]);
        const double expected = strtod(texts[i], NULL);
        double value = -1;
        assert_ptr_equal(decimal_read(texts[i], texts[i] + len, &value),
                         texts[i] + len);
        assert_true(same_bits(value, expected));
    }
}

static void what_json_does_not_allow_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",    "-",   "+1",    ".5",  "01",   "1.",
                                        "1e",  "1e+", "-.5",   "nan", "inf",  "0x10",
                                        "--1", "00",  "1e999", "e5",  "-01.5"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        double value = -7;
        const size_t len = strlen(texts[i]);
        const char *end = decimal_read(texts[i], texts[i] + len, &value);
        assert_true(end == NULL ||
                    (strcmp(texts[i], "0x10") == 0 && end == texts[i] + 1));
    }
}

static void integers_are_written_whole(void **state)
{
    (void)state;
    static const int64_t values[] = {0,  9,      10,        -1,        99,       100,
                                     -9, 999999, INT64_MAX, INT64_MIN, 10000000, 12345};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[DECIMAL_SIZE + 1], printed[32];
        text[decimal_write_int(text, values[i])] = '\0';
        snprintf(printed, sizeof printed, "%lld", (long long)values[i]);
        assert_string_equal(text, printed);
    }
}

/* Big natural numbers, 32 bits a limb, enough for 10^324 and 2^1200. */
#define N_LIMBS 48

static void multiply(uint32_t *big, uint32_t by)
{
    uint64_t carry = 0;
    for (int i = 0; i < N_LIMBS; i++) {
        carry += (uint64_t)big[i] * by;
        big[i] = (uint32_t)carry;
        carry >>= 32;
    }
    assert_int_equal(carry, 0);
}

static int compare(const uint32_t *a, const uint32_t *b)
{
    for (int i = N_LIMBS - 1; i >= 0; i--) {
        if (a[i] != b[i]) {
            return a[i] < b[i] ? -1 : 1;
        }
    }
    return 0;
}

/* a = g * b, g of 128 bits. */
static void multiply_wide(uint32_t *a, const uint64_t g[2], const uint32_t *b)
{
    const uint32_t parts[4] = {(uint32_t)g[1], (uint32_t)(g[1] >> 32), (uint32_t)g[0],
                               (uint32_t)(g[0] >> 32)};
    memset(a, 0, N_LIMBS * sizeof *a);
    for (int p = 0; p < 4; p++) {
        uint64_t carry = 0;
        for (int i = 0; i + p < N_LIMBS; i++) {
            carry += (uint64_t)parts[p] * b[i] + a[i + p];
            a[i + p] = (uint32_t)carry;
            carry >>= 32;
        }
        assert_int_equal(carry, 0);
    }
}

/* g = ceil(10^k / 2^r): (g - 1) 2^r < 10^k <= g 2^r, all sides made whole. */
static void the_table_of_powers_is_exact(void **state)
{
    (void)state;
    for (int k = DECIMAL_POWER_MIN; k <= DECIMAL_POWER_MAX; k++) {
        const uint64_t *g = decimal_powers[k - DECIMAL_POWER_MIN];
        const int r = ((k * 1741647) >> 19) - 127;
        uint32_t ten[N_LIMBS] = {1}, unit[N_LIMBS] = {1}, product[N_LIMBS];
        for (int i = 0; i < (k < 0 ? -k : k); i++) {
            multiply(k < 0 ? unit : ten, 10);
        }
        for (int i = 0; i < (r < 0 ? -r : r); i++) {
            multiply(r < 0 ? ten : unit, 2);
        }
        const uint64_t less[2] = {g[0] - (g[1] == 0), g[1] - 1};
        multiply_wide(product, g, unit);
        assert_true(compare(ten, product) <= 0);
        multiply_wide(product, less, unit);
        assert_true(compare(product, ten) < 0);
        assert_true(g[0] >> 63);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_are_laid_out_as_printf_does),
        cmocka_unit_test(doubles_are_shortest_and_read_back),
        cmocka_unit_test(floats_are_shortest_and_read_back),
        cmocka_unit_test(random_texts_read_as_strtod_reads_them),
        cmocka_unit_test(halfway_texts_read_as_strtod_reads_them),
        cmocka_unit_test(what_json_does_not_allow_is_refused),
        cmocka_unit_test(integers_are_written_whole),
        cmocka_unit_test(the_table_of_powers_is_exact),
    };
    return cmocka_run_group_tests_name("decimal", tests, NULL, NULL);
}

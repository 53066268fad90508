#include "experiment/config_value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/slice.h"
#include "experiment/config.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *at)
{
    while (is_digit(*at)) {
        at++;
    }
    return at;
}

/* [-+]digits[.digits][(e|E)[-+]digits], or .digits */
static bool is_decimal(const char *text)
{
    const char *at = text + (*text == '-' || *text == '+');
    const char *end = skip_digits(at);
    bool has_digits = end > at;
    if (*end == '.') {
        at = end + 1;
        end = skip_digits(at);
        has_digits = has_digits || end > at;
    }
    if (!has_digits) {
        return false;
    }
    if (*end == 'e' || *end == 'E') {
        at = end + 1;
        at += *at == '-' || *at == '+';
        end = skip_digits(at);
        if (end == at) {
            return false;
        }
    }
    return *end == '\0';
}

bool value_number(const char *text, double *value)
{
    if (!is_decimal(text)) {
        return false;
    }
    const double number = strtod(text, NULL);
    if (!isfinite(number)) {
        return false;
    }
    *value = number;
    return true;
}

/* Digits at *text, moved past them. */
static bool take_int(const char **text, int64_t *value)
{
    const char *end = skip_digits(*text);
    if (end == *text) {
        return false;
    }
    errno = 0;
    const long long number = strtoll(*text, NULL, 10);
    if (errno != 0) {
        return false;
    }
    *text = end;
    *value = number;
    return true;
}

bool value_int(const char *text, int64_t *value)
{
    const bool is_negative = *text == '-';
    int64_t number = 0;
    text += is_negative;
    if (!take_int(&text, &number) || *text) {
        return false;
    }
    *value = is_negative ? -number : number;
    return true;
}

bool value_bool(const char *text, bool *value)
{
    const bool is_yes = strcmp(text, "yes") == 0;
    if (!is_yes && strcmp(text, "no") != 0) {
        return false;
    }
    *value = is_yes;
    return true;
}

struct unit_factor {
    const char *name;
    int64_t factor;
};

static bool value_with_unit(const char *text, const struct unit_factor *units,
                            size_t n_units, int64_t *value)
{
    int64_t number = 0;
    if (!take_int(&text, &number)) {
        return false;
    }
    while (*text == ' ') {
        text++;
    }
    for (size_t i = 0; i < n_units; i++) {
        if (strcmp(text, units[i].name) == 0) {
            if (number > INT64_MAX / units[i].factor) {
                return false;
            }
            *value = number * units[i].factor;
            return true;
        }
    }
    return false;
}

bool value_size(const char *text, int64_t *bytes)
{
    static const struct unit_factor units[] = {{"B", 1},
                                               {"KiB", INT64_C(1) << 10},
                                               {"MiB", INT64_C(1) << 20},
                                               {"GiB", INT64_C(1) << 30}};
    return value_with_unit(text, units, sizeof units / sizeof units[0], bytes);
}

bool value_duration(const char *text, int64_t *us)
{
    static const struct unit_factor units[] = {{"ms", INT64_C(1000)},
                                               {"s", INT64_C(1000000)},
                                               {"m", INT64_C(60000000)},
                                               {"h", INT64_C(3600000000)},
                                               {"d", INT64_C(86400000000)}};
    return value_with_unit(text, units, sizeof units / sizeof units[0], us);
}

/* `n` digits at *at, moved past them; the number must be in [low, high]. */
static bool take_digits(const char **at, int n, int low, int high, int *value)
{
    int number = 0;
    for (int i = 0; i < n; i++, ++*at) {
        if (!is_digit(**at)) {
            return false;
        }
        number = 10 * number + (**at - '0');
    }
    *value = number;
    return number >= low && number <= high;
}

static bool take_char(const char **at, char c)
{
    const bool is_there = **at == c;
    *at += is_there;
    return is_there;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar (H. Hinnant, "chrono-
 * compatible low-level date algorithms", days_from_civil). */
static int64_t days_from_civil(int year, int month, int day)
{
    const int y = month <= 2 ? year - 1 : year;
    const int era = y / 400, year_of_era = y - era * 400;
    const int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * 146097 + day_of_era - 719468;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap);
}

/* Digits after the point of a second, to microseconds; further ones are dropped. */
static bool take_fraction(const char **at, int64_t *us)
{
    const char *start = *at;
    int64_t weight = 100000;
    for (; is_digit(**at); ++*at, weight /= 10) {
        *us += weight * (**at - '0');
    }
    return *at > start;
}

/* "THH:MM:SS[.FFF]" with "Z" or "+HH:MM"; adds to *us the time after midnight UTC. */
static bool take_clock(const char *at, int64_t *us)
{
    int hour = 0, minute = 0, second = 0, offset_hour = 0, offset_minute = 0;
    if (!take_char(&at, 'T') || !take_digits(&at, 2, 0, 23, &hour) ||
        !take_char(&at, ':') || !take_digits(&at, 2, 0, 59, &minute) ||
        !take_char(&at, ':') || !take_digits(&at, 2, 0, 59, &second)) {
        return false;
    }
    if (take_char(&at, '.') && !take_fraction(&at, us)) {
        return false;
    }
    int sign = 0;
    if (*at == '+' || *at == '-') {
        sign = *at++ == '+' ? -1 : 1;
        if (!take_digits(&at, 2, 0, 23, &offset_hour) || !take_char(&at, ':') ||
            !take_digits(&at, 2, 0, 59, &offset_minute)) {
            return false;
        }
    } else if (!take_char(&at, 'Z')) {
        return false;
    }
    *us += INT64_C(1000000) * (hour * 3600 + minute * 60 + second +
                               sign * (offset_hour * 3600 + offset_minute * 60));
    return *at == '\0';
}

bool config_read_time(const char *text, int64_t *us)
{
    int year = 0, month = 0, day = 0;
    int64_t clock_us = 0;
    if (!take_digits(&text, 4, 1970, 9999, &year) || !take_char(&text, '-') ||
        !take_digits(&text, 2, 1, 12, &month) || !take_char(&text, '-') ||
        !take_digits(&text, 2, 1, days_in_month(year, month), &day)) {
        return false;
    }
    if (*text && !take_clock(text, &clock_us)) {
        return false;
    }
    *us = days_from_civil(year, month, day) * INT64_C(86400000000) + clock_us;
    return true;
}

bool value_address(const char *text, char **host, int *port, bool *no_memory)
{
    const char *colon = strrchr(text, ':');
    int64_t number = 0;
    if (!colon || colon == text || !value_int(colon + 1, &number) || number < 0 ||
        number > 65535) {
        return false;
    }
    struct slice name = {text, (size_t)(colon - text)};
    if (name.data[0] == '[' && name.len > 2 && name.data[name.len - 1] == ']') {
        name.data++;
        name.len -= 2;
    } else if (memchr(name.data, ':', name.len) || memchr(name.data, '[', name.len)) {
        return false;
    }
    char *copy = strndup(name.data, name.len);
    if (!copy) {
        *no_memory = true;
        return false;
    }
    *host = copy;
    *port = (int)number;
    return true;
}

bool value_is_name(const char *text)
{
    const size_t len = strlen(text);
    if (len == 0 || len > NAME_MAX_LEN || text[0] == '-') {
        return false;
    }
    for (; *text; text++) {
        const bool is_letter =
            (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');
        if (!is_letter && !is_digit(*text) && *text != '.' && *text != '_' &&
            *text != '-') {
            return false;
        }
    }
    return true;
}

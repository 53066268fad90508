#include "experiment/config_value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/slice.h"

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

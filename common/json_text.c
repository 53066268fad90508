#include "common/json_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/utf8.h"

static void append_escaped(struct buffer *buffer, unsigned char c)
{
    switch (c) {
    case '"':
        buffer_append_text(buffer, "\\\"");
        break;
    case '\\':
        buffer_append_text(buffer, "\\\\");
        break;
    case '\n':
        buffer_append_text(buffer, "\\n");
        break;
    case '\r':
        buffer_append_text(buffer, "\\r");
        break;
    case '\t':
        buffer_append_text(buffer, "\\t");
        break;
    default:
        buffer_printf(buffer, "\\u%04x", c);
    }
}

void json_append_string(struct buffer *buffer, struct slice text)
{
    size_t start = 0, i = 0;
    buffer_append_char(buffer, '"');
    while (i < text.len) {
        const unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            i++;
            continue;
        }
        const size_t sequence =
            c < 0x80 ? 0 : utf8_sequence_len(text.data + i, text.len - i);
        if (sequence) {
            i += sequence;
            continue;
        }
        buffer_append(buffer, text.data + start, i - start);
        if (c < 0x80) {
            append_escaped(buffer, c);
        } else {
            buffer_append_text(buffer, "\xEF\xBF\xBD");
        }
        start = ++i;
    }
    buffer_append(buffer, text.data + start, text.len - start);
    buffer_append_char(buffer, '"');
}

/* Appends a value that is a decimal of few places, as most probabilities and settings
 * are, with the same text as printf at a fraction of its price. The quotient of two
 * exact doubles is correctly rounded, so scaled / 10^places == value says that the
 * decimal reads back as the value. Returns false, having written nothing, for others.
 */
static bool append_short_decimal(struct buffer *buffer, double value)
{
    static const double power[] = {1, 1e1, 1e2, 1e3, 1e4};
    const double size = fabs(value);
    if (!(size >= 1e-4 && size < 1e9)) {
        return false; /* printf turns to exponents; -0 needs its sign */
    }
    for (int places = 0; places <= 4; places++) {
        const double scaled = nearbyint(size * power[places]);
        if (scaled / power[places] != size) {
            continue;
        }
        const int64_t digits = (int64_t)scaled, unit = (int64_t)power[places];
        if (value < 0) {
            buffer_append_char(buffer, '-');
        }
        buffer_append_int(buffer, digits / unit);
        if (places > 0) {
            char fraction[8] = {'.'};
            int64_t rest = digits % unit;
            for (int i = places; i > 0; i--) {
                fraction[i] = (char)('0' + rest % 10);
                rest /= 10;
            }
            buffer_append(buffer, fraction, (size_t)places + 1);
        }
        return true;
    }
    return false;
}

void json_append_double(struct buffer *buffer, double value)
{
    char text[32];
    if (!isfinite(value)) {
        buffer_append_text(buffer, "null");
        return;
    }
    if (append_short_decimal(buffer, value)) {
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    buffer_append_text(buffer, text);
}

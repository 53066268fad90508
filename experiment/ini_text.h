/* ini_text.h - what counts as blank in a config: the reader of configs and the editor,
 * which changes a value in place, must agree. Private to experiment/. */
#ifndef EXPERIMENT_INI_TEXT_H
#define EXPERIMENT_INI_TEXT_H

#include <stdbool.h>

#include "common/slice.h"

static inline bool ini_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Without the blanks at both ends. */
static inline struct slice ini_strip(struct slice text)
{
    while (text.len && ini_is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len && ini_is_blank(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

#endif

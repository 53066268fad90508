#include "experiment/config_edit.h"

#include <stdbool.h>
#include <string.h>

#include "experiment/ini_text.h"

/* Takes the first line, newline included, off *rest. */
static struct slice take_line(struct slice *rest)
{
    const char *newline = memchr(rest->data, '\n', rest->len);
    const size_t len = newline ? (size_t)(newline - rest->data) + 1 : rest->len;
    const struct slice line = {rest->data, len};
    rest->data += len;
    rest->len -= len;
    return line;
}

static struct slice take_word(struct slice *rest)
{
    *rest = ini_strip(*rest);
    size_t len = 0;
    while (len < rest->len && !ini_is_blank(rest->data[len])) {
        len++;
    }
    const struct slice word = {rest->data, len};
    rest->data += len;
    rest->len -= len;
    return word;
}

/* Whether the line is the header [kind name]. */
static bool is_header_of(struct slice line, const char *kind, struct slice name)
{
    const char *close = memchr(line.data, ']', line.len);
    if (line.len == 0 || line.data[0] != '[' || !close) {
        return false;
    }
    struct slice rest = {line.data + 1, (size_t)(close - line.data) - 1};
    return slice_is(take_word(&rest), kind) && slice_equal(take_word(&rest), name) &&
           ini_strip(rest).len == 0;
}

/* The value of `line` when it sets `key`; .data is NULL otherwise. A comment begins
 * with a ";" after a blank. */
static struct slice value_of(struct slice line, const char *key)
{
    const char *equals = memchr(line.data, '=', line.len);
    if (!equals ||
        !slice_is(ini_strip((struct slice){line.data, (size_t)(equals - line.data)}),
                  key)) {
        return (struct slice){NULL, 0};
    }
    const char *start = equals + 1, *end = line.data + line.len;
    for (const char *c = start; c < end; c++) {
        if (*c == '\n' || (*c == ';' && ini_is_blank(c[-1]))) {
            end = c;
        }
    }
    const struct slice value = ini_strip((struct slice){start, (size_t)(end - start)});
    return value.len ? value : (struct slice){start, 0};
}

int config_edit(struct slice text, const char *kind, struct slice name, const char *key,
                const char *value, struct buffer *out, struct error *error)
{
    struct slice rest = text;
    size_t insert_at = 0; /* behind the header, in *out */
    bool is_inside = false, is_done = false;
    if (strpbrk(value, "\n;")) {
        error_set(error, ERROR_INVALID, "\"%s\" cannot stand in a config", value);
        return -1;
    }
    while (rest.len > 0) {
        const struct slice line = take_line(&rest);
        if (line.data[0] == '[') {
            is_inside = is_header_of(line, kind, name);
            insert_at = is_inside ? out->len + line.len : insert_at;
        }
        const struct slice old =
            is_inside && !is_done ? value_of(line, key) : (struct slice){NULL, 0};
        if (!old.data) {
            buffer_append(out, line.data, line.len);
            continue;
        }
        const size_t before = (size_t)(old.data - line.data);
        buffer_append(out, line.data, before);
        buffer_append_text(out, value);
        buffer_append(out, old.data + old.len, line.len - before - old.len);
        is_done = true;
    }
    if (insert_at == 0) {
        error_set(error, ERROR_NOT_FOUND, "the config has no section [%s %.*s]", kind,
                  (int)name.len, name.data);
        return -1;
    }
    if (!is_done) {
        struct buffer tail = {0};
        const size_t cut = insert_at < out->len ? insert_at : out->len;
        buffer_append(&tail, out->data + cut, out->len - cut);
        out->len = cut;
        const bool ends_line = cut > 0 && out->data[cut - 1] == '\n';
        buffer_printf(out, "%s%s = %s\n", ends_line ? "" : "\n", key, value);
        buffer_append(out, tail.data, tail.len);
        out->failed |= tail.failed;
        buffer_free(&tail);
    }
    if (out->failed) {
        error_set(error, ERROR_NOMEM, "no memory to change the config");
        return -1;
    }
    return 0;
}

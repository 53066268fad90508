#include "abtest/cell.h"

#include "common/utf8.h"

/* Bytes of the character at `text`, and what to print for it. */
static size_t next_character(struct slice text, struct slice *shown)
{
    const size_t len = utf8_sequence_len(text.data, text.len);
    const uint32_t code = len ? utf8_decode(text.data, len) : 0;
    if (len == 0 || code < 0x20 || (code >= 0x7F && code < 0xA0)) {
        *shown = slice_of("?");
        return len ? len : 1;
    }
    *shown = (struct slice){text.data, len};
    return len;
}

void cell_append(struct buffer *buffer, struct slice text, int width)
{
    int n = 0;
    size_t last_start = buffer->len; /* of the last character that fits */
    while (text.len > 0) {
        struct slice shown;
        const size_t len = next_character(text, &shown);
        if (n == width) {
            if (!buffer->failed) {
                buffer->len = last_start;
            }
            buffer_append_text(buffer, "\xE2\x80\xA6");
            return;
        }
        last_start = buffer->len;
        buffer_append(buffer, shown.data, shown.len);
        text.data += len;
        text.len -= len;
        n++;
    }
    for (; n < width; n++) {
        buffer_append_char(buffer, ' ');
    }
}

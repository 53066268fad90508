#include "common/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

char *buffer_reserve(struct buffer *buffer, size_t extra)
{
    if (buffer->capacity - buffer->len >= extra && buffer->data) {
        return buffer->data + buffer->len;
    }
    if (extra > SIZE_MAX / 4 || buffer->len > SIZE_MAX / 4) {
        buffer->failed = true;
        return NULL;
    }
    if (buffer->spill && buffer->len >= BUFFER_SPILL) {
        if (buffer->spill(buffer) != 0) {
            buffer->failed = true;
            return NULL;
        }
        return buffer_reserve(buffer, extra);
    }
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    while (capacity - buffer->len < extra) {
        capacity *= 2;
    }
    char *data = realloc(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return NULL;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return data + buffer->len;
}

void buffer_append(struct buffer *buffer, const void *data, size_t len)
{
    if (len == 0) {
        return;
    }
    char *to = buffer_reserve(buffer, len);
    if (to) {
        memcpy(to, data, len);
        buffer->len += len;
    }
}

void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_append_char(struct buffer *buffer, char c)
{
    buffer_append(buffer, &c, 1);
}

void buffer_append_int(struct buffer *buffer, int64_t value)
{
    char digits[24];
    char *at = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (value < 0) {
        *--at = '-';
    }
    buffer_append(buffer, at, (size_t)(digits + sizeof digits - at));
}

void buffer_vprintf(struct buffer *buffer, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, format, args);
    if (len < 0) {
        buffer->failed = true;
    } else {
        char *to = buffer_reserve(buffer, (size_t)len + 1);
        if (to) {
            vsnprintf(to, (size_t)len + 1, format, again);
            buffer->len += (size_t)len;
        }
    }
    va_end(again);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buffer_vprintf(buffer, format, args);
    va_end(args);
}

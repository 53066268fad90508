#include "common/utf8.h"

static bool is_continuation(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

size_t utf8_sequence_len(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    if (len == 0) {
        return 0;
    }
    if (s[0] < 0x80) {
        return 1;
    }
    if (s[0] >= 0xC2 && s[0] <= 0xDF) {
        return len >= 2 && is_continuation(s[1]) ? 2 : 0;
    }
    if ((s[0] & 0xF0) == 0xE0) {
        if (len < 3 || !is_continuation(s[1]) || !is_continuation(s[2])) {
            return 0;
        }
        const bool is_overlong = s[0] == 0xE0 && s[1] < 0xA0;
        const bool is_surrogate = s[0] == 0xED && s[1] >= 0xA0;
        return is_overlong || is_surrogate ? 0 : 3;
    }
    if (s[0] >= 0xF0 && s[0] <= 0xF4) {
        if (len < 4 || !is_continuation(s[1]) || !is_continuation(s[2]) ||
            !is_continuation(s[3])) {
            return 0;
        }
        const bool is_overlong = s[0] == 0xF0 && s[1] < 0x90;
        const bool is_too_high = s[0] == 0xF4 && s[1] >= 0x90;
        return is_overlong || is_too_high ? 0 : 4;
    }
    return 0;
}

uint32_t utf8_decode(const char *text, size_t sequence_len)
{
    static const unsigned char first_mask[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    const unsigned char *s = (const unsigned char *)text;
    uint32_t code_point = s[0] & first_mask[sequence_len];
    for (size_t i = 1; i < sequence_len; i++) {
        code_point = code_point << 6 | (s[i] & 0x3FU);
    }
    return code_point;
}

bool utf8_is_valid(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        const size_t sequence = utf8_sequence_len(text + i, len - i);
        if (sequence == 0) {
            return false;
        }
        i += sequence;
    }
    return true;
}

/* html_text.h - text that is safe inside HTML, whatever a name holds. */
#ifndef REPORT_HTML_TEXT_H
#define REPORT_HTML_TEXT_H

#include "common/buffer.h"

/* Appends `text` with & < > " ' escaped: for contents and for quoted attributes. Bytes
 * that are not valid UTF-8 become U+FFFD, control characters (but newline and tab) are
 * left out. */
void html_text(struct buffer *out, struct slice text);

/* Formats, then escapes all of it. */
void html_printf(struct buffer *out, const char *format, ...) PRINTF_LIKE(2, 3);

#endif

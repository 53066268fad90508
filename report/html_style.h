/* html_style.h - the style sheet of the HTML report. */
#ifndef REPORT_HTML_STYLE_H
#define REPORT_HTML_STYLE_H

#include "common/buffer.h"

void html_style(struct buffer *out);

#endif

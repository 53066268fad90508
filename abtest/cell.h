/* cell.h - text of any origin in a column of a terminal table. */
#ifndef ABTEST_CELL_H
#define ABTEST_CELL_H

#include "common/buffer.h"

/* Appends `text` cut or padded with blanks to `width` > 0 code points; a cut ends in an
 * ellipsis. Control characters and bytes that are not UTF-8 become '?', so that a title
 * can neither move the cursor nor colour the screen. Wide (CJK) and combining
 * characters count as one column each, so a line that holds them may not align. */
void cell_append(struct buffer *buffer, struct slice text, int width);

#endif

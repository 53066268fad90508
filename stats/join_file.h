/* join_file.h - what the writer and the reader of a join's state agree on; the bytes
 * are in docs/formats.md. Private to the join's own files.
 */
#ifndef STATS_JOIN_FILE_H
#define STATS_JOIN_FILE_H

#include <string.h>

#include "common/slice.h"

#define JOIN_FILE_MAGIC     "abtstate"
#define JOIN_FILE_MAGIC_LEN 8
#define JOIN_FILE_VERSION   5
#define JOIN_FILE_NUMBERS   10 /* of the evidence */
#define JOIN_FILE_ZST       ".zst"

/* What a segment is called whether or not it is compressed: without directory and .zst.
 */
static inline struct slice join_segment_name(const char *file)
{
    const char *slash = strrchr(file, '/');
    const struct slice name = slice_of(slash ? slash + 1 : file);
    const size_t len = sizeof JOIN_FILE_ZST - 1;
    const bool is_zst =
        name.len > len && memcmp(name.data + name.len - len, JOIN_FILE_ZST, len) == 0;
    return (struct slice){name.data, name.len - (is_zst ? len : 0)};
}

#endif

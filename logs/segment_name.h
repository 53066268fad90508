/* segment_name.h - the files of a log directory: their names, and which are there.
 *
 * A segment is NODE-YYYYMMDDTHHMMSS-SEQ.jsonl while it is written and after, and the
 * same with .zst once it is compressed. For internal use by logs/.
 */
#ifndef LOGS_SEGMENT_NAME_H
#define LOGS_SEGMENT_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define SEGMENT_NODE_LEN   8 /* hexadecimal digits */
#define SEGMENT_NAME_SIZE  64
#define SEGMENT_SUFFIX     ".jsonl"
#define SEGMENT_ZST_SUFFIX ".jsonl.zst"

/* Writes the name of segment `sequence`, made at ts_us. */
void segment_name(char name[SEGMENT_NAME_SIZE], const char *node, int64_t ts_us,
                  uint64_t sequence);

/* The SEQ of a name that segment_name made (of whatever node, plain or compressed), or
 * -1. */
int64_t segment_name_sequence(const char *name);

struct segment_entry {
    char *path;    /* of the plain file, whether or not it is there */
    bool is_plain; /* the plain file was seen */
    bool is_zst;   /* the compressed file was seen: path + ".zst" */
};

struct segment_list {
    struct segment_entry *items; /* in byte order of path */
    size_t n;
    size_t capacity;
};

/* Lists every *.jsonl and *.jsonl.zst of a directory, each segment once. Two passes, so
 * that a segment which is being compressed meanwhile is not missed. */
MUST_CHECK int segment_list_read(const char *directory, struct segment_list *list,
                                 struct error *error);
void segment_list_free(struct segment_list *list);

#endif

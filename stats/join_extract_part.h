/* join_extract_part.h - what the writer and the reader of an extract agree on. Private
 * to join_extract.c and join_extract_read.c.
 */
#ifndef STATS_JOIN_EXTRACT_PART_H
#define STATS_JOIN_EXTRACT_PART_H

#include "stats/join_extract.h"

#define EXTRACT_BLOCK      ((size_t)256 << 10)
#define EXTRACT_USER_MAX   4096
#define EXTRACT_RECORD_MAX ((size_t)EXTRACT_USER_MAX + 256)
#define EXTRACT_NAMES_MAX  4096

enum extract_flags {
    EXTRACT_EXPOSURE = 1,
    EXTRACT_USER_AS_BEFORE = 2,
    EXTRACT_USER_ID = 4,
    EXTRACT_KIND_AS_BEFORE = 8,
    EXTRACT_EXTRA = 16,
    EXTRACT_MORE = 32,
};

/* Of the record before, in the same block. */
struct extract_last {
    int32_t user;
    int64_t ts_us;
    int32_t name;
    int n; /* experiments */
    int32_t experiment[JOIN_SHAPE_ARMS];
};

struct extract_block {
    int64_t offset; /* in the file */
    uint32_t len, crc;
};

struct join_extract_part {
    struct join_extract *extract;
    struct id_map *names; /* of feedback's events */
    char *bytes;          /* the last block, never in the file */
    size_t len;
    struct extract_last last;
    struct extract_block *blocks;
    size_t n_blocks, blocks_capacity;
    uint64_t fingerprint;
    int32_t *user_of;   /* index in the join; NULL: the same */
    int *experiment_of; /* likewise */
    int32_t *targets;   /* (n names) index into join.targets or ID_NONE */
};

struct join_extract {
    struct join_extract_part *parts;
    int n_parts;
    atomic_bool is_lost;
    pthread_mutex_t lock; /* of the three below */
    int fd;               /* -1: no file yet */
    int64_t len, room;    /* bytes of the file, and how many it may have */
};

#endif

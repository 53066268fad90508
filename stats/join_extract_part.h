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
#define EXTRACT_GROUP_MAX  16 /* records */

enum extract_flags {
    EXTRACT_EXPOSURE = 1,
    EXTRACT_USER_AS_BEFORE = 2,
    EXTRACT_USER_ID = 4,
    EXTRACT_KIND_AS_BEFORE = 8,
    EXTRACT_EXTRA = 16,
    EXTRACT_MORE = 32,
    EXTRACT_ID = 64,
    EXTRACT_GROUP = 128,
};

/* How the id of a record is given that is not the one after the one before. */
enum extract_id { EXTRACT_ID_NUMBER, EXTRACT_ID_PREFIX, EXTRACT_ID_HASH };

/* Of the record before, in the same block. */
struct extract_last {
    struct id_key id; /* of those that are numbers */
    int32_t segment, n_group;
    int64_t group_start, group_end; /* in the segment */
    int32_t user;
    int64_t ts_us;
    int32_t name;
    int n; /* experiments */
    int32_t experiment[JOIN_SHAPE_ARMS];
};

struct extract_block {
    int64_t offset; /* in the file */
    uint32_t len, crc;
    int64_t group_len; /* of the last group */
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
    /* Keys of ids that came more than once, open addressing: empty slots are not used.
     */
    struct id_key *copies;
    bool *is_copy;
    size_t n_slots; /* a power of two; 0: every id came once */
};

/* A stretch of the log where there is such an id. */
struct extract_window {
    int32_t segment;
    int64_t start, end;
};
struct extract_windows {
    struct extract_window *items;
    size_t n, capacity;
};

/* join_extract_copies.c */
MUST_CHECK int extract_find_copies(struct join_extract *extract,
                                   const struct id_seen *seen);
bool extract_is_copy(const struct join_extract *extract, struct id_key id);
/* Windows are added in order of start, for most. -1 when memory ran out. */
MUST_CHECK int extract_add_window(struct extract_windows *windows, int32_t segment,
                                  int64_t start, int64_t end);
/* Reads what is in them: copies, and what the extract took for one. */
MUST_CHECK int extract_read_copies(const struct join_extract *extract,
                                   struct extract_windows *windows,
                                   struct join_worker *workers, struct error *error);

#endif

/* evidence.h - what was read: how much, how whole, and a fingerprint of it. */
#ifndef STATS_EVIDENCE_H
#define STATS_EVIDENCE_H

#include <stdint.h>

#define EVIDENCE_MAX_DAMAGE 20 /* places listed; the rest is only counted */

struct evidence_damage {
    const char *file; /* name without its directory */
    int64_t offset;   /* bytes from the start of the uncompressed segment */
    int64_t size;     /* bytes skipped */
    const char *reason;
};

struct evidence {
    int64_t n_segments;
    int64_t n_bytes;  /* uncompressed */
    int64_t n_events; /* lines that could be read, duplicates among them */
    int64_t n_torn_tails;
    int64_t n_damaged;
    struct evidence_damage damage[EVIDENCE_MAX_DAMAGE];
    int n_damage_listed;
    int64_t n_exposures;  /* distinct by id */
    int64_t n_feedback;   /* distinct by id */
    int64_t n_duplicates; /* events whose id had been read before */
    int64_t
        n_conflicts; /* ids that came with different contents: the earliest counts */
    int64_t n_unexposed;  /* feedback of users who were never exposed to anything */
    int64_t n_skewed;     /* feedback to a request, yet dated before its user's first
                             exposure of all, assigned or not: clocks disagree */
    int64_t n_bad_values; /* values beyond +-2^62: not counted */
    int64_t first_ts_us, last_ts_us; /* of exposures and feedback */
    /* Sum over distinct events of a hash of each: the same events give the same number
     * in whatever order, files or copies they come. */
    uint64_t fingerprint;
};

#endif

/* rated_load.c - the file beside the ratings: is it the right one, or made anew. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/crc32c.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/pages.h"
#include "trainer/rated_format.h"

#define READ_SIZE ((size_t)1 << 18)

/* A file that was changed twice within this time may show one and the same time. */
#define SETTLED_NS (2 * INT64_C(1000000000))

struct rated_options rated_options_default(void)
{
    return (struct rated_options){.least_bytes = (size_t)4 << 20};
}

/* ---- the ratings file ---- */

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Size and stamp, whatever its age; false where it is no regular file. */
static bool look_at(const char *path, struct rated_source *source)
{
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) {
        return false;
    }
    *source = (struct rated_source){.len = (uint64_t)status.st_size,
                                    .stamp = {.device = (uint64_t)status.st_dev,
                                              .inode = (uint64_t)status.st_ino,
                                              .written_ns = ns_of(status.st_mtim),
                                              .changed_ns = ns_of(status.st_ctim)}};
    return true;
}

static bool is_same_stamp(const struct rated_stamp *a, const struct rated_stamp *b)
{
    return a->device == b->device && a->inode == b->inode &&
           a->written_ns == b->written_ns && a->changed_ns == b->changed_ns;
}

/* Whether a change from now on would show in the stamp. */
static bool is_settled(const struct rated_stamp *stamp)
{
    const int64_t last =
        stamp->written_ns > stamp->changed_ns ? stamp->written_ns : stamp->changed_ns;
    return last < clock_wall_us() * 1000 - SETTLED_NS;
}

/* The hash of a file's bytes; false when it cannot be read. */
static bool hash_file(const char *path, uint64_t *hash)
{
    struct hash_parts *parts = hash_parts_new();
    char *bytes = malloc(READ_SIZE);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = -1;
    while (parts && bytes && fd >= 0) {
        got = read(fd, bytes, READ_SIZE);
        if (got > 0) {
            hash_parts_add(parts, bytes, (size_t)got);
        } else if (got == 0 || errno != EINTR) {
            break;
        }
    }
    if (got == 0) {
        *hash = hash_parts_value(parts);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(bytes);
    hash_parts_free(parts);
    return got == 0;
}

/* ---- the file beside it ---- */

struct place {
    const char *path; /* of the ratings */
    char *side;
    struct rated_source source; /* as it was looked at first; hash not set */
    bool is_foreign;            /* something else is there: not ours to replace */
    struct error *note;
};

static struct rated *take_bytes(void *bytes, size_t len, bool is_mapped,
                                const char **wrong)
{
    struct rated *rated = calloc(1, sizeof *rated);
    *wrong = rated ? rated_decode(bytes, len, rated) : "no memory";
    if (*wrong) {
        free(rated);
        return NULL;
    }
    rated->bytes = bytes;
    rated->len = len;
    rated->is_mapped = is_mapped;
    return rated;
}

/* Puts the stamp into the header, so that the next load need not read the ratings. A
 * write that was torn fails the header's checksum. */
static void restamp(const struct place *place, const char *file)
{
    struct rated_header h;
    struct rated_source now;
    if (!look_at(place->path, &now) || now.len != place->source.len ||
        !is_same_stamp(&now.stamp, &place->source.stamp) || !is_settled(&now.stamp)) {
        return;
    }
    memcpy(&h, file, sizeof h);
    h.source.stamp = now.stamp;
    h.crc = crc32c(0, &h, offsetof(struct rated_header, crc));
    const int fd = open(place->side, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!pwrite(fd, &h, sizeof h, 0); /* failing costs time, nothing else */
        close(fd);
    }
}

/* Whether a file with a good header was made of the ratings as they are. */
static bool is_of(const struct place *place, const char *file)
{
    struct rated_header h;
    uint64_t hash = 0;
    memcpy(&h, file, sizeof h);
    if (h.source.len != place->source.len) {
        return false;
    }
    if (is_same_stamp(&h.source.stamp, &place->source.stamp)) {
        return true;
    }
    if (!hash_file(place->path, &hash) || hash != h.source.hash) {
        return false;
    }
    restamp(place, file);
    return true;
}

static struct rated *take_map(struct place *place, void *map, size_t len)
{
    const char *wrong = rated_check_header(map, len);
    struct rated *rated = NULL;
    const size_t n = len < sizeof RATED_MAGIC - 1 ? len : sizeof RATED_MAGIC - 1;
    place->is_foreign = memcmp(map, RATED_MAGIC, n) != 0;
    if (!wrong && is_of(place, map)) {
        rated = take_bytes(map, len, true, &wrong);
    }
    if (wrong) {
        error_set(place->note, ERROR_DAMAGED, "%s: %s; %s", place->side, wrong,
                  place->is_foreign ? "remove it or name the ratings otherwise"
                                    : "it is made again");
    }
    return rated;
}

/* The file beside the ratings, if it is there, whole and of them. */
static struct rated *take_side(struct place *place)
{
    struct stat status;
    struct rated *rated = NULL;
    const int fd = open(place->side, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        place->is_foreign = true;
    } else if (status.st_size > 0) {
        const size_t len = (size_t)status.st_size;
        void *map = pages_map(fd, len);
        rated = map ? take_map(place, map, len) : NULL;
        if (map && !rated) {
            munmap(map, len);
        }
    }
    close(fd);
    return rated;
}

/* Leaves the bytes beside the ratings and maps them; NULL when that cannot be done. */
static struct rated *put_side(struct place *place, const char *bytes, size_t len)
{
    struct error why;
    const char *wrong = NULL;
    if (file_replace(place->side, (struct slice){bytes, len}, &why) != 0) {
        error_set(place->note, why.code,
                  "%s; every start reads %s again and holds it in memory", why.message,
                  place->path);
        return NULL;
    }
    const int fd = open(place->side, O_RDONLY | O_CLOEXEC);
    struct stat status;
    void *map = fd >= 0 && fstat(fd, &status) == 0 && (size_t)status.st_size == len
                    ? pages_map(fd, len)
                    : NULL;
    struct rated *rated = NULL;
    if (map && memcmp(map, bytes, len) == 0) { /* nobody came between */
        rated = take_bytes(map, len, true, &wrong);
    }
    if (map && !rated) {
        munmap(map, len);
    }
    if (fd >= 0) {
        close(fd);
    }
    return rated;
}

/* ---- from the ratings ---- */

/* Reads the ratings; *is_sure: nobody changed them meanwhile, and *source is theirs. */
static int read_ratings(const struct place *place, bool wants_source,
                        struct ratings **ratings, struct rated_source *source,
                        bool *is_sure, struct error *error)
{
    struct rated_source before = place->source;
    const bool is_hashed = wants_source && hash_file(place->path, &before.hash);
    if (ratings_load(place->path, ratings, error) != 0) {
        return -1;
    }
    *is_sure = is_hashed && look_at(place->path, source) && source->len == before.len &&
               is_same_stamp(&source->stamp, &before.stamp);
    source->hash = before.hash;
    if (*is_sure && !is_settled(&source->stamp)) {
        source->stamp = (struct rated_stamp){0};
    }
    return 0;
}

static int make(struct place *place, bool wants_side, struct rated **rated,
                struct error *error)
{
    struct ratings *ratings = NULL;
    struct rated_source source = {0};
    char *bytes = NULL;
    size_t len = 0;
    bool is_sure = false;
    const char *wrong = NULL;
    if (read_ratings(place, wants_side, &ratings, &source, &is_sure, error) != 0) {
        return -1;
    }
    ratings_drop_items(ratings);
    const int encoded = rated_encode(ratings, &source, &bytes, &len, error);
    ratings_free(ratings);
    if (encoded != 0) {
        error_prefix(error, "%s", place->path);
        return -1;
    }
    *rated = wants_side && is_sure ? put_side(place, bytes, len) : NULL;
    if (*rated) {
        free(bytes);
        return 0;
    }
    *rated = take_bytes(bytes, len, false, &wrong);
    if (!*rated) {
        free(bytes);
        error_set(error, ERROR_NOMEM, "%s: %s", place->path, wrong);
        return -1;
    }
    return 0;
}

int rated_load(const char *path, const struct rated_options *options,
               struct rated **result, struct error *note, struct error *error)
{
    const struct rated_options defaults = rated_options_default();
    const size_t size = strlen(path) + sizeof RATED_SUFFIX;
    struct place place = {.path = path, .note = note};
    struct rated *rated = NULL;
    options = options ? options : &defaults;
    *note = (struct error){0};
    place.side = malloc(size);
    if (!place.side) {
        error_set(error, ERROR_NOMEM, "%s: no memory for a name", path);
        return -1;
    }
    memcpy(place.side, path, size - sizeof RATED_SUFFIX);
    memcpy(place.side + size - sizeof RATED_SUFFIX, RATED_SUFFIX, sizeof RATED_SUFFIX);
    const bool wants_side =
        look_at(path, &place.source) && place.source.len >= options->least_bytes;
    rated = wants_side ? take_side(&place) : NULL;
    const int rc =
        rated ? 0 : make(&place, wants_side && !place.is_foreign, &rated, error);
    free(place.side);
    if (rc == 0) {
        *result = rated;
    }
    return rc;
}

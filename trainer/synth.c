#include "trainer/synth.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/rng.h"

#define N_GENRES        18
#define MAX_GENRES      3
#define POPULARITY_TAIL 1.3
#define ACTIVITY_TAIL   1.68
#define MIN_ACTIVITY    20
#define FIRST_SECOND    946684800 /* 2000-01-01 */
#define FLUSH_BYTES     ((size_t)1 << 20)

/* Streams of the seed. Users and items have one each, so that their draws do not depend
 * on how many there are before them. */
enum {
    STREAM_GENRES,
    STREAM_SHAPE,
    STREAM_USERS = 1 << 8,
};
#define STREAM_ITEMS ((uint64_t)1 << 40)

static const char *const genre_names[N_GENRES] = {
    "Action",      "Adventure", "Animation", "Children",  "Comedy", "Crime",
    "Documentary", "Drama",     "Fantasy",   "Film-Noir", "Horror", "Musical",
    "Mystery",     "Romance",   "Sci-Fi",    "Thriller",  "War",    "Western"};

static const char *const adjectives[] = {
    "Silent",  "Crimson", "Last",    "Hidden",   "Broken", "Electric",
    "Golden",  "Winter",  "Lonely",  "Perfect",  "Savage", "Velvet",
    "Distant", "Burning", "Paper",   "Midnight", "Second", "Wild",
    "Quiet",   "Iron",    "Strange", "Endless",  "Blue",   "Secret"};

static const char *const nouns[] = {
    "River",   "Garden", "Machine", "Summer",   "Stranger", "Empire",
    "Letter",  "Harbor", "Dance",   "Promise",  "Island",   "Detective",
    "Horizon", "Family", "Train",   "Mirror",   "Storm",    "Orchard",
    "Heist",   "Voyage", "Kingdom", "Neighbor", "Song",     "Shadow"};

struct synth {
    struct synth_config config;
    int32_t n_users, n_items;
    int k;
    double *genres;     /* (N_GENRES, k) */
    float *items;       /* (n_items, k): q_i */
    float *quality;     /* (n_items) */
    int32_t *by_rank;   /* (n_items): item of popularity rank r */
    int32_t *activity;  /* (n_users): ratings of each user */
    int64_t *first;     /* (n_users + 1): user u must rate must_rate[first[u]..] */
    int32_t *must_rate; /* (n_items or none) */
    bool *chosen;       /* (n_items): by the user at hand */
    int32_t *list;      /* (n_items): the user's items */
    double *person;     /* (k): p_u */
};

struct synth_config synth_config_default(void)
{
    return (struct synth_config){.n_users = 610,
                                 .n_items = 9742,
                                 .n_ratings = 100836,
                                 .n_factors = 8,
                                 .noise = 0.85,
                                 .seed = 1};
}

int synth_config_check(const struct synth_config *c, struct error *error)
{
    if (c->n_users < 1 || c->n_users > INT32_MAX || c->n_items < 1 ||
        c->n_items > INT32_MAX) {
        error_set(error, ERROR_INVALID,
                  "%lld users and %lld items: both must be in [1, %d]",
                  (long long)c->n_users, (long long)c->n_items, INT32_MAX);
        return -1;
    }
    if (c->n_ratings < c->n_users || c->n_ratings > c->n_users * c->n_items / 2) {
        error_set(error, ERROR_INVALID,
                  "%lld ratings: %lld users and %lld items take between %lld (one a "
                  "user) and %lld (half of all pairs)",
                  (long long)c->n_ratings, (long long)c->n_users, (long long)c->n_items,
                  (long long)c->n_users, (long long)(c->n_users * c->n_items / 2));
        return -1;
    }
    if (c->n_factors < 1 || c->n_factors > 256 || !(c->noise >= 0 && c->noise <= 10)) {
        error_set(error, ERROR_INVALID,
                  "%lld factors with noise %g: factors must be in [1, 256], noise in "
                  "[0, 10]",
                  (long long)c->n_factors, c->noise);
        return -1;
    }
    return 0;
}

/* ---- a file that appears when it is whole ---- */

struct output {
    FILE *file;
    const char *path;
    char *part; /* PATH.part */
    struct buffer bytes;
};

static int output_open(struct output *out, const char *path, struct error *error)
{
    const size_t len = strlen(path);
    *out = (struct output){.path = path, .part = malloc(len + sizeof ".part")};
    if (!out->part) {
        error_set(error, ERROR_NOMEM, "%s: no memory for a temporary name", path);
        return -1;
    }
    memcpy(out->part, path, len);
    memcpy(out->part + len, ".part", sizeof ".part");
    out->file = fopen(out->part, "wb");
    if (!out->file) {
        error_set(error, ERROR_IO, "%s: cannot create: %s", out->part, strerror(errno));
        free(out->part);
        out->part = NULL;
        return -1;
    }
    return 0;
}

/* Writes what is buffered when that is at least `threshold` bytes. */
static int output_flush(struct output *out, size_t threshold, struct error *error)
{
    if (out->bytes.failed) {
        error_set(error, ERROR_NOMEM, "%s: no memory to write it", out->path);
        return -1;
    }
    if (out->bytes.len < threshold) {
        return 0;
    }
    if (fwrite(out->bytes.data, 1, out->bytes.len, out->file) != out->bytes.len) {
        error_set(error, ERROR_IO, "%s: cannot write: %s", out->part, strerror(errno));
        return -1;
    }
    buffer_clear(&out->bytes);
    return 0;
}

/* Publishes the file when rc is 0, removes it otherwise. */
static int output_close(struct output *out, int rc, struct error *error)
{
    if (out->file) {
        if (rc == 0 && out->bytes.len) {
            rc = output_flush(out, 0, error);
        }
        const int closed = fclose(out->file);
        if (rc == 0 && (closed != 0 || rename(out->part, out->path) != 0)) {
            error_set(error, ERROR_IO, "%s: cannot write: %s", out->path,
                      strerror(errno));
            rc = -1;
        }
        if (rc != 0) {
            remove(out->part);
        }
    }
    free(out->part);
    buffer_free(&out->bytes);
    return rc;
}

/* ---- shape ---- */

static void shuffle(int32_t *values, int32_t n, struct rng *rng)
{
    for (int32_t i = n - 1; i > 0; i--) {
        const int32_t j = (int32_t)rng_below(rng, (uint64_t)i + 1);
        const int32_t kept = values[i];
        values[i] = values[j];
        values[j] = kept;
    }
}

/* Ratings above the floor of the user at quantile rank r, for a scale of 1. */
static double activity_weight(int32_t rank, int32_t n_users)
{
    return pow(((double)rank + 0.5) / n_users, -1 / ACTIVITY_TAIL) - 1;
}

static int64_t above_floor(double scale, int32_t rank, int32_t n_users, int64_t room)
{
    const double wanted = scale * activity_weight(rank, n_users);
    return wanted >= (double)room ? room : (int64_t)wanted;
}

static void plan_activity(struct synth *s, struct rng *rng)
{
    const int64_t mean = s->config.n_ratings / s->n_users;
    const int64_t floor = mean < MIN_ACTIVITY ? mean : MIN_ACTIVITY;
    int64_t cap = s->n_items / 3;
    if (cap < mean + mean / 2 + 1) {
        cap = mean + mean / 2 + 1;
    }
    if (cap > s->n_items) {
        cap = s->n_items;
    }
    const int64_t extra = s->config.n_ratings - floor * s->n_users;
    double low = 0, high = (double)extra + 1;
    for (int step = 0; step < 80; step++) {
        const double scale = (low + high) / 2;
        int64_t total = 0;
        for (int32_t r = 0; r < s->n_users; r++) {
            total += above_floor(scale, r, s->n_users, cap - floor);
        }
        *(total <= extra ? &low : &high) = scale;
    }
    int64_t left = extra;
    for (int32_t r = 0; r < s->n_users; r++) {
        const int64_t above = above_floor(low, r, s->n_users, cap - floor);
        s->activity[r] = (int32_t)(floor + above);
        left -= above;
    }
    while (left > 0) {
        for (int32_t r = 0; r < s->n_users && left > 0; r++) {
            if (s->activity[r] < cap) {
                s->activity[r]++;
                left--;
            }
        }
    }
    shuffle(s->activity, s->n_users, rng);
}

static int32_t owner_of(const int64_t *start, int32_t n, int64_t slot)
{
    int32_t low = 0, high = n;
    while (high - low > 1) {
        const int32_t middle = low + (high - low) / 2;
        *(start[middle] <= slot ? &low : &high) = middle;
    }
    return low;
}

/* Gives every item one user who must rate it, users in proportion to their activity. */
static int plan_coverage(struct synth *s, struct rng *rng)
{
    int rc = -1;
    int64_t *slots = malloc(((size_t)s->n_users + 1) * sizeof *slots);
    int32_t *owner = malloc((size_t)s->n_items * sizeof *owner);
    int32_t *taken = calloc((size_t)s->n_users, sizeof *taken);
    if (!slots || !owner || !taken) {
        goto out;
    }
    slots[0] = 0;
    for (int32_t u = 0; u < s->n_users; u++) {
        slots[u + 1] = slots[u] + s->activity[u];
    }
    for (int32_t i = 0; i < s->n_items; i++) {
        do {
            owner[i] = owner_of(slots, s->n_users,
                                (int64_t)rng_below(rng, (uint64_t)s->config.n_ratings));
        } while (taken[owner[i]] >= s->activity[owner[i]]);
        taken[owner[i]]++;
    }
    for (int32_t u = 0; u < s->n_users; u++) {
        s->first[u + 1] = s->first[u] + taken[u];
        taken[u] = 0;
    }
    for (int32_t i = 0; i < s->n_items; i++) {
        s->must_rate[s->first[owner[i]] + taken[owner[i]]++] = i;
    }
    rc = 0;
out:
    free(taken);
    free(owner);
    free(slots);
    return rc;
}

/* ---- items ---- */

static void append_title(struct buffer *out, int32_t item, struct rng *rng)
{
    const char *adjective =
        adjectives[rng_below(rng, sizeof adjectives / sizeof adjectives[0])];
    const char *noun = nouns[rng_below(rng, sizeof nouns / sizeof nouns[0])];
    const double form = rng_uniform(rng);
    const int year = 2018 - (int)(60 * pow(rng_uniform(rng), 2));
    buffer_append_int(out, item + 1);
    if (form < 0.3) {
        buffer_printf(out, ",\"%s %s, The (%d)\",", adjective, noun, year);
    } else if (form < 0.32) {
        buffer_printf(out, ",\"\"\"%s\"\" %s (%d)\",", adjective, noun, year);
    } else {
        buffer_printf(out, ",%s %s (%d),", adjective, noun, year);
    }
}

static int compare_ints(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void make_item(struct synth *s, int32_t item, int32_t rank, struct buffer *out)
{
    struct rng rng;
    int genres[MAX_GENRES];
    int n = 0;
    rng_init(&rng, s->config.seed, STREAM_ITEMS + (uint64_t)item);
    const int wanted = 1 + (int)rng_below(&rng, MAX_GENRES);
    while (n < wanted) {
        const int g = (int)rng_below(&rng, N_GENRES);
        bool is_new = true;
        for (int j = 0; j < n; j++) {
            is_new = is_new && genres[j] != g;
        }
        if (is_new) {
            genres[n++] = g;
        }
    }
    qsort(genres, (size_t)n, sizeof genres[0], compare_ints);
    for (int f = 0; f < s->k; f++) {
        double sum = 0;
        for (int j = 0; j < n; j++) {
            sum += s->genres[genres[j] * s->k + f];
        }
        s->items[(size_t)item * (size_t)s->k + (size_t)f] =
            (float)(0.7 * sum / sqrt(n) + 0.7 * rng_normal(&rng));
    }
    /* What is popular is a little better liked. */
    s->quality[item] = (float)(0.9 * rng_normal(&rng) + 0.6 - 1.2 * rank / s->n_items);
    append_title(out, item, &rng);
    for (int j = 0; j < n; j++) {
        buffer_printf(out, "%s%s", j ? "|" : "", genre_names[genres[j]]);
    }
    buffer_append_char(out, '\n');
}

static int write_items(struct synth *s, const char *path, struct error *error)
{
    struct output out;
    int rc = -1;
    if (output_open(&out, path, error) != 0) {
        return -1;
    }
    int32_t *rank_of = malloc((size_t)s->n_items * sizeof *rank_of);
    if (!rank_of) {
        error_set(error, ERROR_NOMEM, "synth: no memory for %d items", s->n_items);
        goto out;
    }
    for (int32_t r = 0; r < s->n_items; r++) {
        rank_of[s->by_rank[r]] = r;
    }
    buffer_append_text(&out.bytes, "movieId,title,genres\n");
    for (int32_t i = 0; i < s->n_items; i++) {
        make_item(s, i, rank_of[i], &out.bytes);
        if (output_flush(&out, FLUSH_BYTES, error) != 0) {
            goto out;
        }
    }
    rc = 0;
out:
    free(rank_of);
    return output_close(&out, rc, error);
}

/* ---- ratings ---- */

/* An item by the popularity law: the inverse of the integral of (x + q)^-tail. */
static int32_t draw_item(const struct synth *s, struct rng *rng)
{
    const double q = s->n_items < 1000 ? s->n_items / 10.0 : 100;
    const double a = 1 - POPULARITY_TAIL;
    const double from = pow(q, a), to = pow(q + s->n_items, a);
    const double x = pow(from + rng_uniform(rng) * (to - from), 1 / a) - q;
    const int32_t rank = x < 0 ? 0 : (int32_t)x;
    return s->by_rank[rank < s->n_items ? rank : s->n_items - 1];
}

static double taste(const struct synth *s, int32_t item)
{
    const float *q = s->items + (size_t)item * (size_t)s->k;
    double t = 0;
    for (int f = 0; f < s->k; f++) {
        t += s->person[f] * (double)q[f];
    }
    return t;
}

static int32_t choose_items(struct synth *s, int32_t user, struct rng *rng)
{
    int32_t n = 0;
    for (int64_t at = s->first[user]; at < s->first[user + 1]; at++) {
        s->list[n++] = s->must_rate[at];
        s->chosen[s->must_rate[at]] = true;
    }
    while (n < s->activity[user]) {
        const int32_t i = draw_item(s, rng);
        if (s->chosen[i]) {
            continue;
        }
        const double liking = 1.5 * (taste(s, i) + (double)s->quality[i]) - 1;
        if (rng_uniform(rng) * (1 + exp(-liking)) < 1) {
            s->chosen[i] = true;
            s->list[n++] = i;
        }
    }
    for (int32_t j = 0; j < n; j++) {
        s->chosen[s->list[j]] = false;
    }
    return n;
}

static int compare_items(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void append_user(struct synth *s, int32_t user, struct buffer *out)
{
    struct rng rng;
    rng_init(&rng, s->config.seed, STREAM_USERS + (uint64_t)user);
    for (int f = 0; f < s->k; f++) {
        s->person[f] = rng_normal(&rng) / sqrt(s->k);
    }
    const double bias = 0.45 * rng_normal(&rng);
    const double step = rng_uniform(&rng) < 0.4 ? 2 : 1; /* half stars */
    int64_t second = FIRST_SECOND + (int64_t)rng_below(&rng, 18U * 365 * 86400);
    const int32_t n = choose_items(s, user, &rng);
    qsort(s->list, (size_t)n, sizeof *s->list, compare_items);
    for (int32_t j = 0; j < n; j++) {
        const int32_t i = s->list[j];
        const double mean =
            3.15 + bias + 0.35 * (double)s->quality[i] + 0.45 * taste(s, i);
        const double value = mean + s->config.noise * rng_normal(&rng);
        double halves = step * rint(2 * value / step);
        halves = halves < step ? step : halves > 10 ? 10 : halves;
        second += (int64_t)rng_below(&rng, 120);
        buffer_append_int(out, user + 1);
        buffer_append_char(out, ',');
        buffer_append_int(out, i + 1);
        buffer_append_char(out, ',');
        buffer_append_int(out, (int64_t)halves / 2);
        buffer_append_text(out, (int64_t)halves % 2 ? ".5," : ".0,");
        buffer_append_int(out, second);
        buffer_append_char(out, '\n');
    }
}

static int write_ratings(struct synth *s, const char *path, struct error *error)
{
    struct output out;
    int rc = -1;
    if (output_open(&out, path, error) != 0) {
        return -1;
    }
    buffer_append_text(&out.bytes, "userId,movieId,rating,timestamp\n");
    for (int32_t u = 0; u < s->n_users; u++) {
        append_user(s, u, &out.bytes);
        if (output_flush(&out, FLUSH_BYTES, error) != 0) {
            goto out;
        }
    }
    rc = 0;
out:
    return output_close(&out, rc, error);
}

/* ---- all of it ---- */

static void synth_release(struct synth *s)
{
    free(s->genres);
    free(s->items);
    free(s->quality);
    free(s->by_rank);
    free(s->activity);
    free(s->first);
    free(s->must_rate);
    free(s->chosen);
    free(s->list);
    free(s->person);
}

static int synth_prepare(struct synth *s)
{
    const size_t n_users = (size_t)s->n_users, n_items = (size_t)s->n_items,
                 k = (size_t)s->k;
    struct rng rng;
    s->genres = malloc(N_GENRES * k * sizeof *s->genres);
    s->items = malloc(n_items * k * sizeof *s->items);
    s->quality = malloc(n_items * sizeof *s->quality);
    s->by_rank = malloc(n_items * sizeof *s->by_rank);
    s->activity = malloc(n_users * sizeof *s->activity);
    s->first = calloc(n_users + 1, sizeof *s->first);
    s->must_rate = malloc(n_items * sizeof *s->must_rate);
    s->chosen = calloc(n_items, sizeof *s->chosen);
    s->list = malloc(n_items * sizeof *s->list);
    s->person = malloc(k * sizeof *s->person);
    if (!s->genres || !s->items || !s->quality || !s->by_rank || !s->activity ||
        !s->first || !s->must_rate || !s->chosen || !s->list || !s->person) {
        return -1;
    }
    rng_init(&rng, s->config.seed, STREAM_GENRES);
    for (size_t j = 0; j < N_GENRES * k; j++) {
        s->genres[j] = rng_normal(&rng);
    }
    rng_init(&rng, s->config.seed, STREAM_SHAPE);
    for (int32_t i = 0; i < s->n_items; i++) {
        s->by_rank[i] = i;
    }
    shuffle(s->by_rank, s->n_items, &rng);
    plan_activity(s, &rng);
    return s->config.n_ratings >= 2 * s->config.n_items ? plan_coverage(s, &rng) : 0;
}

int synth_write(const struct synth_config *config, const char *ratings_path,
                const char *titles_path, struct error *error)
{
    struct synth s = {.config = *config};
    int rc = -1;
    if (synth_config_check(config, error) != 0) {
        return -1;
    }
    s.n_users = (int32_t)config->n_users;
    s.n_items = (int32_t)config->n_items;
    s.k = (int)config->n_factors;
    if (synth_prepare(&s) != 0) {
        error_set(error, ERROR_NOMEM, "synth: no memory for %d users and %d items",
                  s.n_users, s.n_items);
        goto out;
    }
    if (write_items(&s, titles_path, error) != 0 ||
        write_ratings(&s, ratings_path, error) != 0) {
        goto out;
    }
    rc = 0;
out:
    synth_release(&s);
    return rc;
}

/* Any bytes at all as a ratings file: read or refused, what is read is in order, and
 * the same whether lines of numbers are taken many at once or each by itself. */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "trainer/rating_reader.h"
#include "trainer/trainer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct ratings *r)
{
    assert(r->n_ratings > 0 && r->user_start[r->n_users] == r->n_ratings);
    assert(r->item_start[r->n_items] == r->n_ratings);
    for (int32_t u = 0; u < r->n_users; u++) {
        for (int64_t i = r->user_start[u]; i < r->user_start[u + 1]; i++) {
            assert(r->user_item[i] >= 0 && r->user_item[i] < r->n_items);
            assert(i == r->user_start[u] || r->user_item[i] > r->user_item[i - 1]);
        }
    }
}

/* Every line's rating is in `r`, or was replaced by that of a later line. */
static void check_lines(const char *path, bool skip_bad, const struct ratings *r)
{
    struct rating_reader *reader = NULL;
    struct rating_line line;
    struct error error = {0};
    int64_t n = 0, n_same = 0;
    int got = rating_reader_open(path, skip_bad, &reader, &error);
    assert(got == 0);
    while ((got = rating_reader_next(reader, &line, &error)) > 0) {
        const int32_t u = id_map_find(r->users, line.user);
        const int32_t i = id_map_find(r->items, line.item);
        assert(u != ID_NONE && i != ID_NONE);
        n_same += ratings_get(r, u, i) == line.rating;
        n++;
    }
    assert(got == 0 && n >= r->n_ratings && n_same >= r->n_ratings);
    rating_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static char path[] = "/tmp/abtest_fuzz_ratings_XXXXXX";
    static FILE *file;
    if (!file) {
        file = fdopen(mkstemp(path), "r+b");
        assert(file);
    }
    rewind(file);
    if (ftruncate(fileno(file), 0) != 0 || fwrite(data, 1, len, file) != len ||
        fflush(file) != 0) {
        abort();
    }
    struct ratings *r = NULL;
    struct error error = {0};
    struct ratings_options options = {.skip_bad = len % 2};
    if (ratings_load_with(path, &options, &r, &error) == 0) {
        check(r);
        check_lines(path, options.skip_bad, r);
        ratings_free(r);
    } else {
        assert(error.message[0] && !r);
    }
    return 0;
}

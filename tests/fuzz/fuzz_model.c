/* Any bytes at all as a model file, with the checksums put right so that the checks
 * behind them are reached: loaded or refused, and what is loaded can be used. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "trainer/format.h"
#include "trainer/trainer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A mutation seldom keeps sixteen checksums; without this nothing behind them is
 * tried. */
static void repair(char *file, size_t len)
{
    struct model_header h;
    memcpy(&h, file, sizeof h);
    for (int s = 0; s < N_SECTIONS; s++) {
        const uint64_t offset = h.section[s].offset, n = h.section[s].len;
        const uint64_t padded = n > len ? 0 : (n + 63) / 64 * 64;
        if (padded <= len && offset <= len - padded) {
            h.section[s].crc = crc32c(0, file + offset, padded);
        }
    }
    h.crc = crc32c(0, &h, offsetof(struct model_header, crc));
    memcpy(file, &h, sizeof h);
}

static void use(const struct model *m)
{
    for (int32_t u = 0; u < m->n_users; u++) {
        const struct slice id = model_user_id(m, u);
        volatile int32_t found = model_find_user(m, id);
        (void)found;
    }
    double sum = 0;
    size_t n_names = 0;
    for (int64_t j = 0; j < (int64_t)m->n_features * (m->n_factors + 1); j++) {
        sum += (double)m->feature_map[j];
    }
    for (size_t j = 0; j < m->feature_names.len; j++) {
        n_names += m->feature_names.data[j] == '\n';
    }
    assert(sum - sum == 0 && n_names == (size_t)m->n_features);
    assert(model_find_item(m, slice_of("an id that is not there")) < m->n_items);
    if (m->n_users && m->n_items) {
        volatile double score = model_score(m, m->n_users - 1, m->n_items - 1, 1);
        (void)score;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static char path[] = "/tmp/abtest_fuzz_model_XXXXXX";
    static FILE *file;
    if (!file) {
        file = fdopen(mkstemp(path), "r+b");
        assert(file);
    }
    char *copy = malloc(len + 1);
    assert(copy);
    memcpy(copy, data, len);
    if (len >= sizeof(struct model_header) && len % 2 == 0) {
        repair(copy, len);
    }
    rewind(file);
    if (ftruncate(fileno(file), 0) != 0 || fwrite(copy, 1, len, file) != len ||
        fflush(file) != 0) {
        abort();
    }
    struct model *m = NULL;
    struct error error = {0};
    if (model_load(path, &m, &error) == 0) {
        use(m);
        model_free(m);
    } else {
        assert(error.message[0] && !m);
    }
    free(copy);
    return 0;
}

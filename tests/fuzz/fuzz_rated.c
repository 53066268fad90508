/* Any bytes at all as a file of ratings by user, half of them with the checksums put
 * right so that the checks behind them are reached: refused, or everything it says can
 * be used. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"
#include "trainer/rated_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void repair(char *file, size_t len)
{
    struct rated_header h;
    memcpy(&h, file, sizeof h);
    memcpy(h.magic, RATED_MAGIC, sizeof h.magic);
    h.version = RATED_VERSION;
    h.file_len = len;
    h.body_crc = crc32c(0, file + sizeof h, len - sizeof h);
    h.crc = crc32c(0, &h, offsetof(struct rated_header, crc));
    memcpy(file, &h, sizeof h);
}

static void use(const struct rated *r)
{
    volatile float sum = 0;
    for (int32_t u = 0; u < r->n_users; u++) {
        const int32_t found = id_index_find(&r->users, id_index_at(&r->users, u));
        assert(found < r->n_users);
        for (int64_t i = r->start[u]; i < r->start[u + 1]; i++) {
            assert(r->item[i] >= 0 && r->item[i] < r->n_items);
            assert(i == r->start[u] || r->item[i - 1] < r->item[i]);
            sum += rated_rating(r, i);
        }
    }
    for (int32_t i = 0; i < r->n_items; i++) {
        const int32_t found = id_index_find(&r->items, id_index_at(&r->items, i));
        assert(found < r->n_items);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct rated rated;
    char *copy = malloc(len + 1);
    assert(copy);
    memcpy(copy, data, len);
    if (len >= sizeof(struct rated_header) && len % 2 == 0) {
        repair(copy, len);
    }
    if (!rated_check_header(copy, len) && !rated_decode(copy, len, &rated)) {
        use(&rated);
    }
    free(copy);
    return 0;
}

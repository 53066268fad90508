/* fuzz_checkpoint.c - hostile checkpoints: no crash, no leak, bounded memory; what can
 * be decoded is encoded to the same bytes again, and its parts are taken up or refused.
 *
 * The input is what stands behind magic and version; its checksum is made right, so
 * that the fields are reached without guessing it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "serve/checkpoint.h"
#include "serve/dedup.h"
#include "serve/newcomers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void take_up(const struct checkpoint *checkpoint)
{
    struct error error;
    struct dedup *dedup = dedup_new(16, 1, &error);
    struct newcomers *newcomers = newcomers_new(16, 1, &error);
    require(dedup && newcomers);
    if (dedup_restore(dedup, checkpoint->key, checkpoint->ids, checkpoint->n_old,
                      checkpoint->n_ids, &error) == 0) {
        struct dedup_copy copy;
        require(dedup_copy_make(dedup, &copy, &error) == 0);
        require(copy.n <= checkpoint->n_ids);
        require(dedup_copy_settle(dedup, &copy));
        dedup_copy_free(&copy);
    }
    if (newcomers_decode(newcomers, checkpoint->newcomers, &error) == 0) {
        struct buffer again = {0};
        newcomers_encode(newcomers, &again);
        require(newcomers_decode(newcomers, buffer_slice(&again), &error) == 0);
        buffer_free(&again);
    }
    newcomers_free(newcomers);
    dedup_free(dedup);
}

static void decode(struct slice file)
{
    struct checkpoint checkpoint;
    struct error error;
    if (checkpoint_decode(file, &checkpoint, &error) == 0) {
        struct buffer again = {0};
        checkpoint_encode(&checkpoint, &again);
        require(slice_equal(buffer_slice(&again), file));
        buffer_free(&again);
        take_up(&checkpoint);
    }
    checkpoint_free(&checkpoint);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer file = {0};
    decode((struct slice){(const char *)data, size});
    buffer_append(&file, "ABTCHECK", 8);
    bytes_put(&file, 2, 4);
    bytes_put(&file, 0, 4);
    buffer_append(&file, data, size);
    bytes_put(&file, crc32c(0, file.data, file.len), 4);
    decode(buffer_slice(&file));
    buffer_free(&file);
    return 0;
}

/* fuzz_state.c - hostile states of `analyze --state`: no crash, no leak, bounded
 * memory. What can be decoded is gone on with over an empty log.
 *
 * The input is what stands behind magic and version; its checksum is made right, so
 * that the fields are reached without guessing it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "stats/join_file.h"
#include "stats/join_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct slice file, bool wants_items)
{
    static const struct analysis_arm arms[] = {{"a", 0.5}, {"b", 0.5}};
    static const struct analysis_metric metrics[] = {
        {.name = "m", .kind = ANALYSIS_PROPORTION, .event = "e"},
        {.name = "n", .kind = ANALYSIS_MEAN, .event = "e"},
        {.name = "q", .kind = ANALYSIS_QUANTILE, .quantile = 0.5, .event = "e"},
    };
    static const struct analysis_experiment experiment = {.name = "x",
                                                          .click = "c",
                                                          .arms = arms,
                                                          .n_arms = 2,
                                                          .metrics = metrics,
                                                          .n_metrics = 3};
    const struct analysis_spec spec = {&experiment, 1};
    struct join *join = join_new("log");
    struct buffer again = {0};
    if (!join) {
        abort();
    }
    if (join_decode(join, file) == 0) {
        join->keeps_state = true;
        join->wants_items = wants_items;
        join->spec_hash = join_spec_hash(&spec, wants_items);
        if (join_prepare(join, &spec) == 0 && join_encode(join, &again) != 0) {
            fprintf(stderr, "cannot encode what was decoded\n");
            abort();
        }
    }
    buffer_free(&again);
    join_free(join);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer file = {0};
    decode((struct slice){(const char *)data, size}, false);
    buffer_append(&file, JOIN_FILE_MAGIC, JOIN_FILE_MAGIC_LEN);
    bytes_put(&file, JOIN_FILE_VERSION, 4);
    buffer_append(&file, data, size);
    bytes_put(&file, crc32c(0, file.data, file.len), 4);
    decode(buffer_slice(&file), size > 0 && data[size - 1] % 2);
    buffer_free(&file);
    return 0;
}

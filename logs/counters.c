#include "common/clock.h"
#include "logs/writer_internal.h"

int shard_sync(struct log_shard *shard, struct segment *segment, struct error *error)
{
    struct shard_counters *counters = &shard->counters;
    if (segment->synced == segment->len) {
        return 0;
    }
    const int64_t start_ns = clock_monotonic_ns();
    const int rc = segment_sync(segment, error);
    const int64_t ns = clock_monotonic_ns() - start_ns;
    int bucket = 0;
    while (bucket < LOG_N_SYNC_BUCKETS - 1 && ns >= 1000LL << bucket) {
        bucket++;
    }
    atomic_fetch_add(&counters->n_syncs, 1);
    atomic_fetch_add(&counters->sync_ns, ns);
    atomic_fetch_add(&counters->sync_count[bucket], 1);
    return rc;
}

void log_counters_get(struct log *log, struct log_counters *counters)
{
    *counters = (struct log_counters){0};
    for (int i = 0; i < log->n_shards; i++) {
        struct shard_counters *c = &log->shards[i].counters;
        counters->n_events += atomic_load(&c->n_events);
        counters->n_bytes += atomic_load(&c->n_bytes);
        counters->n_failed_commits += atomic_load(&c->n_failed_commits);
        counters->n_sealed += atomic_load(&c->n_sealed);
        counters->n_segments += atomic_load(&c->n_segments);
        counters->n_syncs += atomic_load(&c->n_syncs);
        counters->sync_ns += atomic_load(&c->sync_ns);
        counters->n_failing += atomic_load(&log->shards[i].is_failing);
        counters->n_waiting_bytes += atomic_load(&c->n_waiting_bytes);
        for (int j = 0; j < LOG_N_SYNC_BUCKETS; j++) {
            counters->sync_count[j] += atomic_load(&c->sync_count[j]);
        }
    }
}

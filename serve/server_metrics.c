/* server_metrics.c - how the server is: degraded or not, and the text of /metrics. */
#include <inttypes.h>

#include "common/json_text.h"
#include "serve/access_log.h"
#include "serve/server_internal.h"

bool server_is_degraded(const struct server *server)
{
    struct log_counters log;
    log_counters_get(server->log, &log);
    return log.n_failing > 0;
}

void server_write_metrics(const struct server *server, struct buffer *out)
{
    struct log_counters log;
    uint64_t n_syncs = 0;
    log_counters_get(server->log, &log);
    metrics_write(server->metrics, out);
    metrics_write_one(out, "abtest_http_connections", "gauge", "Open connections.",
                      http_workers_connections(server->workers));
    metrics_write_one(out, "abtest_degraded", "gauge",
                      "1 while the log cannot be written.", log.n_failing > 0);
    metrics_write_one(out, "abtest_log_events_total", "counter",
                      "Events in the log since the start.", (double)log.n_events);
    metrics_write_one(out, "abtest_log_bytes_total", "counter",
                      "Bytes in the log since the start.", (double)log.n_bytes);
    metrics_write_one(out, "abtest_log_failed_commits_total", "counter",
                      "Batches that could not be logged.",
                      (double)log.n_failed_commits);
    metrics_write_one(out, "abtest_log_segments_total", "counter",
                      "Log files begun since the start.", (double)log.n_segments);
    metrics_write_one(out, "abtest_start_log_bytes", "gauge",
                      "Bytes of log that the start had to read.",
                      (double)past_read_bytes(server->past));
    metrics_write_one(out, "abtest_log_waiting_bytes", "gauge",
                      "Bytes handed to the log and not durable yet: queue depth.",
                      (double)log.n_waiting_bytes);
    if (server->access_log) {
        const struct access_log_counters access =
            access_log_counters(server->access_log);
        metrics_write_one(out, "abtest_access_log_lines_total", "counter",
                          "Lines written to the access log.", (double)access.n_lines);
        metrics_write_one(out, "abtest_access_log_lost_lines_total", "counter",
                          "Lines that the access log's disk did not take.",
                          (double)access.n_lost);
    }
    buffer_append_text(out, "# HELP abtest_log_sync_seconds How long a sync took.\n"
                            "# TYPE abtest_log_sync_seconds histogram\n");
    for (int i = 0; i < LOG_N_SYNC_BUCKETS; i++) {
        n_syncs += (uint64_t)log.sync_count[i];
        buffer_append_text(out, "abtest_log_sync_seconds_bucket{le=\"");
        if (i < LOG_N_SYNC_BUCKETS - 1) {
            json_append_double(out, (double)(INT64_C(1) << i) / 1e6);
        } else {
            buffer_append_text(out, "+Inf");
        }
        buffer_printf(out, "\"} %" PRIu64 "\n", n_syncs);
    }
    buffer_append_text(out, "abtest_log_sync_seconds_sum ");
    json_append_double(out, (double)log.sync_ns / 1e9);
    buffer_printf(out, "\nabtest_log_sync_seconds_count %" PRIu64 "\n", n_syncs);
}

void server_log_counters(struct server *server, struct log_counters *counters)
{
    log_counters_get(server->log, counters);
}

int server_connections(const struct server *server)
{
    return http_workers_connections(server->workers);
}

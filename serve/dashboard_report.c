#include "serve/dashboard_report.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/json_text.h"

#define MIN_INTERVAL_NS INT64_C(1000000000)
#define SHARE           50 /* a report that takes 1 s of a core is made every 50 s */

void live_report_free(struct live_report *report)
{
    buffer_free(&report->json);
    free(report->experiment);
    memset(report, 0, sizeof *report);
}

static void append_event(struct buffer *event, const struct live_report *report,
                         const char *problem, int64_t took_ns)
{
    buffer_append_text(event, "event: report\ndata: {\"experiment\":");
    json_append_string(event, slice_of(report->experiment));
    buffer_printf(event, ",\"made_us\":%lld,\"took_ms\":%lld,\"problem\":",
                  (long long)clock_wall_us(), (long long)(took_ns / 1000000));
    if (problem) {
        json_append_string(event, slice_of(problem));
        buffer_append_text(event, ",\"report\":null");
    } else {
        buffer_append_text(event, "null,\"report\":");
        buffer_append(event, report->json.data, report->json.len);
    }
    buffer_append_text(event, "}\n\n");
}

/* A line break would end the event's line; JSON has them between tokens only. */
static void join_lines(struct buffer *json)
{
    while (json->len > 0 && json->data[json->len - 1] == '\n') {
        json->len--;
    }
    for (size_t i = 0; i < json->len; i++) {
        json->data[i] = json->data[i] == '\n' ? ' ' : json->data[i];
    }
}

/* What this thread has cost so far: on a busy machine much less than the time it took.
 */
static int64_t thread_cpu_ns(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool live_report_refresh(struct live_report *report, struct server *server,
                         const struct config *config, struct buffer *event)
{
    const struct server_options *options = server_options(server);
    struct buffer json = {0};
    struct error error = {0};
    const int64_t start = clock_monotonic_ns(), cpu_start = thread_cpu_ns();
    const int rc = options->report
                       ? options->report(options->report_context, config,
                                         slice_of(report->experiment), &json, &error)
                       : -1;
    const int64_t took = clock_monotonic_ns() - start;
    const int64_t pause = (thread_cpu_ns() - cpu_start) * SHARE;
    report->due_ns = start + took + (pause > MIN_INTERVAL_NS ? pause : MIN_INTERVAL_NS);
    buffer_clear(event);
    if (rc != 0 || json.failed) {
        const char *problem = error.message[0] ? error.message : "no report";
        const bool is_news = !slice_is(buffer_slice(&report->json), problem);
        buffer_free(&json);
        buffer_clear(&report->json);
        buffer_append_text(&report->json, problem);
        append_event(event, report, problem, took);
        return is_news && !event->failed;
    }
    join_lines(&json);
    if (slice_equal(buffer_slice(&json), buffer_slice(&report->json))) {
        buffer_free(&json);
        return false;
    }
    buffer_free(&report->json);
    report->json = json;
    append_event(event, report, NULL, took);
    return !event->failed;
}

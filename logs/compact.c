#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "logs/compress.h"
#include "logs/recover.h"
#include "logs/writer.h"

static int compact_segment(const char *path,
                           void (*report)(void *context, const char *message),
                           void *report_context, struct error *error)
{
    char message[512];
    const int64_t cut = recover_tail(path, error);
    if (cut < 0) {
        return -1;
    }
    if (cut > 0 && report) {
        snprintf(message, sizeof message,
                 "%.400s: a torn last line of %" PRId64 " bytes was cut", path, cut);
        report(report_context, message);
    }
    return compress_segment(path, NULL, error);
}

int log_compact(const char *directory,
                void (*report)(void *context, const char *message),
                void *report_context, int64_t *n, struct error *error)
{
    struct segment_list list = {0};
    int lock_fd = -1, rc = -1;
    int64_t n_done = 0;
    /* First the list: a directory that is not there is an error here, not made. */
    if (segment_list_read(directory, &list, error) != 0 ||
        recover_lock(directory, &lock_fd, error) != 0) {
        goto out;
    }
    for (size_t i = 0; i < list.n; i++) {
        if (access(list.items[i].path, F_OK) != 0) {
            continue; /* compressed already */
        }
        if (compact_segment(list.items[i].path, report, report_context, error) != 0) {
            goto out;
        }
        n_done++;
    }
    *n = n_done;
    rc = 0;

out:
    if (lock_fd >= 0) {
        close(lock_fd);
    }
    segment_list_free(&list);
    return rc;
}

/* forge_log.c - copies a log with every exposure given to another user, checksums
 * right, for tests/e2e_replay.sh: a log that somebody made up.
 *
 *     forge_log FROM TO USER
 */
#include <stdio.h>
#include <string.h>

#include "logs/logs.h"

struct forgery {
    struct log_options options;
    struct log *log;
    const char *user;
    struct error error;
};

static int forge(void *context, const struct event *event)
{
    struct forgery *f = context;
    struct event copy = *event;
    if (event->type == EVENT_CONFIG) {
        f->options.config = *event;
        return f->log ? 0 : log_open(&f->options, &f->log, &f->error);
    }
    if (event->type == EVENT_EXPOSURE) {
        copy.user = slice_of(f->user);
    }
    struct log_shard *shard = log_shard_get(f->log, 0);
    if (log_shard_append(shard, &copy, &f->error) != 0) {
        return -1;
    }
    return log_shard_commit(shard, &f->error);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: forge_log FROM TO USER\n");
        return 2;
    }
    struct forgery f = {
        .options = {.directory = argv[2],
                    .sync = LOG_SYNC_NO,
                    .segment_size = 1 << 30,
                    .segment_age_us = 3600LL * 1000000,
                    .n_shards = 1},
        .user = argv[3],
    };
    const struct log_visitor visitor = {.on_event = forge, .context = &f};
    const int rc = log_read(argv[1], &visitor, NULL, &f.error);
    if (rc != 0 || (f.log && log_close(f.log, &f.error) != 0)) {
        fprintf(stderr, "forge_log: %s\n", f.error.message);
        return 1;
    }
    return 0;
}

/* Shipping: each closed segment reaches the receiver, once when nothing breaks and
 * again when something does. */
#include "tests/log_testing.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

struct receiver {
    int listener;
    int64_t stop_after; /* bytes after which it breaks off; INT64_MAX: never */
    struct buffer got;
    pthread_t thread;
};

static void *receive(void *context)
{
    struct receiver *r = context;
    const int fd = accept(r->listener, NULL, NULL);
    while (fd >= 0 && (int64_t)r->got.len < r->stop_after) {
        char *to = buffer_reserve(&r->got, 4096);
        const ssize_t got = to ? recv(fd, to, 4096, 0) : -1;
        if (got <= 0) {
            break;
        }
        r->got.len += (size_t)got;
    }
    if (r->stop_after != INT64_MAX) {
        /* A reset, as of a receiver that died. */
        const struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    close(fd);
    return NULL;
}

static void start(struct receiver *r, int family, const char *path, int64_t stop_after,
                  int *port)
{
    *r = (struct receiver){.stop_after = stop_after};
    r->listener = socket(family, SOCK_STREAM, 0);
    if (family == AF_UNIX) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        assert_true(strlen(path) < sizeof address.sun_path);
        memcpy(address.sun_path, path, strlen(path));
        unlink(path);
        assert_int_equal(bind(r->listener, (struct sockaddr *)&address, sizeof address),
                         0);
    } else {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;
        assert_int_equal(bind(r->listener, (struct sockaddr *)&address, sizeof address),
                         0);
        assert_int_equal(getsockname(r->listener, (struct sockaddr *)&address, &len),
                         0);
        *port = ntohs(address.sin_port);
    }
    assert_int_equal(listen(r->listener, 1), 0);
    assert_int_equal(pthread_create(&r->thread, NULL, receive, r), 0);
}

static void finish(struct receiver *r)
{
    pthread_join(r->thread, NULL);
    close(r->listener);
}

static void add_segment(const struct log_directory *directory, int n)
{
    struct log *log = NULL;
    char id[EVENT_ID_SIZE];
    const struct log_options options = log_test_options(directory);
    assert_int_equal(log_open(&options, &log, NULL), 0);
    struct log_shard *shard = log_shard_get(log, 0);
    for (int i = 0; i < n; i++) {
        const int len = log_shard_next_id(shard, id);
        const struct event event = log_test_exposure((struct slice){id, (size_t)len});
        assert_int_equal(log_shard_append(shard, &event, NULL), 0);
    }
    assert_int_equal(log_close(log, NULL), 0);
}

static int ship(const struct log_directory *directory, const char *to, int fd,
                struct ship_result *result, struct error *error)
{
    char cursor[128];
    snprintf(cursor, sizeof cursor, "%s/shipped", directory->path);
    const struct ship_options options = {
        .directory = directory->path, .to = to, .fd = fd, .cursor = cursor};
    return log_ship(&options, result, error);
}

static void each_segment_is_sent_once_over_a_socket(void **state)
{
    (void)state;
    struct log_directory directory;
    struct receiver receiver;
    struct ship_result result;
    char path[128], to[160];
    int port = 0;
    log_directory_make(&directory);
    add_segment(&directory, 3000);
    snprintf(path, sizeof path, "%s/socket", directory.path);
    snprintf(to, sizeof to, "unix:%s", path);

    start(&receiver, AF_UNIX, path, INT64_MAX, NULL);
    assert_int_equal(ship(&directory, to, -1, &result, NULL), 0);
    finish(&receiver);
    assert_int_equal(result.n_segments, 1);
    assert_int_equal(result.n_events, 3001);
    assert_int_equal(result.n_bytes, receiver.got.len);
    buffer_free(&receiver.got);

    add_segment(&directory, 10); /* which may compress the first */
    start(&receiver, AF_INET, NULL, INT64_MAX, &port);
    snprintf(to, sizeof to, "tcp://127.0.0.1:%d", port);
    assert_int_equal(ship(&directory, to, -1, &result, NULL), 0);
    finish(&receiver);
    assert_int_equal(result.n_segments, 1);
    assert_int_equal(result.n_events, 11);
    buffer_free(&receiver.got);

    /* Nothing is new: nobody is even called. */
    assert_int_equal(ship(&directory, "unix:/nonexistent", -1, &result, NULL), 0);
    assert_int_equal(result.n_segments, 0);
    log_directory_remove(&directory);
}

static void what_breaks_off_is_sent_again(void **state)
{
    (void)state;
    struct log_directory directory;
    struct receiver receiver;
    struct ship_result result;
    struct error error = {0};
    char path[128], to[160];
    log_directory_make(&directory);
    add_segment(&directory, 3000);
    snprintf(path, sizeof path, "%s/socket", directory.path);
    snprintf(to, sizeof to, "unix:%s", path);

    start(&receiver, AF_UNIX, path, 100000, NULL);
    assert_int_equal(ship(&directory, to, -1, &result, &error), -1);
    assert_int_equal(error.code, ERROR_IO);
    finish(&receiver);
    buffer_free(&receiver.got);
    start(&receiver, AF_UNIX, path, INT64_MAX, NULL);
    assert_int_equal(ship(&directory, to, -1, &result, NULL), 0);
    finish(&receiver);

    assert_int_equal(result.n_events, 3001);
    buffer_free(&receiver.got);
    log_directory_remove(&directory);
}

static void the_open_segment_of_a_writer_waits(void **state)
{
    (void)state;
    struct log_directory directory;
    struct log *log = NULL;
    struct ship_result result;
    FILE *out = tmpfile();
    log_directory_make(&directory);
    assert_non_null(out);
    const struct log_options options = log_test_options(&directory);
    assert_int_equal(log_open(&options, &log, NULL), 0);
    const struct event event = log_test_exposure(slice_of("x"));
    assert_int_equal(log_shard_append(log_shard_get(log, 0), &event, NULL), 0);
    assert_int_equal(log_shard_commit(log_shard_get(log, 0), NULL), 0);

    assert_int_equal(ship(&directory, "-", fileno(out), &result, NULL), 0);
    assert_int_equal(result.n_segments, 0);
    assert_int_equal(log_close(log, NULL), 0);
    assert_int_equal(ship(&directory, "-", fileno(out), &result, NULL), 0);
    assert_int_equal(result.n_segments, 1);
    assert_int_equal(result.n_events, 2);

    fclose(out);
    log_directory_remove(&directory);
}

static void wrong_addresses_are_named(void **state)
{
    (void)state;
    static const char *const wrong[] = {"tcp://", "tcp://host", "tcp://:80",
                                        "ftp://a:1", "tcp://[::1]"};
    struct log_directory directory;
    struct ship_result result;
    log_directory_make(&directory);
    add_segment(&directory, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct error error = {0};
        assert_int_equal(ship(&directory, wrong[i], -1, &result, &error), -1);
        assert_int_equal(error.code, ERROR_INVALID);
        assert_memory_equal(error.message, wrong[i], strlen(wrong[i]));
    }
    log_directory_remove(&directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_segment_is_sent_once_over_a_socket),
        cmocka_unit_test(what_breaks_off_is_sent_again),
        cmocka_unit_test(the_open_segment_of_a_writer_waits),
        cmocka_unit_test(wrong_addresses_are_named),
    };
    return cmocka_run_group_tests_name("log_ship", tests, NULL, NULL);
}

/* crash_client.c - load for a server that is to be killed: notes down every event that
 * the server acknowledged, for tests/e2e_crash.sh.
 *
 *     crash_client PORT PREFIX FILE REQUESTS [PID]
 *
 * Four connections ask for recommendations and send feedback in turn until REQUESTS
 * answers have come; then PID, if given, is killed with SIGKILL while the others are
 * still at it, and all go on until their connection breaks. The ids of acknowledged
 * events are appended to FILE, a line each. Prints how many answers were 200 and 503;
 * exits 1 on any other answer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_CONNECTIONS 4

static int port, note_fd;
static const char *prefix;
static long n_requests, victim;
static atomic_long n_answers, n_done, n_refused, n_strange;

static int connect_to_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("crash_client: connect");
        exit(1);
    }
    return fd;
}

/* Reads one answer into `text`; false when the connection broke before its end. */
static bool read_answer(int fd, char *text, size_t size)
{
    size_t len = 0;
    for (;;) {
        const ssize_t got = recv(fd, text + len, size - 1 - len, 0);
        if (got <= 0) {
            return false;
        }
        len += (size_t)got;
        text[len] = '\0';
        const char *body = strstr(text, "\r\n\r\n");
        const char *length = strstr(text, "Content-Length: ");
        if (body && length && length < body &&
            len >= (size_t)(body + 4 - text) + strtoul(length + 16, NULL, 10)) {
            return true;
        }
        if (len == size - 1) {
            return false;
        }
    }
}

static void note(const char *id, size_t len)
{
    char line[128];
    const int n = snprintf(line, sizeof line, "%.*s\n", (int)len, id);
    if (write(note_fd, line, (size_t)n) != n) {
        perror("crash_client: cannot note an id");
        exit(1);
    }
}

/* Notes what an answer acknowledges. */
static void take_answer(const char *answer, const char *feedback_id)
{
    if (strncmp(answer, "HTTP/1.1 503", 12) == 0) {
        atomic_fetch_add(&n_refused, 1);
        return;
    }
    const char *id = strstr(answer, "\"request_id\":\"");
    if (strncmp(answer, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "crash_client: unexpected answer: %.200s\n", answer);
        atomic_fetch_add(&n_strange, 1);
    } else if (feedback_id && strstr(answer, "\"accepted\":1")) {
        note(feedback_id, strlen(feedback_id));
        atomic_fetch_add(&n_done, 1);
    } else if (!feedback_id && id) {
        note(id + 14, strcspn(id + 14, "\""));
        atomic_fetch_add(&n_done, 1);
    } else {
        fprintf(stderr, "crash_client: nothing acknowledged: %.300s\n", answer);
        atomic_fetch_add(&n_strange, 1);
    }
}

static void *keep_asking(void *context)
{
    const int number = *(const int *)context;
    const int fd = connect_to_server();
    char answer[16384], request[512], id[64];
    for (int i = 0;; i++) {
        const bool is_feedback = i % 2;
        int len = 0;
        if (is_feedback) {
            char body[200];
            snprintf(id, sizeof id, "%s-%d-%d", prefix, number, i);
            const int body_len = snprintf(
                body, sizeof body,
                "{\"id\":\"%s\",\"user\":\"%d\",\"event\":\"satisfied\",\"value\":1}",
                id, 2 + i % 40);
            len = snprintf(
                request, sizeof request,
                "POST /v1/feedback HTTP/1.1\r\nHost: a\r\n"
                "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                body_len, body);
        } else {
            len = snprintf(request, sizeof request,
                           "GET /v1/recommend?user=%d HTTP/1.1\r\nHost: a\r\n\r\n",
                           2 + i % 40);
        }
        if (send(fd, request, (size_t)len, MSG_NOSIGNAL) != len ||
            !read_answer(fd, answer, sizeof answer)) {
            break;
        }
        take_answer(answer, is_feedback ? id : NULL);
        const long n = atomic_fetch_add(&n_answers, 1) + 1;
        if (n == n_requests && victim) {
            kill((pid_t)victim, SIGKILL);
        }
        if (n >= n_requests && !victim) {
            break;
        }
    }
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[N_CONNECTIONS];
    int numbers[N_CONNECTIONS];
    if (argc < 5) {
        fprintf(stderr, "usage: crash_client PORT PREFIX FILE REQUESTS [PID]\n");
        return 2;
    }
    port = (int)strtol(argv[1], NULL, 10);
    prefix = argv[2];
    note_fd = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    n_requests = strtol(argv[4], NULL, 10);
    victim = argc > 5 ? strtol(argv[5], NULL, 10) : 0;
    if (note_fd < 0) {
        perror("crash_client");
        return 1;
    }
    for (int i = 0; i < N_CONNECTIONS; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, keep_asking, &numbers[i]) != 0) {
            return 1;
        }
    }
    for (int i = 0; i < N_CONNECTIONS; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%ld %ld\n", atomic_load(&n_done), atomic_load(&n_refused));
    return atomic_load(&n_strange) ? 1 : 0;
}

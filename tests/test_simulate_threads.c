/* The simulation against a server of canned answers, with several threads. */
#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

#include "simulate/libcurl.h"
#include "simulate/simulate.h"
#include "tests/stub_server.h"

static const char config_text[] = "[model m]\n"
                                  "file = m.model\n"
                                  "[serving]\n"
                                  "model = m\n"
                                  "[metric satisfied]\n"
                                  "kind = proportion\n"
                                  "event = satisfied\n"
                                  "[experiment e]\n"
                                  "status = running\n"
                                  "primary = satisfied\n"
                                  "[arm e a]\n"
                                  "weight = 0.5\n"
                                  "[arm e b]\n"
                                  "weight = 0.5\n"
                                  "item_bias = 0\n";
static struct config *config;
static const struct experiment *experiment;

static int load_config(void **state)
{
    (void)state;
    struct config_problems problems = {0};
    struct error error = {0};
    const int rc =
        config_parse(slice_of(config_text), "test.ini", "", &config, &problems, &error);
    config_problems_free(&problems);
    if (rc != 0) {
        print_error("%s\n", error.message);
        return -1;
    }
    experiment = &config->experiments[0];
    return 0;
}

static int free_config(void **state)
{
    (void)state;
    config_free(config);
    return 0;
}

static const double rates[] = {0.25, 0.75};

/* What the stub does wrong, and what it saw. */
struct script {
    int n_busy;         /* the first posts that get 503 */
    int gone_after;     /* requests until the server goes away; 0 = never */
    const char *canned; /* answer to every recommendation, instead of a true one */
    int canned_status;
    int n_requests, n_posts, n_events;
    struct buffer first_post, second_post;
};

static int count(struct slice text, const char *word)
{
    int n = 0;
    for (size_t i = 0; i + strlen(word) <= text.len; i++) {
        n += memcmp(text.data + i, word, strlen(word)) == 0;
    }
    return n;
}

static int take_feedback(struct script *script, struct slice body, struct buffer *out)
{
    char answer[64];
    if (script->n_posts < 2) {
        buffer_append(script->n_posts ? &script->second_post : &script->first_post,
                      body.data, body.len);
    }
    if (script->n_posts++ < script->n_busy) {
        stub_respond(out, 503, "Retry-After: 0\r\n", slice_of("{}"));
        return 0;
    }
    const int n = count(body, "\"event\":\"satisfied\"");
    script->n_events += n;
    snprintf(answer, sizeof answer, "{\"accepted\":%d,\"duplicates\":0}", n);
    stub_respond(out, 200, "", slice_of(answer));
    return 0;
}

static int handle(void *context, const struct stub_request *request, struct buffer *out)
{
    struct script *script = context;
    if (++script->n_requests == script->gone_after) {
        return -1;
    }
    if (slice_is(request->method, "POST")) {
        return take_feedback(script, request->body, out);
    }
    if (script->canned) {
        stub_respond(out, script->canned_status, "", slice_of(script->canned));
        return 0;
    }
    const struct slice prefix = slice_of("/v1/recommend?user=");
    const struct slice user = {request->target.data + prefix.len,
                               request->target.len - prefix.len};
    const struct assignment_request asked = {user, 0, NULL};
    const int arm = config_assign_one(config, 0, &asked).arm;
    struct buffer body = {0};
    buffer_printf(&body,
                  "{\"request_id\":\"r%d\",\"assignments\":{\"e\":\"%s\"},"
                  "\"items\":[{\"item\":\"1\"},{\"item\":\"2\"}]}",
                  script->n_requests, experiment->arms[arm].name);
    stub_respond(out, 200, "", buffer_slice(&body));
    buffer_free(&body);
    return 0;
}

static struct id_map *make_users(int n)
{
    struct id_map *users = id_map_new();
    for (int i = 0; i < n; i++) {
        char id[16];
        snprintf(id, sizeof id, "u%d", i);
        assert_int_equal(id_map_add(users, slice_of(id)), i);
    }
    return users;
}

/* Runs 300 users against a stub that follows the script. */
static int run(struct script *script, int n_threads, struct simulation_result *result,
               struct error *error)
{
    struct id_map *users = make_users(300);
    struct stub_server *server = stub_server_start(handle, script);
    assert_non_null(server);
    const struct simulation_options options = {
        .url = stub_server_url(server),
        .config = config,
        .experiment = experiment,
        .users = users,
        .behaviour = {RULE_RATES, 11, 1, rates, .eta = 0},
        .n_threads = n_threads,
        .max_retries = 2,
        .timeout_ms = 10000,
    };
    const int rc = simulation_run(&options, result, error);
    stub_server_stop(server);
    id_map_free(users);
    buffer_free(&script->first_post);
    buffer_free(&script->second_post);
    return rc;
}

static void same_counts_at_any_number_of_threads(void **state)
{
    (void)state;
    struct script one = {0}, eight = {0};
    struct simulation_result a, b;
    struct error error = {0};

    assert_int_equal(run(&one, 1, &a, &error), 0);
    assert_int_equal(run(&eight, 8, &b, &error), 0);

    assert_int_equal(a.n_users, 300);
    assert_int_equal(a.arms[0].n_users + a.arms[1].n_users, 300);
    assert_int_equal(a.arms[0].n_satisfied + a.arms[1].n_satisfied, one.n_events);
    assert_int_equal(a.n_accepted, one.n_events);
    assert_int_equal(a.n_disagreements, 0);
    assert_memory_equal(a.arms, b.arms, 2 * sizeof *a.arms);
    assert_int_equal(a.n_sent, b.n_sent);
    simulation_result_free(&a);
    simulation_result_free(&b);
}

static void busy_server_is_asked_again_with_the_same_ids(void **state)
{
    (void)state;
    struct script script = {.n_busy = 1};
    struct id_map *users = make_users(40);
    struct stub_server *server = stub_server_start(handle, &script);
    struct simulation_result result;
    struct error error = {0};
    const struct simulation_options options = {
        .url = stub_server_url(server),
        .config = config,
        .experiment = experiment,
        .users = users,
        .behaviour = {RULE_RATES, 11, 1, rates, .eta = 0},
        .n_threads = 1,
        .max_retries = 2,
        .timeout_ms = 10000,
    };

    const int rc = simulation_run(&options, &result, &error);
    stub_server_stop(server);

    assert_int_equal(rc, 0);
    assert_int_equal(result.n_retries, 1);
    assert_int_equal(result.n_accepted, result.n_sent);
    assert_true(script.first_post.len > 0);
    assert_true(slice_equal(buffer_slice(&script.first_post),
                            buffer_slice(&script.second_post)));
    buffer_free(&script.first_post);
    buffer_free(&script.second_post);
    simulation_result_free(&result);
    id_map_free(users);
}

static void server_that_stays_busy_is_given_up(void **state)
{
    (void)state;
    struct script script = {.n_busy = 1000};
    struct simulation_result result;
    struct error error = {0};

    assert_int_equal(run(&script, 1, &result, &error), -1);

    assert_int_equal(error.code, ERROR_IO);
    assert_non_null(strstr(error.message, "/v1/feedback: the server answered 503"));
    assert_int_equal(result.n_retries, 2);
    simulation_result_free(&result);
}

static void server_that_goes_away_is_named(void **state)
{
    (void)state;
    struct script script = {.gone_after = 50};
    struct simulation_result result;
    struct error error = {0};

    assert_int_equal(run(&script, 4, &result, &error), -1);

    assert_int_equal(error.code, ERROR_IO);
    assert_non_null(strstr(error.message, "http://127.0.0.1:"));
    assert_true(result.n_users < 50);
    simulation_result_free(&result);
}

static void answers_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    const struct {
        int status;
        const char *answer, *message;
    } cases[] = {
        {200, "<html>", "not JSON"},
        {200, "{}", "lacks a request_id"},
        {200, "{\"request_id\":\"r\",\"items\":[{}]}", "lacks a request_id or a list"},
        {200, "{\"request_id\":\"r\",\"items\":[],\"assignments\":{\"e\":\"zzz\"}}",
         "arm \"zzz\" of e, which the config does not have"},
        {400, "{\"detail\":\"no such user\"}", "answered 400: {\"detail\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct script script = {.canned = cases[i].answer,
                                .canned_status = cases[i].status};
        struct simulation_result result;
        struct error error = {0};

        assert_int_equal(run(&script, 2, &result, &error), -1);

        assert_int_equal(error.code, ERROR_INVALID);
        assert_non_null(strstr(error.message, cases[i].message));
        assert_int_equal(result.n_users, 0);
        simulation_result_free(&result);
    }
}

static void nobody_listening_is_said(void **state)
{
    (void)state;
    struct script script = {0};
    struct stub_server *server = stub_server_start(handle, &script);
    char url[64];
    snprintf(url, sizeof url, "%s", stub_server_url(server));
    stub_server_stop(server);
    struct client *client = NULL;
    struct client_answer answer;
    struct error error = {0};
    assert_int_equal(libcurl_load(&error), 0);
    assert_int_equal(client_new(url, 1000, &client, &error), 0);

    assert_int_equal(client_get(client, "/healthz", &answer, &error), -1);

    assert_int_equal(error.code, ERROR_IO);
    assert_non_null(strstr(error.message, "/healthz: "));
    client_free(client);
    assert_int_equal(client_new("ftp://x", 1000, &client, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_counts_at_any_number_of_threads),
        cmocka_unit_test(busy_server_is_asked_again_with_the_same_ids),
        cmocka_unit_test(server_that_stays_busy_is_given_up),
        cmocka_unit_test(server_that_goes_away_is_named),
        cmocka_unit_test(answers_that_make_no_sense_are_refused),
        cmocka_unit_test(nobody_listening_is_said),
    };
    return cmocka_run_group_tests_name("simulate threads", tests, load_config,
                                       free_config);
}

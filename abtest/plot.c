#include "abtest/plot.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "abtest/plot_script.h"
#include "common/buffer.h"

extern char **environ;

static enum plot_format format_of(const char *path)
{
    static const struct {
        const char *suffix;
        enum plot_format format;
    } formats[] = {{".svg", PLOT_FORMAT_SVG},
                   {".png", PLOT_FORMAT_PNG},
                   {".pdf", PLOT_FORMAT_PDF}};
    const size_t len = strlen(path);
    if (strcmp(path, "-") == 0) {
        return PLOT_FORMAT_TERMINAL;
    }
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (len > 4 && strcmp(path + len - 4, formats[i].suffix) == 0) {
            return formats[i].format;
        }
    }
    return PLOT_FORMAT_NONE;
}

int plot_check(const struct plot_choice *choice, const char *command)
{
    const enum plot_format format =
        choice->path ? format_of(choice->path) : PLOT_FORMAT_NONE;
    if (choice->path && format == PLOT_FORMAT_NONE) {
        complain(command,
                 "--plot %s: the name must end in .svg, .png or .pdf, or be - for the "
                 "terminal",
                 choice->path);
        return EXIT_USAGE;
    }
    if (format == PLOT_FORMAT_TERMINAL && choice->stdout_is_data) {
        complain(command, "--plot - would draw into what a program is to read on "
                          "standard output; draw into a file instead");
        return EXIT_USAGE;
    }
    if (choice->panel > 0 && !choice->path) {
        complain(command, "--panel is part of a picture: give --plot too");
        return EXIT_USAGE;
    }
    return OPTIONS_RUN;
}

/* ---- the process ---- */

static int write_script(int fd, struct slice script)
{
    while (script.len > 0) {
        const ssize_t put = write(fd, script.data, script.len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return -1; /* gnuplot ended early; its exit status says more */
        }
        script.data += put;
        script.len -= (size_t)put;
    }
    return 0;
}

/* Starts gnuplot with its standard input on pipe_ends[0]. Returns 0 or an errno. */
static int spawn_gnuplot(const int pipe_ends[2], pid_t *pid)
{
    char name[] = "gnuplot", dash[] = "-";
    char *const argv[] = {name, dash, NULL};
    posix_spawn_file_actions_t actions;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0) {
        return rc;
    }
    rc = posix_spawn_file_actions_adddup2(&actions, pipe_ends[0], STDIN_FILENO);
    if (rc == 0) {
        rc = posix_spawn_file_actions_addclose(&actions, pipe_ends[1]);
    }
    if (rc == 0) {
        rc = posix_spawnp(pid, name, &actions, NULL, argv, environ);
    }
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int run_gnuplot(struct slice script, struct error *error)
{
    int pipe_ends[2], status = 0;
    pid_t pid = 0;
    if (pipe(pipe_ends) != 0) {
        error_set(error, ERROR_IO, "cannot make a pipe to gnuplot: %s",
                  strerror(errno));
        return -1;
    }
    fflush(stdout); /* the terminal picture comes after what was said before it */
    const int rc = spawn_gnuplot(pipe_ends, &pid);
    close(pipe_ends[0]);
    if (rc != 0) {
        close(pipe_ends[1]);
        error_set(error, rc == ENOENT || rc == EACCES ? ERROR_NOT_FOUND : ERROR_IO,
                  "cannot run gnuplot: %s (apt-get install gnuplot-nox)", strerror(rc));
        return -1;
    }
    const int written = write_script(pipe_ends[1], script);
    close(pipe_ends[1]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (written != 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        error_set(error, ERROR_IO,
                  "gnuplot failed; what it said stands above (exit status %d)",
                  WIFEXITED(status) ? WEXITSTATUS(status) : -1);
        return -1;
    }
    return 0;
}

/* PATH with .part before its suffix: gnuplot sees a file, readers never half of one. */
static char *part_of(const char *path)
{
    const size_t len = strlen(path) + sizeof ".part";
    char *part = malloc(len);
    if (part) {
        snprintf(part, len, "%s.part", path);
    }
    return part;
}

int plot_draw(const struct plot_page *page, const char *path, struct error *error)
{
    const enum plot_format format = format_of(path);
    struct buffer script = {0};
    char *part = NULL;
    int rc = -1;
    part = part_of(path);
    if (part) {
        plot_append_script(&script, page, part, format);
    }
    if (!part || script.failed) {
        error_set(error, ERROR_NOMEM, "%s: no memory for the picture", path);
        goto out;
    }
    if (run_gnuplot(buffer_slice(&script), error) != 0) {
        goto out;
    }
    if (format != PLOT_FORMAT_TERMINAL && rename(part, path) != 0) {
        error_set(error, ERROR_IO, "%s: cannot write: %s", path, strerror(errno));
        goto out;
    }
    rc = 0;
out:
    if (rc != 0 && part && format != PLOT_FORMAT_TERMINAL) {
        remove(part);
    }
    buffer_free(&script);
    free(part);
    return rc;
}

/* ---- without gnuplot ---- */

static void print_field(FILE *to, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];
        fputc((unsigned char)c < 0x20 || c == 0x7F ? ' ' : c, to);
    }
}

void plot_print_tsv(const struct plot_page *page, FILE *to)
{
    fputs("panel\tseries\tx\ty\tlow\thigh\tlabel\n", to);
    for (int p = 0; p < page->n_panels; p++) {
        const struct plot_panel *panel = &page->panels[p];
        for (int i = 0; i < panel->n_series; i++) {
            const struct plot_series *s = &panel->series[i];
            for (int64_t j = 0; j < s->n; j++) {
                print_field(to, slice_of(panel->title ? panel->title : ""));
                fputc('\t', to);
                print_field(to, slice_of(s->name ? s->name : ""));
                fprintf(to, "\t%.10g\t%.10g\t", s->x[j], s->y[j]);
                if (s->low && s->high) {
                    fprintf(to, "%.10g\t%.10g\t", s->low[j], s->high[j]);
                } else {
                    fputs("\t\t", to);
                }
                print_field(to, s->labels ? s->labels[j] : (struct slice){0});
                fputc('\n', to);
            }
        }
    }
}

int plot_show(const struct plot_page *page, const struct plot_choice *choice,
              const char *command)
{
    struct plot_page chosen = *page;
    struct error error = {0};
    if (choice->panel > page->n_panels) {
        complain(command, "--panel %lld: the picture has %d parts",
                 (long long)choice->panel, page->n_panels);
        return EXIT_USAGE;
    }
    if (choice->panel > 0) {
        chosen.panels += choice->panel - 1;
        chosen.n_panels = chosen.n_columns = 1;
    }
    if (plot_draw(&chosen, choice->path, &error) == 0) {
        return EXIT_DONE;
    }
    complain(command, "%s", error.message);
    if (error.code != ERROR_NOT_FOUND) {
        return EXIT_FAILED;
    }
    complain(command, "the picture's data follow as tab-separated text");
    plot_print_tsv(&chosen, choice->stdout_is_data ? stderr : stdout);
    return EXIT_DONE;
}

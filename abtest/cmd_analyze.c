#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abtest/analyze.h"
#include "abtest/analyze_plot.h"
#include "abtest/commands.h"
#include "abtest/options.h"
#include "abtest/plot.h"
#include "common/file.h"
#include "report/report.h"

struct analyze_options {
    const char *format, *output;
    struct plot_choice plot;
    bool is_json, is_gate;
    int64_t n_aa, seed, n_threads;
    struct analyze_request request;
};

static int parse(int argc, char **argv, struct analyze_options *options)
{
    const struct option_spec specs[] = {
        {"experiment", OPTION_TEXT, &options->request.experiment, "NAME",
         "only this experiment; all that the log's configs name when absent", 0, 0},
        {"format", OPTION_TEXT, &options->format, "FORMAT",
         "text, json, csv, markdown or html", 0, 0},
        {"json", OPTION_FLAG, &options->is_json, NULL, "the same as --format json", 0,
         0},
        {"o", OPTION_TEXT, &options->output, "FILE",
         "write the report there instead of standard output", 0, 0},
        PLOT_OPTIONS(&options->plot),
        {"gate", OPTION_FLAG, &options->is_gate, NULL,
         "exit 4 when the decision is to roll back or any treatment does harm", 0, 0},
        {"covariates", OPTION_TEXT, &options->request.covariates, "FILE",
         "CSV with a user column: numbers adjust (CUPED), words are segments", 0, 0},
        {"cupac", OPTION_TEXT, &options->request.cupac, "MODEL",
         "adjust for this model's predicted affinity of each user", 0, 0},
        {"lists", OPTION_FLAG, &options->request.wants_items, NULL,
         "compare the lists too: coverage, novelty, repeats, clicks by position, "
         "latency (slower)",
         0, 0},
        {"summary", OPTION_TEXT, &options->request.summary, "FILE",
         "analyze these sums (CSV: arm,metric,units,sum,...) instead of a log", 0, 0},
        {"config", OPTION_TEXT, &options->request.config, "FILE",
         "with --summary: the config that says what its metrics, arms and rule are", 0,
         0},
        {"state", OPTION_TEXT, &options->request.state, "FILE",
         "read only what is new since the FILE was left, and leave it anew", 0, 0},
        {"aa", OPTION_INT, &options->n_aa, "N",
         "self-check: split control at random N times and test it against itself", 0,
         1000000},
        {"threads", OPTION_INT, &options->n_threads, "N",
         "that read the log; 0: one per core; the report is the same with any", 0,
         1024},
        {"seed", OPTION_INT, &options->seed, "N",
         "of the self-check and of bootstrap intervals", 0, 1e18},
    };
    const struct command_usage usage = {
        .command = "analyze",
        .arguments = "LOGS | --summary FILE [options]",
        .summary =
            "The significance report of a log directory: verdict, trust checks, and "
            "every\nnumber with its method. Exits 3 when a trust check fails (sample "
            "ratio\nmismatch, damaged log): no verdict is given then.",
        .options = specs,
        .n_options = sizeof specs / sizeof specs[0],
        .min_arguments = 0,
        .max_arguments = 1,
    };
    int n_arguments = 0;
    const int parsed =
        options_parse(&usage, argc, argv, &options->request.logs, &n_arguments);
    options->request.n_threads = (int)options->n_threads;
    options->request.n_aa = (int)options->n_aa;
    options->request.seed = (uint64_t)options->seed;
    return parsed;
}

/* OPTIONS_RUN, or the exit status of options that contradict each other. */
static int check(const struct analyze_request *request)
{
    if (!request->logs == !request->summary) {
        complain("analyze", "give a log directory or --summary FILE, one of the two");
        return EXIT_USAGE;
    }
    if (request->config && !request->summary) {
        complain("analyze", "--config says what the sums of --summary are, and a log "
                            "holds its own: leave it out");
        return EXIT_USAGE;
    }
    if (request->state && request->summary) {
        complain("analyze", "--state keeps what was read of a log, and --summary reads "
                            "none: leave one of them out");
        return EXIT_USAGE;
    }
    return OPTIONS_RUN;
}

static int write_out(const struct analyze_options *options, struct slice report)
{
    struct error error = {0};
    if (!options->output) {
        fwrite(report.data, 1, report.len, stdout);
        return finish_output("analyze", EXIT_DONE);
    }
    if (file_replace(options->output, report, &error) != 0) {
        complain("analyze", "%s", error.message);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

static int exit_status_of(const struct analysis *analysis, bool is_gate)
{
    if (analysis_is_untrusted(analysis)) {
        return EXIT_DO_NOT_TRUST;
    }
    return is_gate && analysis_is_gated(analysis) ? EXIT_GATE : EXIT_DONE;
}

/* Arrays as long as the users are many come and go in turn. The allocator would soon
 * keep such sizes on its heap, where what is freed below something else stays ours:
 * an eighth of all memory. */
static void give_memory_back(void)
{
#if defined(__GLIBC__)
    enum { LARGE = 1 << 20 };
    (void)mallopt(M_MMAP_THRESHOLD, LARGE); /* 0 would mean that nothing changed */
#endif
}

int cmd_analyze(int argc, char **argv)
{
    struct analyze_options options = {.format = "text", .seed = 1};
    int parsed = parse(argc, argv, &options);
    if (parsed == OPTIONS_RUN) {
        parsed = check(&options.request);
    }
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    const int format =
        report_format_find(slice_of(options.is_json ? "json" : options.format));
    if (format < 0) {
        complain("analyze", "--format %s: not one of text, json, csv, markdown, html",
                 options.format);
        return EXIT_USAGE;
    }
    options.plot.stdout_is_data = !options.output && format != REPORT_TEXT;
    const int checked = plot_check(&options.plot, "analyze");
    if (checked != OPTIONS_RUN) {
        return checked;
    }

    give_memory_back();
    struct analyze_result result = {0};
    struct buffer out = {0};
    struct error error = {0};
    const struct report_style style = {!options.output && isatty(STDOUT_FILENO)};
    int status = EXIT_FAILED;
    if (analyze_logs(&options.request, &result, &error) != 0 ||
        report_write(result.analysis, (enum report_format)format, &style, &out,
                     &error) != 0) {
        complain("analyze", "%s", error.message);
    } else {
        status = write_out(&options, buffer_slice(&out));
        if (status == EXIT_DONE && options.plot.path) {
            status =
                finish_output("analyze", analyze_plot(result.analysis, &options.plot));
        }
        if (status == EXIT_DONE) {
            status = exit_status_of(result.analysis, options.is_gate);
        }
    }
    if (result.note[0]) {
        complain("analyze", "%s", result.note);
    }
    for (int i = 0; i < result.source.n_warnings; i++) {
        complain("analyze", "%s", result.source.warnings[i]);
    }
    buffer_free(&out);
    analyze_free(&result);
    return status;
}

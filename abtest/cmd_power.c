#include <math.h>
#include <stdio.h>
#include <string.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "abtest/plot.h"
#include "abtest/power_plot.h"
#include "abtest/power_problem.h"
#include "abtest/stat_problem.h"

#define ANY 1e15 /* the widest range an option takes; power.h checks the rest */

/* The words of --metric and --alternative, which options.h cannot check. */
static int read_words(const char *metric, const char *alternative,
                      struct power_problem *problem, struct error *error)
{
    json_t *words =
        json_pack("{s:s, s:s}", "metric", metric, "alternative", alternative);
    if (!words) {
        error_set(error, ERROR_INVALID, "--metric or --alternative is not valid text");
        return -1;
    }
    const int rc = power_problem_read(words, problem, error);
    json_decref(words);
    return rc;
}

static void print_line(const char *name, double value, const char *note)
{
    if (!isnan(value)) {
        printf("%-22s %.10g%s\n", name, value, note);
    }
}

static void print_text(const struct power_problem *p)
{
    static const char *const notes[] = {"  <- units needed", "  <- power reached",
                                        "  <- smallest effect detectable"};
    const bool is_units = p->sought == SOUGHT_UNITS;
    print_line("baseline", p->plan.baseline, "");
    print_line("effect", p->effect, p->sought == SOUGHT_EFFECT ? notes[2] : "");
    print_line("lift", p->lift, "");
    print_line("control units", p->n_control, is_units ? notes[0] : "");
    print_line("treatment units", p->n_treatment, is_units ? notes[0] : "");
    print_line("units", p->n_control + p->n_treatment, "");
    print_line("days", p->days, "");
    print_line("power", p->power, p->sought == SOUGHT_POWER ? notes[1] : "");
    print_line("alpha", p->plan.alpha, "");
    if (p->comparisons > 1) {
        print_line("comparisons", p->comparisons, "  (alpha divided: Bonferroni)");
    }
    if (p->plan.metric != POWER_PROPORTION) {
        print_line("sd of a unit", p->plan.sd_control, "");
    }
    printf("%-22s %s\n", "alternative", alternative_name(p->plan.alternative));
    printf(
        "%-22s %s\n", "method",
        power_formula_name(p->plan.metric, p->plan.sd_treatment, p->plan.sd_control));
}

static int print_json(const struct power_problem *p)
{
    struct buffer line = {0};
    power_problem_answer(p, &line);
    if (line.failed || line.len == 0) {
        complain("power", "out of memory");
        buffer_free(&line);
        return EXIT_FAILED;
    }
    printf("{%.*s}\n", (int)line.len - 1, line.data + 1); /* after the first comma */
    buffer_free(&line);
    return EXIT_DONE;
}

static const char summary[] =
    "Plans an experiment. Give an effect to learn the units it needs, units "
    "(or "
    "days) to\nlearn the smallest effect they can find, or both to learn the "
    "power.\n\n"
    "  abtest power --baseline 0.10 --lift 0.05 --units-per-day 4000\n"
    "  abtest power --metric mean --sd 12 --units 5000\n"
    "  abtest power --metric ratio --mean-numerator 2 --sd-numerator 3 "
    "--mean-denominator 10\n               --sd-denominator 4 --correlation "
    "0.5 "
    "--lift 0.05";

struct power_arguments {
    struct power_problem problem;
    const char *metric;
    const char *alternative;
    struct plot_choice plot;
    bool is_json;
};

static int parse(int argc, char **argv, struct power_arguments *args)
{
    const struct option_spec options[] = {
        {"metric", OPTION_TEXT, &args->metric, "KIND", "proportion, mean or ratio", 0,
         0},
        {"baseline", OPTION_NUMBER, &args->problem.plan.baseline, "X",
         "the control's rate, mean or ratio today", -ANY, ANY},
        {"effect", OPTION_NUMBER, &args->problem.effect, "D",
         "absolute difference to find", -ANY, ANY},
        {"lift", OPTION_NUMBER, &args->problem.lift, "R",
         "relative difference to find, 0.05 for 5 %", -ANY, ANY},
        {"units", OPTION_NUMBER, &args->problem.n_control, "N",
         "units in the control arm", 2, ANY},
        {"days", OPTION_NUMBER, &args->problem.days, "N",
         "with --units-per-day, instead of --units", 0, ANY},
        {"units-per-day", OPTION_NUMBER, &args->problem.units_per_day, "N",
         "new units of all arms a day", 0, ANY},
        {"power", OPTION_NUMBER, &args->problem.power, "P",
         "chance to find the effect (0.8 unless it is what is sought)", 0, 1},
        {"alpha", OPTION_NUMBER, &args->problem.plan.alpha, "A",
         "chance of a false alarm", 0, 0.5},
        {"comparisons", OPTION_NUMBER, &args->problem.comparisons, "N",
         "metrics or arms that share alpha (Bonferroni)", 1, 1e6},
        {"alternative", OPTION_TEXT, &args->alternative, "SIDE",
         "two-sided, greater or less", 0, 0},
        {"allocation", OPTION_NUMBER, &args->problem.plan.allocation, "K",
         "treatment units for each control unit", 1e-6, 1e6},
        {"sd", OPTION_NUMBER, &args->problem.plan.sd_control, "S",
         "standard deviation of a unit (mean, ratio)", 0, ANY},
        {"sd-treatment", OPTION_NUMBER, &args->problem.plan.sd_treatment, "S",
         "that of the treatment, when it differs", 0, ANY},
        {"mean-numerator", OPTION_NUMBER, &args->problem.mean_numerator, "X",
         "for ratios, a unit's", -ANY, ANY},
        {"sd-numerator", OPTION_NUMBER, &args->problem.sd_numerator, "S", "for ratios",
         0, ANY},
        {"mean-denominator", OPTION_NUMBER, &args->problem.mean_denominator, "Y",
         "for ratios, a unit's", 0, ANY},
        {"sd-denominator", OPTION_NUMBER, &args->problem.sd_denominator, "S",
         "for ratios", 0, ANY},
        {"correlation", OPTION_NUMBER, &args->problem.correlation, "R",
         "of numerator and denominator", -1, 1},
        PLOT_OPTIONS(&args->plot),
        {"json", OPTION_FLAG, &args->is_json, NULL, "print the answer as JSON", 0, 0},
    };
    const struct command_usage usage = {
        .command = "power",
        .arguments = "--baseline X (--effect D | --lift R | --units N | --days N ...)",
        .summary = summary,
        .options = options,
        .n_options = (int)(sizeof options / sizeof options[0]),
    };
    int n_arguments = 0;
    return options_parse(&usage, argc, argv, NULL, &n_arguments);
}

int cmd_power(int argc, char **argv)
{
    struct power_arguments args = {.problem = power_problem_default(),
                                   .metric = "proportion",
                                   .alternative = "two-sided"};
    struct error error = {0};
    const int parsed = parse(argc, argv, &args);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    args.plot.stdout_is_data = args.is_json;
    const int checked = plot_check(&args.plot, "power");
    if (checked != OPTIONS_RUN) {
        return checked;
    }
    if (read_words(args.metric, args.alternative, &args.problem, &error) != 0 ||
        power_problem_solve(&args.problem, &error) != 0) {
        complain("power", "%s", error.message);
        return error.code == ERROR_INVALID ? EXIT_USAGE : EXIT_FAILED;
    }
    int status = EXIT_DONE;
    if (args.is_json) {
        status = print_json(&args.problem);
    } else {
        print_text(&args.problem);
    }
    if (status == EXIT_DONE && args.plot.path) {
        status = power_plot(&args.problem, &args.plot);
    }
    return finish_output("power", status);
}

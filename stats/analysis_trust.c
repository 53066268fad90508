/* analysis_trust.c - may the numbers be believed? Asked before what they say. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "stats/analysis_parts.h"

/* Shares above which a check warns or fails. */
#define CROSSOVER_WARNING 0.01 /* of units seen in two arms */
#define CROSSOVER_FAILURE 0.1
#define UNEXPOSED_WARNING 0.1 /* of feedback by users never exposed to anything */

int analysis_add_check(struct analysis *analysis, struct experiment_result *result,
                       struct check check, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    check.detail = arena_text(&analysis->arena, slice_of(text));
    if (!check.detail || result->n_checks == CHECKS_MAX) {
        return -1;
    }
    result->checks[result->n_checks++] = check;
    return 0;
}

static int check_log(struct analysis *analysis, struct experiment_result *result)
{
    const struct evidence *evidence = &analysis->evidence;
    struct check check = {"log integrity", CHECK_OK, "CRC-32C of every line", NAN,
                          NULL};
    if (evidence->n_damaged) {
        check.status = CHECK_FAILED;
        const struct evidence_damage *first = &evidence->damage[0];
        return analysis_add_check(
            analysis, result, check,
            "%" PRId64 " damaged place%s, the first in %s at byte %" PRId64 " (%" PRId64
            " bytes: %s): what stood there is unknown",
            evidence->n_damaged, evidence->n_damaged == 1 ? "" : "s",
            evidence->n_damage_listed ? first->file : "?",
            evidence->n_damage_listed ? first->offset : 0,
            evidence->n_damage_listed ? first->size : 0,
            evidence->n_damage_listed ? first->reason : "?");
    }
    return analysis_add_check(analysis, result, check,
                              "every line passed its checksum");
}

static int check_crossover(struct analysis *analysis, struct experiment_result *result)
{
    struct check check = {"crossover units", CHECK_OK, NULL, NAN, NULL};
    const double all = (double)(result->n_units + result->n_crossover);
    if (result->n_crossover == 0) {
        return analysis_add_check(analysis, result, check,
                                  "no unit was seen in two arms");
    }
    const double share = (double)result->n_crossover / all;
    check.status = share > CROSSOVER_FAILURE   ? CHECK_FAILED
                   : share > CROSSOVER_WARNING ? CHECK_WARNING
                                               : CHECK_NOTE;
    return analysis_add_check(
        analysis, result, check,
        "%" PRId64 " units (%.2f %%; warns above %g %%, fails above %g %%) were seen "
        "in two arms and are left out%s",
        result->n_crossover, 100 * share, 100 * CROSSOVER_WARNING,
        100 * CROSSOVER_FAILURE,
        share > CROSSOVER_WARNING
            ? ": so many can bias the comparison; were weights, seed or layer changed "
              "while it ran?"
            : "");
}

static int check_counts(struct analysis *analysis, struct experiment_result *result)
{
    struct check check = {"forced units", CHECK_NOTE, NULL, NAN, NULL};
    if (result->n_forced &&
        analysis_add_check(analysis, result, check,
                           "%" PRId64
                           " units were forced into an arm by the config and are left "
                           "out",
                           result->n_forced) != 0) {
        return -1;
    }
    check.name = "unknown arms";
    check.status = CHECK_OK;
    if (result->n_unknown_arm) {
        check.status = CHECK_WARNING;
        if (analysis_add_check(analysis, result, check,
                               "%" PRId64
                               " units were exposed to an arm that the newest config "
                               "does not have; they are left out",
                               result->n_unknown_arm) != 0) {
            return -1;
        }
    }
    return 0;
}

static int check_events(struct analysis *analysis, struct experiment_result *result)
{
    const struct evidence *evidence = &analysis->evidence;
    struct check check = {"duplicates", CHECK_OK, NULL, NAN, NULL};
    /* How many copies there were tells how the events came, not what they say: that
     * number stands under the evidence. */
    check.status = evidence->n_conflicts ? CHECK_WARNING : CHECK_OK;
    if ((evidence->n_conflicts
             ? analysis_add_check(analysis, result, check,
                                  "%" PRId64
                                  " ids came with different contents; the earliest "
                                  "event of each counts",
                                  evidence->n_conflicts)
             : analysis_add_check(analysis, result, check,
                                  "copies of an event count once; none contradicts "
                                  "another")) != 0) {
        return -1;
    }
    check.name = "feedback without exposure";
    check.status =
        (double)evidence->n_unexposed > UNEXPOSED_WARNING * (double)evidence->n_feedback
            ? CHECK_WARNING
        : evidence->n_unexposed ? CHECK_NOTE
                                : CHECK_OK;
    if (analysis_add_check(
            analysis, result, check,
            "%" PRId64 " feedback events from users who were never exposed%s; %" PRId64
            " before their user's first exposure",
            evidence->n_unexposed,
            check.status == CHECK_WARNING
                ? " (more than a tenth: were exposures lost, or are users named "
                  "otherwise there?)"
                : "",
            result->n_feedback_early) != 0) {
        return -1;
    }
    if (evidence->n_bad_values) {
        check.name = "unusable values";
        check.status = CHECK_WARNING;
        if (analysis_add_check(analysis, result, check,
                               "%" PRId64
                               " values beyond 2^40 in magnitude were not counted",
                               evidence->n_bad_values) != 0) {
            return -1;
        }
    }
    return 0;
}

int analysis_trust(struct analysis *analysis, struct experiment_result *result,
                   const struct unit_table *table, struct error *error)
{
    result->checks = arena_zeroed(&analysis->arena, CHECKS_MAX, sizeof *result->checks);
    if (!result->checks) {
        return analysis_no_memory(result, error);
    }
    if (analysis_sample_ratio(analysis, result, table, error) != 0) {
        return -1;
    }
    if (!table) {
        return 0;
    }
    if (check_log(analysis, result) != 0 || check_crossover(analysis, result) != 0 ||
        check_counts(analysis, result) != 0 || check_events(analysis, result) != 0) {
        return analysis_no_memory(result, error);
    }
    return analysis_trust_time(analysis, result, table, error);
}

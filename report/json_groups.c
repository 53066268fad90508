/* json_groups.c - groups of units and lists of items in the JSON report. */
#include <math.h>

#include "report/json_parts.h"

static void write_group(struct json_writer *json, const struct experiment_result *r,
                        const struct segment_result *group)
{
    json_open(json, NULL, '{');
    json_text(json, "group", group->group);
    json_number(json, "sample_ratio_p_value", group->srm_p);
    json_open(json, "arms", '[');
    for (int a = 0; a < r->spec->n_arms; a++) {
        json_open_arm(json, r, a);
        json_int(json, "n", group->arm_units[a]);
        json_number(json, "value", group->arm_value[a]);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_contrasts(json, r, group->findings, group->p_adjusted);
    json_close(json, '}');
}

/* Effect in each later group less that in the first, by treatment. */
static void write_differences(struct json_writer *json,
                              const struct experiment_result *r,
                              const struct segmentation *segmentation)
{
    const int n_treatments = r->spec->n_arms - 1;
    json_open(json, "differences", '[');
    for (int g = 1; g < segmentation->n_groups; g++) {
        const int at = (g - 1) * n_treatments;
        json_open(json, NULL, '{');
        json_text(json, "group", segmentation->groups[g].group);
        json_text(json, "against", segmentation->groups[0].group);
        json_contrasts(json, r, &segmentation->differences[at],
                       &segmentation->p_differences[at]);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_heterogeneity(struct json_writer *json,
                                const struct experiment_result *r,
                                const struct segmentation *segmentation)
{
    json_open(json, "heterogeneity", '[');
    for (int a = 1; a < r->spec->n_arms; a++) {
        const struct heterogeneity *all = &segmentation->heterogeneity[a - 1];
        json_open(json, NULL, '{');
        json_text(json, "arm", r->spec->arms[a].name);
        json_text(json, "test", "Cochran's Q");
        json_number(json, "statistic", all->statistic);
        json_int(json, "df", all->df);
        json_number(json, "p_value", all->p_value);
        json_number(json, "log10_p_value", all->log10_p_value);
        json_number(json, "p_adjusted", segmentation->p_heterogeneity[a - 1]);
        json_close(json, '}');
    }
    json_close(json, ']');
}

void json_segments(struct json_writer *json, const struct experiment_result *r)
{
    json_open(json, "segments", '[');
    for (int s = 0; s < r->n_segmentations; s++) {
        const struct segmentation *segmentation = &r->segmentations[s];
        json_open(json, NULL, '{');
        json_text(json, "name", segmentation->name);
        json_text(json, "metric", r->spec->metrics[r->spec->primary].name);
        json_text(json, "correction", segmentation->adjustment);
        json_int(json, "questions", segmentation->n_questions);
        json_bool(json, "other_experiment", segmentation->is_experiment);
        write_heterogeneity(json, r, segmentation);
        write_differences(json, r, segmentation);
        json_open(json, "groups", '[');
        for (int g = 0; g < segmentation->n_groups; g++) {
            write_group(json, r, &segmentation->groups[g]);
        }
        json_close(json, ']');
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_item_metric(struct json_writer *json,
                              const struct experiment_result *r,
                              const struct item_metric *metric)
{
    json_open(json, NULL, '{');
    json_text(json, "name", metric->name);
    json_text(json, "meaning", metric->meaning);
    json_text(json, "correction", metric->adjustment);
    json_int(json, "questions", metric->n_family);
    json_int(json, "sampled_1_in", metric->sampled_1_in);
    json_open(json, "arms", '[');
    for (int a = 0; a < r->spec->n_arms; a++) {
        json_open_arm(json, r, a);
        json_number(json, "value", metric->arms[a].value);
        json_number(json, "standard_error", sqrt(metric->arms[a].variance));
        json_close(json, '}');
    }
    json_close(json, ']');
    json_contrasts(json, r, metric->findings, metric->p_adjusted);
    json_close(json, '}');
}

void json_items(struct json_writer *json, const struct experiment_result *r)
{
    if (r->n_item_metrics == 0) {
        return;
    }
    json_open(json, "lists", '{');
    json_int(json, "items", r->n_items);
    json_open(json, "metrics", '[');
    for (int m = 0; m < r->n_item_metrics; m++) {
        write_item_metric(json, r, &r->item_metrics[m]);
    }
    json_close(json, ']');
    json_close(json, '}');
}

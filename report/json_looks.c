/* json_looks.c - mSPRT and planned looks in the JSON report. */
#include <math.h>

#include "report/json_parts.h"

static void write_mixture(struct json_writer *json, const struct mixture *mixture)
{
    static const struct json_field fields[] = {
        JSON_FIELD(struct mixture, method, "method"),
        JSON_FIELD(struct mixture, tau, "tau"),
        JSON_FIELD(struct mixture, p_value, "p_value"),
        JSON_FIELD(struct mixture, log10_p_value, "log10_p_value"),
    };
    json_open(json, "msprt", '{');
    JSON_FIELDS(json, fields, mixture);
    json_number(json, "units_at_smallest",
                mixture->method ? (double)mixture->n_units : (double)NAN);
    json_close(json, '}');
}

static void write_looks(struct json_writer *json, const struct planned_looks *planned)
{
    static const struct json_field fields[] = {
        JSON_FIELD(struct planned_look, n_units, "units"),
        JSON_FIELD(struct planned_look, fraction, "fraction"),
        JSON_FIELD(struct planned_look, is_reached, "reached"),
        JSON_FIELD(struct planned_look, bound, "bound"),
        JSON_FIELD(struct planned_look, nominal_p, "nominal_p"),
        JSON_FIELD(struct planned_look, spent, "alpha_spent"),
        JSON_FIELD(struct planned_look, statistic, "statistic"),
        JSON_FIELD(struct planned_look, p_value, "p_value"),
        JSON_FIELD(struct planned_look, effect_size, "effect_size"),
        JSON_FIELD(struct planned_look, is_crossed, "crossed"),
    };
    json_open(json, "looks", '[');
    for (int k = 0; k < planned->n_looks; k++) {
        json_open(json, NULL, '{');
        JSON_FIELDS(json, fields, &planned->looks[k]);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_planned(struct json_writer *json, const struct planned_looks *planned)
{
    static const struct json_field words[] = {
        JSON_FIELD(struct planned_looks, method, "method"),
        JSON_FIELD(struct planned_looks, why_not, "why_not"),
        JSON_FIELD(struct planned_looks, spending, "spending"),
        JSON_FIELD(struct planned_looks, detail, "detail"),
        JSON_FIELD(struct planned_looks, n_reached, "reached"),
    };
    json_open(json, "planned_looks", '{');
    JSON_FIELDS(json, words, planned);
    json_number(json, "alpha", planned->method ? planned->alpha : (double)NAN);
    json_number(json, "crossed_at_look",
                planned->crossed_at ? planned->crossed_at : (double)NAN);
    write_looks(json, planned);
    json_close(json, '}');
}

void json_looks(struct json_writer *json, const struct experiment_result *r,
                const struct contrast *contrast)
{
    write_mixture(json, &contrast->mixture);
    write_planned(json, &contrast->planned);
    json_text(json, "decided_by", decider_name(analysis_decider(r->spec, contrast)));
}

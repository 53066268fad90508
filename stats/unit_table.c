#include "stats/unit_table.h"

#include <stdlib.h>

void unit_table_free(struct unit_table *table)
{
    for (int m = 0; table->metrics && m < table->n_metrics; m++) {
        struct unit_metric *metric = &table->metrics[m];
        free(metric->value);
        free(metric->denominator);
        free(metric->before);
        free(metric->days);
        free(metric->cluster);
        free(metric->values);
    }
    free(table->metrics);
    free(table->id);
    free(table->hash);
    free(table->arm);
    free(table->config);
    free(table->first_ts_us);
    free(table->n_exposures);
    free(table->n_feedback);
    free(table->lists.items.counts);
    free(table->lists.shown);
    free(table->lists.latency.cluster);
    free(table->lists.latency.values);
    *table = (struct unit_table){0};
}

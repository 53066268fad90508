/* simulate_output.h - what a simulation planted and what came of it, for people and for
 * programs. */
#ifndef ABTEST_SIMULATE_OUTPUT_H
#define ABTEST_SIMULATE_OUTPUT_H

#include "common/buffer.h"
#include "simulate/simulate.h"

/* Both say the same numbers; neither holds a time, so the same run prints the same
 * bytes. */
void simulation_append_text(struct buffer *out,
                            const struct simulation_options *options,
                            const struct simulation_result *result);
void simulation_append_json(struct buffer *out,
                            const struct simulation_options *options,
                            const struct simulation_result *result);

#endif

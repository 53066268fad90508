/* simulate.h - users that are not there: they ask for recommendations over HTTP and
 * answer with feedback, by a rule that is planted and printed, so that an analysis can
 * be held against the truth.
 *
 * A user's reaction depends on the seed, the user's id and what was shown, never on
 * time, thread or order: the same run gives the same counts at any number of threads.
 * Sees common/ and experiment/; the server is reached over HTTP only.
 */
#ifndef SIMULATE_SIMULATE_H
#define SIMULATE_SIMULATE_H

#include "simulate/behaviour.h"  /* IWYU pragma: export */
#include "simulate/client.h"     /* IWYU pragma: export */
#include "simulate/simulation.h" /* IWYU pragma: export */

#endif

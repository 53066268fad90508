/* experiment.h - what is being tried on whom: the config file and the assignment of
 * units to arms. Sees only common/.
 */
#ifndef EXPERIMENT_EXPERIMENT_H
#define EXPERIMENT_EXPERIMENT_H

#include "experiment/assignment.h"  /* IWYU pragma: export */
#include "experiment/audience.h"    /* IWYU pragma: export */
#include "experiment/config.h"      /* IWYU pragma: export */
#include "experiment/config_edit.h" /* IWYU pragma: export */
#include "experiment/reload.h"      /* IWYU pragma: export */

#endif

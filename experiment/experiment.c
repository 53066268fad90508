#include "experiment/experiment.h"

typedef int experiment_has_no_source_yet;

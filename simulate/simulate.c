#include "simulate/simulate.h"

typedef int simulate_has_no_source_yet;

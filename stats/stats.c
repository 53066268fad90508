#include "stats/stats.h"

typedef int stats_has_no_source_yet;

#include "logs/logs.h"

typedef int logs_has_no_source_yet;

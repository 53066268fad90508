#include "report/report.h"

typedef int report_has_no_source_yet;

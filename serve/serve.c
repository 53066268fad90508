#include "serve/serve.h"

typedef int serve_has_no_source_yet;

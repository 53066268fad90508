#include "trainer/trainer.h"

typedef int trainer_has_no_source_yet;
